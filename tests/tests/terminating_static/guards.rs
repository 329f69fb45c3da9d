//! What strangers may cost: half a hello, a slow handshake, many of them; and where connections leave from.

use std::time::{Duration, Instant};

use gateway_testkit::{Document, Hello, Place, eventually, pause, trickle};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Plan, World, external, soon};

async fn say(world: &World, bytes: &[u8]) -> TcpStream {
    let mut stream = Place::Here.connect(world.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads to the end, whatever it is; how much came.
async fn ended(stream: &mut TcpStream) -> usize {
    let mut answer = Vec::new();
    let end = tokio::time::timeout(soon().remaining(), stream.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "the connection stays open");
    answer.len()
}

/// Row 9.
#[tokio::test]
async fn half_a_hello_is_closed_at_the_deadline() {
    let (plan, billing) = Plan::billing();
    let world = plan.start_with(|gateway| gateway.setting("TIMERS_HANDSHAKE", "700ms")).await;
    let (mut bystander, _) = world.call("web", "billing").await.unwrap();
    let hello = Hello::new(&world.sni("billing")).bytes();
    let began = Instant::now();
    let mut stream = say(&world, &hello[..hello.len() / 2]).await;
    assert_eq!(ended(&mut stream).await, 0);
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    let record = world.record_of(stream.local_addr().unwrap()).await;
    assert_eq!(record["reason"], "hello_timeout");
    bystander.echo(b"not disturbed").await.unwrap();
    assert_eq!(billing.seen().len(), 1);
}

/// A whole hello, then nothing, or a byte now and then: the deadline is for the handshake as a whole.
#[tokio::test]
async fn a_slow_handshake_is_cut_at_its_deadline() {
    let (plan, billing) = Plan::billing();
    let world = plan.start_with(|gateway| gateway.setting("TIMERS_HANDSHAKE", "900ms")).await;
    let (mut bystander, _) = world.call("web", "billing").await.unwrap();
    let hello = Hello::new(&world.sni("billing")).bytes();
    for slowly in [false, true] {
        let began = Instant::now();
        let mut stream = say(&world, &hello).await;
        let local = stream.local_addr().unwrap();
        if slowly {
            // The beginning of a record that never comes to its end.
            let (mut read, mut write) = stream.into_split();
            let record = [&[23, 3, 3, 0x40, 0][..], &[0; 2000]].concat();
            let writing = tokio::spawn(async move {
                // Until the gateway has enough of it.
                let _ =
                    trickle(&mut write, &record, 1, async |_| pause(Duration::from_millis(20)).await).await;
            });
            let mut answer = Vec::new();
            let end = tokio::time::timeout(soon().remaining(), read.read_to_end(&mut answer)).await;
            assert!(end.is_ok(), "the connection stays open");
            writing.abort();
        } else {
            ended(&mut stream).await;
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(800) && took < Duration::from_secs(6), "{took:?}");
        let record = world.record_of(local).await;
        assert_eq!(
            (&record["reason"], &record["service"]),
            (&"handshake_timeout".into(), &"billing".into()),
            "{slowly}"
        );
    }
    bystander.echo(b"not disturbed").await.unwrap();
    assert_eq!(billing.seen().len(), 1);
}

/// More handshakes than a worker may have: one more is refused at once, and whoever is connected does not notice.
#[tokio::test]
async fn a_flood_of_handshakes_is_bounded() {
    let (plan, billing) = Plan::billing();
    let world = plan
        .start_with(|gateway| {
            let gateway = gateway.setting("LIMITS_HANDSHAKES", "8").setting("TIMERS_HANDSHAKE", "4s");
            gateway.setting("WORKERS", "1")
        })
        .await;
    let (mut bystander, _) = world.call("web", "billing").await.unwrap();
    let hello = Hello::new(&world.sni("billing")).bytes();
    let mut flood = Vec::new();
    for _ in 0..40 {
        flood.push(say(&world, &hello).await);
    }
    let refused = [("reason", "handshake_limit")];
    let refused =
        world.gateway.wait_metric(soon(), "gateway_connections_total", &refused, |count| count >= 32.0);
    assert_eq!(refused.await.unwrap(), 32.0);
    let under_way = world.metric("gateway_tls_handshakes_in_flight", &[]).await;
    assert!(under_way <= 8.0, "{under_way}");
    bystander.echo(b"not disturbed").await.unwrap();
    // Their time passes, and everybody may come again.
    let timed_out = [("reason", "handshake_timeout")];
    let timed_out =
        world.gateway.wait_metric(soon(), "gateway_connections_total", &timed_out, |count| count >= 8.0);
    timed_out.await.unwrap();
    assert_eq!(world.who("web", "billing").await, "billing-1");
    assert_eq!(world.metric("gateway_tls_handshakes_in_flight", &[]).await, 0.0);
    assert_eq!(billing.seen().len(), 2);
    drop(flood);
}

/// A caller that is denied and does not go: it holds its place for the setting's time and no longer.
#[tokio::test]
async fn a_denied_caller_that_does_not_leave_is_left() {
    let (plan, billing) = Plan::billing();
    let world = plan.start_with(|gateway| gateway.setting("TIMERS_DENIED_CLOSE", "300ms")).await;
    let mut connection = world.connect(&world.caller("cron"), "billing").await.unwrap();
    // The other side is at its end; this one keeps its own open.
    let (bytes, _) = connection.ended().await.unwrap();
    assert_eq!(bytes, b"");
    assert_eq!(world.record_of(connection.local).await["reason"], "denied");
    let none = async || world.metric("gateway_open_connections", &[]).await == 0.0;
    eventually(soon(), "no open connection", none).await;
    assert_eq!(billing.seen().len(), 0);
}

/// Where connections leave from.
#[tokio::test]
async fn connections_leave_from_the_address_of_the_setting() {
    let (mut plan, billing) = Plan::billing();
    let (search, lost) = (external("search-1"), external("lost-1"));
    plan.service("search", Document::new().external("search", search.address(), ""));
    plan.service("lost", Document::new().external("lost", lost.address(), ""));
    plan.allow("web", "*");
    let config = plan.lab.dir().join("config.toml");
    let text = "source_address = \"127.0.0.9\"\n[services.\"search\"]\nsource_address = \"127.0.0.8\"\n\
                [services.\"lost\"]\nsource_address = \"203.0.113.77\"\n";
    std::fs::write(&config, text).unwrap();
    let world = plan.start_with(|gateway| gateway.config(&config)).await;
    for (service, name) in [("billing", "billing-1"), ("search", "search-1")] {
        assert_eq!(world.who("web", service).await, name);
    }
    let from = |backend: &gateway_testkit::Backend| backend.seen()[0].peer.ip().to_string();
    assert_eq!((from(&billing), from(&search)), ("127.0.0.9".to_owned(), "127.0.0.8".to_owned()));
    // An address that this host does not have: that service alone.
    let (record, _) = world.refusal(&world.caller("web"), "lost").await;
    assert_eq!(record["reason"], "source_address", "{record}");
    assert_eq!(lost.seen().len(), 0);
    assert_eq!(world.who("web", "billing").await, "billing-1");
    let _: &Value = &record;
}
