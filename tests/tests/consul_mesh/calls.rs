//! Services of the gateway's own datacenter, from their registration to their end.

use std::time::Instant;

use gateway_testkit::{
    Backend, ConnectProxy, Consul, Deadline, Envoy, Instance, Place, Script, Via, eventually, wait_for,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::world::{World, id, sidecar, soon, upstream};

pub(crate) async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<()> {
    let mut back = [0; 5];
    stream.write_all(b"hello").await?;
    stream.flush().await?;
    stream.read_exact(&mut back).await?;
    assert_eq!(&back, b"hello");
    Ok(())
}

/// T01, T16: sidecars of three makes are called, by callers of two makes.
#[tokio::test]
async fn sidecars_of_three_makes_are_called() {
    if !Consul::available() || !Envoy::available() {
        return;
    }
    let world = World::start("makes").await;
    let ours = world.instance("makes-ours", "makes-ours-1", |it| it).await;
    let backend = Backend::local(Script::Echo).unwrap();
    let consuls = ConnectProxy::start(&world.server, "makes-consuls", backend.address()).await.unwrap();
    let instance = Instance::new("makes-consuls", "makes-consuls-1", consuls.address());
    world.register("makes-consuls-1", &instance).await;
    let called = world.server.identity("makes-envoys").await.unwrap();
    let anywhere = ([127, 0, 0, 1], 0).into();
    let envoy =
        world.lab.envoy("envoy").called("makes-envoys", &called, anywhere, backend.address()).unwrap();
    let via = world.gateway.address().unwrap();
    let envoy = envoy.caller("to-ours", &world.identity, &upstream("makes-ours"), via).unwrap();
    let envoy = envoy.caller("to-consuls", &world.identity, &upstream("makes-consuls"), via).unwrap();
    let envoy = envoy.caller("to-nobody", &world.identity, &upstream("makes-nothing"), via).unwrap();
    let envoy = envoy.start().await.unwrap();
    let instance = Instance::new("makes-envoys", "makes-envoys-1", envoy.listener("makes-envoys").unwrap());
    world.register("makes-envoys-1", &instance).await;
    for service in ["ours", "consuls", "envoys"] {
        world.until_used(&format!("makes-{service}"), &[&format!("makes-{service}-1")]).await;
    }

    let mut call = world.call("makes-ours").await.unwrap();
    let who = world.server.trust.service_id("frontend", "dc1");
    assert_eq!((&*call.greeting.identity, &*call.greeting.instance), (&*who, "makes-ours-1"));
    assert_eq!(call.greeting.sni.as_deref(), Some(&*world.sni("makes-ours")));
    assert_eq!(call.certificate, *ours.certificate(), "the handshake is with the sidecar itself");
    call.echo(&vec![7; 200_000]).await.unwrap();
    call.close().await.unwrap();
    for service in ["makes-consuls", "makes-envoys"] {
        let mut stream = world.frontend.open(&upstream(service), Via::Local(via)).await.unwrap();
        echo(&mut stream).await.unwrap();
    }
    let mut stream = Place::Here.connect(envoy.listener("to-consuls").unwrap()).await.unwrap();
    echo(&mut stream).await.unwrap();
    let mut stream = Place::Here.connect(envoy.listener("to-ours").unwrap()).await.unwrap();
    let mut greeting = [0; 1];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"{");
    drop(stream);
    let mut stream = Place::Here.connect(envoy.listener("to-nobody").unwrap()).await.unwrap();
    assert_eq!(stream.read(&mut greeting).await.unwrap_or(0), 0);

    let record = async |service: &str, endpoint: std::net::SocketAddr| {
        let endpoint = endpoint.to_string();
        let wanted = |it: &serde_json::Value| it["service"] == service && it["endpoint"] == *endpoint;
        world.gateway.wait_record(soon(), service, wanted).await.unwrap()
    };
    assert_eq!(record("makes-ours", ours.address()).await["reason"], "closed");
    record("makes-consuls", consuls.address()).await;
    record("makes-envoys", envoy.listener("makes-envoys").unwrap()).await;
    let sni = world.sni("makes-nothing");
    let refused = world.gateway.wait_record(soon(), "of nobody", |it| it["sni"] == *sni).await.unwrap();
    assert_eq!((&refused["reason"], &refused["bytes_down"]), (&"unknown_sni".into(), &0.into()));
    world.end().await;
}

/// T17, and a name that comes alive.
#[tokio::test]
async fn a_service_comes_and_goes_and_open_connections_stay() {
    if !Consul::available() {
        return;
    }
    let world = World::start("comes").await;
    assert!(world.call("comes").await.is_err());
    let new = sidecar(&world.server, "comes", "comes-1").await;
    world.register("comes-1", &Instance::new("comes", "comes-1", new.address())).await;
    let began = Instant::now();
    let call = async || world.call("comes").await.ok();
    let mut open =
        wait_for(Deadline::after(std::time::Duration::from_secs(2)), "a call", call).await.unwrap();
    eprintln!("measured: new service until traffic {:?}", began.elapsed());

    // Another instance, then the first one goes.
    let _second = world.instance("comes", "comes-2", |it| it).await;
    world.until_used("comes", &["comes-1", "comes-2"]).await;
    world.server.deregister_instance("comes-1").await.unwrap();
    world.until_used("comes", &["comes-2"]).await;
    assert_eq!(world.whos("comes", 4).await, ["comes-2"; 4]);
    open.echo(b"still here").await.unwrap();
    let mut other = world.call("comes").await.unwrap();
    world.server.deregister_instance("comes-2").await.unwrap();
    world.until_gone("comes").await;
    eventually(soon(), "no call", async || world.call("comes").await.is_err()).await;
    open.echo(&vec![1; 200_000]).await.unwrap();
    other.echo(&vec![2; 200_000]).await.unwrap();
    open.close().await.unwrap();
    other.close().await.unwrap();
    let sni = world.sni("comes");
    let refused = |it: &serde_json::Value| it["sni"] == *sni && it["reason"] == "unknown_sni";
    world.gateway.wait_record(soon(), "of the refusal", refused).await.unwrap();
    world
        .gateway
        .wait_metric(soon(), "gateway_connections_open", &[("service", "comes")], |n| n == 0.0)
        .await
        .unwrap();

    // And once more under the same name.
    let _again = world.instance("comes", "comes-3", |it| it).await;
    world.until_answers("comes", "comes-3").await;
    world.end().await;
}

/// T20: names are compared without case, whoever has written them.
#[tokio::test]
async fn case_does_not_matter() {
    if !Consul::available() {
        return;
    }
    let world = World::start("case").await;
    let backend = Backend::local(Script::Echo).unwrap();
    world.register("Case-1", &Instance::new("Billing-Case", "Case-1", backend.address())).await;
    world.until_used("billing-case", &["Case-1"]).await;
    let lower = world.sni("billing-case");
    for name in [lower.clone(), lower.to_ascii_uppercase(), world.sni("Billing-Case")] {
        let mut stream = Place::Here.connect(world.gateway.address().unwrap()).await.unwrap();
        let hello = gateway_testkit::Hello::new(&name).bytes();
        stream.write_all(&hello).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, hello, "{name} arrives unchanged");
    }
    // The agent keeps the gateway's own name as it is.
    assert_eq!(world.own("case").await.unwrap()["ID"], id("case"));
    world.end().await;
}
