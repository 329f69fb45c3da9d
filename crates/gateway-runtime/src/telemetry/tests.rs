//! Tests of the log lines, caught by a subscriber that renders into memory.

use std::sync::Mutex;
use std::time::Duration;

use super::*;

/// Renders as `StderrLog` does, into a list.
struct Caught {
    level: LogControl,
    format: LogFormat,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Subscriber for Caught {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.level.wants(metadata.level())
    }
    fn event(&self, event: &Event<'_>) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        self.lines.lock().unwrap().push(render(event, self.format, time));
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn catch(format: LogFormat, log: impl FnOnce(&LogControl)) -> Vec<String> {
    let level = LogControl::detached("info").unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let caught = Caught { level: level.clone(), format, lines: Arc::clone(&lines) };
    tracing::subscriber::with_default(caught, || log(&level));
    Arc::try_unwrap(lines).unwrap().into_inner().unwrap()
}

#[test]
fn text_is_one_readable_line() {
    let lines = catch(LogFormat::Text, |_| {
        tracing::info!(listener = "wan", address = %"10.0.0.1:8443", count = 3, "listening");
    });
    assert_eq!(
        lines,
        ["1970-01-01T00:00:01.500Z  INFO listening listener=wan address=10.0.0.1:8443 count=3\n"]
    );
}

#[test]
fn json_is_flat_and_typed() {
    let lines = catch(LogFormat::Json, |_| {
        tracing::warn!(
            listener = "wan",
            count = 3,
            ok = false,
            share = f64::NAN,
            level = "mine",
            "some {}",
            1
        );
    });
    let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    let expected = serde_json::json!({
        "timestamp": "1970-01-01T00:00:01.500Z", "level": "warn", "message": "some 1",
        "target": "gateway_runtime::telemetry::tests",
        "listener": "wan", "count": 3, "ok": false, "share": "NaN", "field_level": "mine",
    });
    assert_eq!(value, expected);
}

#[test]
fn what_comes_from_outside_stays_in_its_field() {
    let evil = "x\n2026-01-01T00:00:00.000Z  INFO all is well\u{1b}[2K\u{202e}\"";
    for format in [LogFormat::Text, LogFormat::Json] {
        let lines = catch(
            format,
            |_| tracing::warn!(by_display = %evil, by_debug = ?evil, by_str = evil, "refused {evil}"),
        );
        assert_eq!(lines.len(), 1);
        let line = lines[0].strip_suffix('\n').unwrap();
        assert!(!line.contains(['\n', '\u{1b}', '\u{202e}']), "{line:?}");
    }
}

#[test]
fn the_level_changes_at_run_time() {
    let lines = catch(LogFormat::Text, |control| {
        tracing::debug!("before");
        control.set_level("debug").unwrap();
        assert_eq!(control.level(), "debug");
        tracing::debug!("after");
        control.set_level("off").unwrap();
        tracing::error!("off");
    });
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("DEBUG after"), "{lines:?}");
}

#[test]
fn an_unknown_level_is_refused_and_changes_nothing() {
    let control = LogControl::detached("warn").unwrap();
    let error = control.set_level("loud").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"unknown log level "loud": it is one of off, error, warn, info, debug, trace"#
    );
    assert_eq!(control.level(), "warn");
    assert!("yaml".parse::<LogFormat>().is_err());
}
