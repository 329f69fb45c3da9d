//! Endpoints that refuse or stay silent: who is tried next, when, and when it is given up.

use std::time::Duration;

use gateway_testkit::{Lab, pause};
use serde_json::Value;

use crate::{WithWeb, black_hole, echo, gateway, mesh, name, refusing, resolver, visit};

fn number(record: &Value, key: &str) -> f64 {
    record[key].as_f64().unwrap_or_else(|| panic!("no {key} in {record}"))
}

#[tokio::test]
async fn another_endpoint_is_tried_when_one_refuses() {
    let lab = Lab::new().unwrap();
    let (dead, alive) = (refusing(), echo());
    let (_catalog, gateway) =
        gateway(&lab, mesh().web(dead.address(), "").web(alive.address(), ""), &[]).await;
    let mut attempts = 0.0;
    for _ in 0..4 {
        let record = visit(&gateway, "web").await;
        assert_eq!(record["reason"], "closed", "{record}");
        assert_eq!(record["endpoint"], alive.address().to_string(), "{record}");
        attempts += number(&record, "attempts");
    }
    assert!(attempts > 4.0, "the refusing one was never tried");
}

#[tokio::test]
async fn when_all_refuse_the_client_is_told_at_once() {
    let lab = Lab::new().unwrap();
    let (one, two) = (refusing(), refusing());
    let document = mesh().web(one.address(), "").web(two.address(), "");
    let (_catalog, gateway) = gateway(&lab, document, &[("TIMERS_CONNECT", "1h")]).await;
    let record = visit(&gateway, "web").await;
    assert_eq!(
        (&record["reason"], &record["sni"]),
        (&"connect_refused".into(), &name("web").into()),
        "{record}"
    );
}

#[tokio::test]
async fn another_endpoint_is_tried_after_a_third_of_the_time_when_one_is_silent() {
    let lab = Lab::new().unwrap();
    let (silent, alive) = (black_hole().await, echo());
    let document = mesh().web(silent.address(), "").web(alive.address(), "");
    let (_catalog, gateway) = gateway(&lab, document, &[("TIMERS_CONNECT", "15s")]).await;
    // One of two in a row begins with the silent one.
    let both = tokio::join!(visit(&gateway, "web"), visit(&gateway, "web"));
    let (first, second) = if both.0["attempts"] == 1 { both } else { (both.1, both.0) };
    for record in [&first, &second] {
        assert_eq!(
            (&record["reason"], &record["endpoint"]),
            (&"closed".into(), &alive.address().to_string().into())
        );
    }
    assert_eq!((&first["attempts"], &second["attempts"]), (&1.into(), &2.into()));
    let waited = number(&second, "connect_ms");
    assert!((5_000.0..15_000.0).contains(&waited), "a third of the 15 s: {second}");
    assert!(number(&first, "connect_ms") < 5_000.0, "{first}");
}

#[tokio::test]
async fn it_is_given_up_when_the_time_is_over() {
    let lab = Lab::new().unwrap();
    let (one, two) = (black_hole().await, black_hole().await);
    let document = mesh().web(one.address(), "").web(two.address(), "");
    let (_catalog, gateway) = gateway(&lab, document, &[("TIMERS_CONNECT", "600ms")]).await;
    let record = visit(&gateway, "web").await;
    assert_eq!(record["reason"], "connect_timeout", "{record}");
    assert!(number(&record, "duration_ms") >= 600.0, "{record}");
}

#[tokio::test]
async fn the_resolver_sets_the_time_to_connect() {
    let lab = Lab::new().unwrap();
    let silent = black_hole().await;
    let document = mesh()
        .web(silent.address(), "")
        .sidecar("other", "other-1", silent.address())
        .text(&resolver("ConnectTimeout = \"300ms\""));
    let (_catalog, gateway) = gateway(&lab, document, &[("TIMERS_CONNECT", "1h")]).await;
    // The other service has no resolver and waits for its hour.
    let mut waits = crate::say_hello(&gateway, "other").await;
    let record = visit(&gateway, "web").await;
    assert_eq!(record["reason"], "connect_timeout", "{record}");
    assert!(number(&record, "duration_ms") >= 300.0, "{record}");
    let mut byte = [0];
    tokio::select! {
        end = tokio::io::AsyncReadExt::read(&mut waits, &mut byte) => panic!("ended too: {end:?}"),
        () = pause(Duration::from_millis(50)) => {}
    }
}
