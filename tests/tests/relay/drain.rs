//! The end of the process with connections open.

use gateway_testkit::{Deadline, Gateway, Lab, Place, Signal};

use crate::{echo, end, exchange, open, record_of};

/// Tells the gateway to end, and waits until it has begun to.
async fn told_to_end(gateway: &Gateway) {
    gateway.signal(Signal::TERM).unwrap();
    let draining =
        |line: &serde_json::Value| line["message"].as_str().is_some_and(|m| m.starts_with("draining"));
    gateway.wait_log(Deadline::usual(), "of draining", draining).await.unwrap();
}

#[tokio::test]
async fn draining_refuses_new_connections_and_cuts_the_open_ones_when_its_time_is_over() {
    let lab = Lab::new().unwrap();
    let (_backend, _catalog, gateway) = echo(&lab, &[("DRAIN_TIME", "5s")]).await;
    let mut client = open(&gateway).await;
    told_to_end(&gateway).await;
    exchange(&mut client, b"still here").await;
    gateway_testkit::eventually(Deadline::usual(), "new connections to be refused", async || {
        Place::Here.connect(gateway.address().unwrap()).await.is_err()
    })
    .await;
    assert!(!gateway.admin().unwrap().is_ready().await.unwrap(), "whoever balances must know");
    exchange(&mut client, b"and here").await;
    let (rest, orderly) = end(&mut client).await;
    assert!(rest.is_empty() && !orderly, "a cut stream must not look complete: {rest:?}");
    let record = record_of(&gateway, &client).await;
    assert_eq!(record["reason"], "drain_cut", "{record}");
    assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 0);
}

#[tokio::test]
async fn draining_ends_with_the_last_connection() {
    let lab = Lab::new().unwrap();
    let (_backend, _catalog, gateway) = echo(&lab, &[("DRAIN_TIME", "1h")]).await;
    let mut client = open(&gateway).await;
    told_to_end(&gateway).await;
    exchange(&mut client, b"the last words").await;
    let peer = client.local_addr().unwrap().to_string();
    drop(client);
    assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 0);
    let record =
        gateway.wait_record(Deadline::usual(), "of the client", |r| r["peer"] == *peer).await.unwrap();
    assert_eq!(record["reason"], "closed", "{record}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let lab = Lab::new().unwrap();
    let (_backend, _catalog, gateway) = echo(&lab, &[("DRAIN_TIME", "1h")]).await;
    let mut client = open(&gateway).await;
    told_to_end(&gateway).await;
    exchange(&mut client, b"still here").await;
    gateway.signal(Signal::TERM).unwrap();
    assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 0);
    let (rest, orderly) = end(&mut client).await;
    assert!(rest.is_empty() && !orderly, "a cut stream must not look complete: {rest:?}");
    assert_eq!(record_of(&gateway, &client).await["reason"], "drain_cut");
}
