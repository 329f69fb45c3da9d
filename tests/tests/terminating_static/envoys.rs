//! Envoy as the caller's sidecar, with a static configuration and leaf files.

use gateway_testkit::{Envoy, MeshIdentity, Place, Upstream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use crate::world::{Plan, rule, soon};

async fn through(envoy: &Envoy, listener: &str) -> BufStream<TcpStream> {
    BufStream::new(Place::Here.connect(envoy.listener(listener).unwrap()).await.unwrap())
}

/// The first line, or nothing if the connection ends before.
async fn line(stream: &mut BufStream<TcpStream>) -> String {
    let mut line = String::new();
    // A reset is an end, too.
    let read = tokio::time::timeout(soon().remaining(), stream.read_line(&mut line)).await;
    assert!(read.is_ok(), "neither a line nor an end");
    line
}

#[tokio::test]
async fn envoy_calls_a_linked_service() {
    if !Envoy::available() {
        return;
    }
    let (plan, billing) = Plan::billing();
    let world = plan.start().await;
    let identity = |service: &str| MeshIdentity::development(&world.pki, service, "dc1").unwrap();
    let (to, via) = (Upstream::new("billing", "dc1"), world.address());
    let envoy = world.lab.envoy("envoy");
    let envoy = envoy.caller("web", &identity("web"), &to, via).unwrap();
    let envoy = envoy.caller("cron", &identity("cron"), &to, via).unwrap().start().await.unwrap();
    for _ in 0..3 {
        let mut stream = through(&envoy, "web").await;
        assert_eq!(line(&mut stream).await, "billing-1\n");
        stream.write_all(&vec![b'x'; 200_000]).await.unwrap();
        stream.flush().await.unwrap();
        let mut back = vec![0; 200_000];
        stream.read_exact(&mut back).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut back).await.unwrap(), 0, "the end comes back");
    }
    let before = billing.seen().len();
    assert_eq!(before, 3);
    let mut stream = through(&envoy, "cron").await;
    assert_eq!(line(&mut stream).await, "", "who is denied gets nothing");
    let denied = world
        .gateway
        .wait_record(soon(), "of the denial", |record| record["reason"] == "denied")
        .await
        .unwrap();
    assert_eq!(denied["source"], world.pki.service_id("cron", "dc1"));
    assert_eq!(billing.seen().len(), before);

    // While it is connected.
    let mut open = through(&envoy, "web").await;
    assert_eq!(line(&mut open).await, "billing-1\n");
    world.intentions("billing", &[&rule("web", "deny")]);
    assert_eq!(line(&mut open).await, "");
    let cut = |record: &serde_json::Value| record["reason"] == "intention_changed";
    world.gateway.wait_record(soon(), "of the cut", cut).await.unwrap();
}
