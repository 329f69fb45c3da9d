//! Gateways of a datacenter die and are replaced; the other side finds the new ones.

use std::time::Instant;

use gateway_testkit::{Consul, Signal, Via, wait_for};

use crate::both::{Both, call, soon};

#[tokio::test]
async fn a_gateway_that_is_killed_and_replaced_elsewhere_is_found() {
    if !Consul::available() {
        return;
    }
    let both = Both::take().await;
    let (one, two) = tokio::join!(both.edge("dc1", "edge"), both.edge("dc2", "edge"));
    let _ledger = both.service("dc2", "ledger").await;
    both.until_leads(&one, "dc2", &[two.wan]).await;
    both.until_knows(&two, "dc2", "ledger").await;
    let client = both.caller("dc1", "frontend").await;
    let via = Via::Local(one.lan);
    let first = call(&client, "ledger", "dc2", via).await.unwrap();

    // Its successor has its ID and other addresses.
    two.gateway.signal(Signal::KILL).unwrap();
    two.gateway.exit_code(soon()).await.unwrap();
    assert!(call(&client, "ledger", "dc2", via).await.is_err());
    drop(first);
    let next = both.edge("dc2", "edge").await;
    let began = Instant::now();
    let healed = async || call(&client, "ledger", "dc2", via).await.ok();
    let healed = wait_for(soon(), "a call through the next gateway", healed).await.unwrap();
    eprintln!("measured: healed {:?} after the next gateway was ready", began.elapsed());
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "asked there, it is known at once");
    let near = healed.local;
    healed.close().await.unwrap();
    assert_eq!(one.record(near).await["endpoint"], next.wan.to_string());
    both.until_leads(&one, "dc2", &[next.wan]).await;

    // Two of them, and one is killed: nobody notices.
    let third = both.edge("dc2", "other").await;
    both.until_leads_well(&one, "dc2", &[next.wan, third.wan]).await;
    both.until_knows(&third, "dc2", "ledger").await;
    next.gateway.signal(Signal::KILL).unwrap();
    next.gateway.exit_code(soon()).await.unwrap();
    for _ in 0..10 {
        call(&client, "ledger", "dc2", via).await.unwrap().close().await.unwrap();
    }
    // Its registration outlives it, until somebody takes it out.
    both.consul("dc2").deregister("edge").await.unwrap();
    both.until_leads(&one, "dc2", &[third.wan]).await;

    // One that drains is left before it ends.
    let fourth = both.edge("dc2", "fourth").await;
    both.until_leads_well(&one, "dc2", &[third.wan, fourth.wan]).await;
    both.until_knows(&fourth, "dc2", "ledger").await;
    let mut open = call(&client, "ledger", "dc2", Via::Remote(third.wan)).await.unwrap();
    third.gateway.signal(Signal::TERM).unwrap();
    let path = format!("/endpoints?name={}", both.all_of("dc2"));
    let left = async || {
        let page = one.gateway.admin().unwrap().json(&path).await.unwrap();
        let rows = page["services"][0]["endpoints"].as_array()?.clone();
        let row = rows.iter().find(|row| row["address"] == third.wan.to_string())?;
        (row["healthy"] == false).then_some(())
    };
    wait_for(soon(), "the one that drains to be left", left).await.unwrap();
    for _ in 0..4 {
        let call = call(&client, "ledger", "dc2", via).await.unwrap();
        let near = call.local;
        call.close().await.unwrap();
        let record = one.record(near).await;
        assert_eq!((&record["endpoint"], &record["attempts"]), (&fourth.wan.to_string().into(), &1.into()));
    }
    open.echo(b"still here").await.unwrap();
    open.close().await.unwrap();
    assert_eq!(third.gateway.exit_code(soon()).await.unwrap(), 0);
    both.deregister("dc2", &["ledger"]).await;
    tokio::join!(one.end(), fourth.end());
}
