//! How one record is written. JSON has every field in every line, text only those that are known.

use std::fmt;
use std::time::Duration;

use crate::line::{Line, rfc3339, truncated};
use crate::record::{ConnRecord, Verdict};
use crate::telemetry::LogFormat;

/// Characters of a text from outside; the rest is cut and marked. 255 is the longest name of a host (RFC 1035).
const MAX_TEXT: usize = 255;

/// Appends the line of `record` with its line end; `identities`: also who the client is, and what was decided.
pub(super) fn record(out: &mut String, format: LogFormat, identities: bool, record: &ConnRecord<'_>) {
    let mut line = Line::begin(out, format);
    line.head("timestamp", &rfc3339(record.opened + record.duration));
    line.head("log", "access");
    line.head("reason", record.reason.as_str());
    line.bare("id", record.id);
    line.text("listener", record.listener);
    address(&mut line, "peer", Some(record.peer));
    text(&mut line, "sni", record.sni);
    text(&mut line, "alpn", record.alpn);
    text(&mut line, "service", record.service);
    text(&mut line, "rule", record.rule);
    if identities {
        text(&mut line, "source", record.source);
        text(&mut line, "verdict", record.verdict.map(Verdict::as_str));
        text(&mut line, "intention", record.intention);
    }
    address(&mut line, "endpoint", record.endpoint);
    line.bare("attempts", record.attempts);
    line.bare("bytes_up", record.bytes_up);
    line.bare("bytes_down", record.bytes_down);
    line.bare("spliced", record.spliced);
    match record.connect {
        Some(connect) => line.bare("connect_ms", Millis(connect)),
        None => line.absent("connect_ms"),
    }
    line.bare("duration_ms", Millis(record.duration));
    if format == LogFormat::Json {
        line.text("opened", &rfc3339(record.opened));
    }
    text(&mut line, "detail", record.detail);
    line.end();
}

fn text(line: &mut Line<'_>, name: &str, value: Option<&str>) {
    match value {
        Some(value) => line.text(name, &truncated(value, MAX_TEXT)),
        None => line.absent(name),
    }
}

fn address(line: &mut Line<'_>, name: &str, value: Option<std::net::SocketAddr>) {
    match value {
        Some(value) => line.text(name, &value.to_string()),
        None => line.absent(name),
    }
}

