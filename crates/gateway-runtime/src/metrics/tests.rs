//! Tests of the metrics: values, bounds, and that the text is a valid exposition.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::*;
use crate::reason::Reason;
use crate::record::ConnRecord;

fn record(reason: Reason, connect: Option<Duration>) -> ConnRecord<'static> {
    ConnRecord {
        id: 1,
        listener: "wan",
        peer: "192.0.2.1:50000".parse().unwrap(),
        sni: None,
        alpn: None,
        service: None,
        rule: None,
        source: None,
        verdict: None,
        intention: None,
        endpoint: None,
        attempts: 1,
        opened: SystemTime::UNIX_EPOCH,
        duration: Duration::ZERO,
        connect,
        bytes_up: 10,
        bytes_down: 20,
        spliced: false,
        reason,
        detail: None,
    }
}

fn joined(reason: Reason) -> ConnRecord<'static> {
    record(reason, Some(Duration::from_millis(2)))
}

/// The value of a sample by its name with labels.
fn sample(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(rest.parse().unwrap())
}

#[test]
fn a_connection_is_counted_from_open_to_end() {
    let metrics = Metrics::new(10);
    let service = metrics.service("billing");
    service.opened();
    service.opened();
    service.finished(&joined(Reason::Closed));
    service.finished(&record(Reason::ConnectRefused, None));
    let text = metrics.encode();
    assert_eq!(sample(&text, r#"gateway_connections_total{service="billing",reason="closed"}"#), Some(1.0));
    assert_eq!(
        sample(&text, r#"gateway_connections_total{service="billing",reason="connect_refused"}"#),
        Some(1.0)
    );
    assert_eq!(sample(&text, r#"gateway_connections_open{service="billing"}"#), Some(1.0));
    assert_eq!(sample(&text, r#"gateway_received_bytes_total{service="billing"}"#), Some(20.0));
    assert_eq!(sample(&text, r#"gateway_sent_bytes_total{service="billing"}"#), Some(40.0));
    assert_eq!(sample(&text, r#"gateway_upstream_connect_seconds_count{service="billing"}"#), Some(1.0));
    assert_eq!(sample(&text, r#"gateway_upstream_connect_seconds_sum{service="billing"}"#), Some(0.002));
    assert!(!text.contains(r#"reason="idle_limit""#), "a series begins with its first use");
}

#[test]
fn connect_times_fall_into_cumulative_buckets() {
    let metrics = Metrics::new(10);
    let service = metrics.service("web");
    for millis in [1, 2, 3, 9_000, 11_000] {
        service.opened();
        service.finished(&record(Reason::Closed, Some(Duration::from_millis(millis))));
    }
    let text = metrics.encode();
    let bucket = |bound: &str| {
        sample(&text, &format!(r#"gateway_upstream_connect_seconds_bucket{{le="{bound}",service="web"}}"#))
            .unwrap()
    };
    assert_eq!(["0.001", "0.003", "0.01", "3.0", "10.0", "+Inf"].map(bucket), [1.0, 3.0, 3.0, 3.0, 4.0, 5.0]);
}

#[test]
fn services_above_the_bound_share_one_series() {
    let metrics = Metrics::new(3);
    for name in ["a", "b", "c", "d", "e"] {
        metrics.service(name).finished(&joined(Reason::Closed));
    }
    metrics.no_service().finished(&record(Reason::NoSni, None));
    let text = metrics.encode();
    assert_eq!(sample(&text, r#"gateway_connections_total{service="c",reason="closed"}"#), Some(1.0));
    assert_eq!(sample(&text, r#"gateway_connections_total{service="other",reason="closed"}"#), Some(2.0));
    assert_eq!(sample(&text, r#"gateway_connections_total{service="none",reason="no_sni"}"#), Some(1.0));
    assert!(!text.contains(r#"service="d""#));
}

#[test]
fn a_handle_without_connections_takes_no_place() {
    let metrics = Metrics::new(1);
    let idle: Vec<_> = (0..100).map(|n| metrics.service(&format!("idle-{n}"))).collect();
    metrics.service("busy").opened();
    let text = metrics.encode();
    assert_eq!(sample(&text, r#"gateway_connections_open{service="busy"}"#), Some(1.0));
    assert!(!text.contains("idle-"));
    drop(idle);
}

#[test]
fn a_forgotten_service_makes_room() {
    let metrics = Metrics::new(1);
    let held = metrics.service("first");
    held.opened();
    metrics.forget_services(|_| false);
    assert!(metrics.encode().contains(r#"service="first""#), "a handle counts into it");
    drop(held);
    metrics.forget_services(|name| name == "first");
    assert!(metrics.encode().contains(r#"service="first""#), "it is wanted");
    metrics.forget_services(|_| false);
    metrics.service("second").opened();
    let text = metrics.encode();
    assert!(text.contains(r#"service="second""#) && !text.contains(r#"service="first""#));
}

#[test]
fn the_open_gauge_is_never_negative() {
    let metrics = Metrics::new(1);
    metrics.service("web").finished(&joined(Reason::Closed));
    assert_eq!(sample(&metrics.encode(), r#"gateway_connections_open{service="web"}"#), Some(0.0));
}

#[test]
fn a_service_costs_little() {
    let of_series = service::SERIES_BYTES;
    assert!(of_series < 512, "{of_series} bytes a service");
    assert!(size_of::<ServiceMetrics>() <= 40, "{}", size_of::<ServiceMetrics>());
}

#[test]
fn every_update_from_many_threads_counts() {
    let metrics = Metrics::new(10);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let service = metrics.service("web");
                for _ in 0..1_000 {
                    service.opened();
                    service.finished(&joined(Reason::Closed));
                }
            });
        }
    });
    let text = metrics.encode();
    assert_eq!(sample(&text, r#"gateway_connections_total{service="web",reason="closed"}"#), Some(4_000.0));
    assert_eq!(sample(&text, r#"gateway_connections_open{service="web"}"#), Some(0.0));
}

#[test]
fn causes_have_a_bound_too() {
    let metrics = Metrics::new(1);
    for cause in 0..200 {
        metrics.accept_paused.with(&cause.to_string()).inc();
    }
    let text = metrics.encode();
    let series = text.lines().filter(|line| line.starts_with("gateway_accept_paused_total{")).count();
    assert_eq!(series, 65);
    assert_eq!(sample(&text, r#"gateway_accept_paused_total{cause="other"}"#), Some(136.0));
}

#[test]
fn a_name_is_exposed_once() {
    let metrics = Metrics::new(1);
    metrics.register_counter("gateway_mine", "Mine").inc();
    metrics.register_counter("gateway_mine", "Mine").inc();
    metrics.register_gauge("gateway_mine", "Another kind").set(7);
    metrics.set_build_info("0.1.0", "mesh");
    metrics.set_build_info("0.1.0", "mesh");
    let text = metrics.encode();
    assert_eq!(sample(&text, "gateway_mine_total"), Some(2.0));
    assert_eq!(sample(&text, r#"gateway_build_info{version="0.1.0",role="mesh"}"#), Some(1.0));
    valid(&text);
}

#[test]
fn the_text_is_a_valid_exposition() {
    let metrics = Metrics::new(10);
    let hostile = metrics.service("a\"b\\c\nd");
    hostile.opened();
    Reason::ALL.iter().for_each(|reason| hostile.finished(&joined(*reason)));
    hostile.ejected();
    metrics.dns_lookups.with("ok").inc();
    metrics.hello_buffer_bytes.set(4096);
    metrics.set_build_info("0.1.0", "mesh");
    let text = metrics.encode();
    valid(&text);
    assert!(text.ends_with("# EOF\n"));
    assert!(!metrics.encode_prometheus_text().contains("# EOF"));
    for name in
        ["process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"]
    {
        assert!(sample(&text, name).is_some_and(|value| value > 0.0), "{name}");
    }
    assert_eq!(sample(&text, "gateway_hello_buffer_bytes"), Some(4096.0));
}

/// Rules of OpenMetrics 1.0.0 that a scraper relies on: every family has HELP and TYPE once and before its samples, all
/// samples of a family are together, no sample twice, names of counters end with `_total`.
fn valid(text: &str) {
    let mut families: BTreeSet<&str> = BTreeSet::new();
    let mut samples = BTreeSet::new();
    let mut current = ("", "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(families.insert(name), "{name} twice");
            assert!(help.ends_with('.') && !help.ends_with(".."), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split_once(' ').unwrap();
            assert!(families.contains(current.0));
        } else if line != "# EOF" {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(samples.insert(sample), "{sample} twice");
            let name = sample.split('{').next().unwrap();
            let suffix =
                name.strip_prefix(current.0).unwrap_or_else(|| panic!("{line} is not of {}", current.0));
            let allowed: &[&str] = match current.1 {
                "counter" => &["_total"],
                "gauge" => &[""],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_sum", "_count"],
                other => panic!("unexpected type {other}"),
            };
            assert!(allowed.contains(&suffix), "{line}");
            assert!(name.starts_with("gateway_") || name.starts_with("process_"), "{line}");
        }
    }
    assert!(text.lines().last() == Some("# EOF"));
}

#[test]
fn verdicts_are_counted_by_service_verdict_and_kind_and_are_bounded() {
    use crate::record::Verdict;
    let metrics = Metrics::new(10);
    assert!(!metrics.encode().contains("gateway_verdicts"), "not where nobody is judged");
    let service = metrics.service("billing");
    service.judged(Verdict::Allow, "intention");
    service.judged(Verdict::Allow, "intention");
    service.judged(Verdict::Deny, "default_policy");
    service.judged(Verdict::WouldDeny, "default_policy");
    let text = metrics.encode();
    for (labels, count) in [
        (r#"verdict="allow",reason="intention""#, 2.0),
        (r#"verdict="deny",reason="default_policy""#, 1.0),
        (r#"verdict="would_deny",reason="default_policy""#, 1.0),
    ] {
        let name = format!(r#"gateway_verdicts_total{{service="billing",{labels}}}"#);
        assert_eq!(sample(&text, &name), Some(count), "{name}");
    }
    for n in 0..100 {
        let kind: &'static str = Box::leak(format!("kind_{n}").into_boxed_str());
        service.judged(Verdict::Deny, kind);
    }
    let series = metrics.encode().lines().filter(|line| line.starts_with("gateway_verdicts_total")).count();
    assert!(series <= 33, "{series}");
}

#[test]
fn a_role_that_ends_tls_counts_handshakes() {
    use super::tls::{KeyExchange, TlsMetrics, TlsVersion};
    let metrics = Metrics::new(2);
    let tls = TlsMetrics::new(&metrics);
    tls.handshakes.count(TlsVersion::Tls13, KeyExchange::PostQuantum, false);
    tls.handshakes.count(TlsVersion::Tls12, KeyExchange::None, true);
    tls.upstream_failures.with("unknown_issuer").inc();
    metrics.register_gauge_family("gateway_leaf_expiry_seconds", "Until a leaf ends", "service", || {
        ["a", "b", "c"].map(|name| (name.to_owned(), 60)).to_vec()
    });
    let text = metrics.encode();
    let handshakes = |labels: &str| sample(&text, &format!("gateway_tls_handshakes_total{{{labels}}}"));
    let new = r#"version="TLSv1_3",key_exchange="post_quantum",resumed="false""#;
    let again = r#"version="TLSv1_2",key_exchange="none",resumed="true""#;
    assert_eq!((handshakes(new), handshakes(again)), (Some(1.0), Some(1.0)));
    assert_eq!(sample(&text, r#"gateway_upstream_tls_failures_total{cause="unknown_issuer"}"#), Some(1.0));
    assert_eq!(sample(&text, r#"gateway_leaf_expiry_seconds{service="b"}"#), Some(60.0));
    assert_eq!(sample(&text, r#"gateway_leaf_expiry_seconds{service="c"}"#), None, "the bound of services");
}
