//! Envoy with leaf files that Consul signed, as the caller's sidecar.

use gateway_testkit::{Consul, Envoy, Place, Upstream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};

use crate::world::{Acls, World, soon};

#[tokio::test]
async fn envoy_calls_and_is_judged() {
    if !Consul::available() || !Envoy::available() {
        return;
    }
    let (world, billing) = World::billing(Acls::On).await;
    let (to, via) = (Upstream::new("billing", "dc1"), world.address());
    let mut envoy = world.lab.envoy("envoy");
    for service in ["web", "cron"] {
        envoy = envoy.caller(service, &world.consul.identity(service).await.unwrap(), &to, via).unwrap();
    }
    let envoy = envoy.start().await.unwrap();
    let through = async |listener: &str| {
        let stream = Place::Here.connect(envoy.listener(listener).unwrap()).await.unwrap();
        let mut stream = BufStream::new(stream);
        let mut line = String::new();
        // A reset is an end, too.
        let read = tokio::time::timeout(soon().remaining(), stream.read_line(&mut line)).await;
        assert!(read.is_ok(), "neither a line nor an end");
        (stream, line)
    };
    let (mut stream, line) = through("web").await;
    assert_eq!(line, "billing-1\n");
    stream.write_all(&vec![b'x'; 100_000]).await.unwrap();
    stream.flush().await.unwrap();
    let mut back = vec![0; 100_000];
    stream.read_exact(&mut back).await.unwrap();
    let before = billing.seen().len();
    assert_eq!(through("cron").await.1, "");
    assert_eq!(billing.seen().len(), before);
    world.intention("web", "billing", "deny").await;
    let mut rest = Vec::new();
    let end = tokio::time::timeout(soon().remaining(), stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the connection stays open");
    let cut = |record: &serde_json::Value| record["reason"] == "intention_changed";
    world.gateway.wait_record(soon(), "of the cut", cut).await.unwrap();
}