/// Milliseconds with three decimals, a number in JSON.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::reason::Reason;

    fn line(format: LogFormat, of: &ConnRecord<'_>) -> String {
        let mut out = String::new();
        record(&mut out, format, false, of);
        out
    }

    fn full() -> ConnRecord<'static> {
        ConnRecord {
            id: 7,
            listener: "wan",
            peer: "192.0.2.1:50000".parse().unwrap(),
            sni: Some("billing.default.dc2.internal.example.consul"),
            alpn: Some("h2"),
            service: Some("billing"),
            rule: Some("service"),
            source: None,
            verdict: None,
            intention: None,
            endpoint: Some("[2001:db8::1]:20000".parse().unwrap()),
            attempts: 2,
            opened: SystemTime::UNIX_EPOCH + Duration::from_millis(1_772_600_767_089),
            duration: Duration::from_micros(1_234_567),
            connect: Some(Duration::from_micros(350)),
            bytes_up: 517,
            bytes_down: u64::MAX,
            spliced: true,
            reason: Reason::Closed,
            detail: None,
        }
    }

    fn sparse() -> ConnRecord<'static> {
        ConnRecord {
            sni: None,
            alpn: None,
            service: None,
            rule: None,
            endpoint: None,
            attempts: 0,
            connect: None,
            bytes_up: 0,
            bytes_down: 0,
            spliced: false,
            reason: Reason::HelloTimeout,
            detail: Some("0 of 5 bytes"),
            ..full()
        }
    }

    #[test]
    fn text_shows_what_is_known() {
        assert_eq!(
            line(LogFormat::Text, &full()),
            "2026-03-04T05:06:08.323Z access closed id=7 listener=wan peer=192.0.2.1:50000 \
             sni=billing.default.dc2.internal.example.consul alpn=h2 service=billing rule=service \
             endpoint=[2001:db8::1]:20000 attempts=2 bytes_up=517 bytes_down=18446744073709551615 spliced=true \
             connect_ms=0.350 duration_ms=1234.567\n"
        );
        assert_eq!(
            line(LogFormat::Text, &sparse()),
            "2026-03-04T05:06:08.323Z access hello_timeout id=7 listener=wan peer=192.0.2.1:50000 attempts=0 \
             bytes_up=0 bytes_down=0 spliced=false duration_ms=1234.567 detail=\"0 of 5 bytes\"\n"
        );
    }

    #[test]
    fn json_has_every_field_always() {
        let full: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, &full())).unwrap();
        assert_eq!(
            full,
            serde_json::json!({
                "timestamp": "2026-03-04T05:06:08.323Z", "log": "access", "reason": "closed", "id": 7,
                "listener": "wan", "peer": "192.0.2.1:50000",
                "sni": "billing.default.dc2.internal.example.consul", "alpn": "h2", "service": "billing",
                "rule": "service", "endpoint": "[2001:db8::1]:20000", "attempts": 2, "bytes_up": 517,
                "bytes_down": u64::MAX, "spliced": true, "connect_ms": 0.35, "duration_ms": 1234.567,
                "opened": "2026-03-04T05:06:07.089Z", "detail": null,
            })
        );
        let sparse: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, &sparse())).unwrap();
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&sparse), keys(&full));
        assert!(sparse["sni"].is_null() && sparse["connect_ms"].is_null());
    }

    #[test]
    fn whoever_was_judged_is_named_with_what_decided() {
        let judged = ConnRecord {
            source: Some("spiffe://example.consul/ns/default/dc/dc1/svc/web"),
            verdict: Some(Verdict::Deny),
            intention: Some("intention web => billing (precedence 9): deny"),
            ..sparse()
        };
        let shown = |format, of: &ConnRecord<'_>| {
            let mut out = String::new();
            record(&mut out, format, true, of);
            out
        };
        assert!(shown(LogFormat::Text, &judged).contains(
            " source=spiffe://example.consul/ns/default/dc/dc1/svc/web verdict=deny \
             intention=\"intention web => billing (precedence 9): deny\" attempts="
        ));
        let unknown: serde_json::Value = serde_json::from_str(&shown(LogFormat::Json, &sparse())).unwrap();
        for field in ["source", "verdict", "intention"] {
            assert!(unknown.get(field).is_some_and(serde_json::Value::is_null), "every field, always");
        }
        assert!(!line(LogFormat::Json, &judged).contains("verdict"), "not where nobody is judged");
    }

    #[test]
    fn a_hostile_name_stays_one_field_of_one_line() {
        let evil = "a\" service=admin\n2026-01-01T00:00:00.000Z access closed\r\u{1b}[2K\u{202e}\u{0}\\";
        for format in [LogFormat::Text, LogFormat::Json] {
            let record = ConnRecord { sni: Some(evil), alpn: Some(evil), detail: Some(evil), ..sparse() };
            let line = line(format, &record);
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(!line.contains(['\r', '\u{1b}', '\u{202e}', '\u{0}']), "{line:?}");
            match format {
                LogFormat::Json => {
                    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
                    assert_eq!(value["sni"], evil);
                    assert!(value["service"].is_null());
                }
                LogFormat::Text => assert!(!line.contains("a\" service"), "{line}"),
            }
        }
    }

    #[test]
    fn a_long_name_is_cut_and_marked() {
        let long = "x".repeat(16_000);
        let record = ConnRecord { sni: Some(&long), ..sparse() };
        let value: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, &record)).unwrap();
        assert_eq!(value["sni"], format!("{}…", "x".repeat(255)));
    }
}
