//! Idle limit and longest life.

use std::time::Duration;

use gateway_testkit::{Lab, pause};

use crate::{echo, echoes, end, exchange, open, record_of};

/// The pace of a client that is not idle.
const PACE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn an_idle_connection_is_cut_and_a_busy_one_is_not() {
    let lab = Lab::new().unwrap();
    let (_backend, _catalog, gateway) = echo(&lab, &[("TIMERS_IDLE", "2s"), ("TIMERS_SWEEP", "20ms")]).await;
    let (mut idle, mut busy) = (open(&gateway).await, open(&gateway).await);
    let keep_busy = async {
        loop {
            exchange(&mut busy, b"tick").await;
            pause(PACE).await;
        }
    };
    let (rest, orderly) = tokio::select! {
        ended = end(&mut idle) => ended,
        () = keep_busy => unreachable!("it goes on for ever"),
    };
    assert!(rest.is_empty() && !orderly, "a cut stream must not look complete: {rest:?}");
    let record = record_of(&gateway, &idle).await;
    assert_eq!(record["reason"], "idle_limit", "{record}");
    assert!(record["duration_ms"].as_f64().unwrap() >= 2_000.0, "{record}");
    exchange(&mut busy, b"still here").await;
}

#[tokio::test]
async fn a_connection_is_cut_at_its_longest_age_however_busy_it_is() {
    let lab = Lab::new().unwrap();
    let (_backend, _catalog, gateway) =
        echo(&lab, &[("TIMERS_MAX_AGE", "500ms"), ("TIMERS_SWEEP", "20ms")]).await;
    let mut busy = open(&gateway).await;
    while echoes(&mut busy, b"tick").await {
        pause(PACE).await;
    }
    let record = record_of(&gateway, &busy).await;
    assert_eq!(record["reason"], "max_age", "{record}");
    assert!(record["duration_ms"].as_f64().unwrap() >= 500.0, "{record}");
}
