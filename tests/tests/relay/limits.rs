//! Idle limit and longest life.

use std::cell::Cell;
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
    let cut = Cell::new(false);
    let wait_for_the_cut = async {
        let ended = end(&mut idle).await;
        cut.set(true);
        ended
    };
    // Not dropped in the middle of an exchange: the next one would find its bytes.
    let keep_busy = async {
        while !cut.get() {
            exchange(&mut busy, b"tick").await;
            pause(PACE).await;
        }
    };
    let ((rest, orderly), ()) = tokio::join!(wait_for_the_cut, keep_busy);
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
