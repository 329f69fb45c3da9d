//! A gateway whose registration somebody else has made and changes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gateway_testkit::{Backend, Consul, Gateway, Instance, Lab, Loopback, Place, Signal, Via, eventually};
use serde_json::{Value, json};

use crate::server::{Of, Server};
use crate::world::{World, id, sidecar, soon, until_snapshot, upstream, who};

fn document(id: &str, at: SocketAddr, wan: Option<SocketAddr>, config: &Value) -> Value {
    let mut document = json!({
        "Kind": "mesh-gateway", "Name": "mesh-gateway", "ID": id, "Address": at.ip().to_string(), "Port": at.port(),
        "Proxy": {"Config": config},
    });
    if let Some(wan) = wan {
        let tagged = |at: SocketAddr| json!({"Address": at.ip().to_string(), "Port": at.port()});
        document["TaggedAddresses"] = json!({"lan": tagged(at), "wan": tagged(wan)});
    }
    document
}

fn listening(gateway: &Gateway) -> Vec<(String, String)> {
    let lines = gateway.log().all();
    let lines = lines.iter().filter(|line| line["message"] == "listening");
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    lines.map(|line| (text(line, "listener"), text(line, "address"))).collect()
}

/// T64, T65: addresses and options are the registration's, and followed.
#[tokio::test]
async fn addresses_and_options_are_the_registrations() {
    if !Consul::available() {
        return;
    }
    let server = Server::shared(Of::All).await;
    let own = Loopback::claim().unwrap();
    let extra = own.at(1);
    let config = json!({
        "connect_timeout_ms": "700", "envoy_gateway_bind_tagged_addresses": true,
        "envoy_gateway_bind_addresses": {"extra": {"address": extra.ip().to_string(), "port": extra.port()}},
        "envoy_stats_tags": ["x=y"],
    });
    server.register(&document(&id("options"), own.at(0), Some(own.at(2)), &config)).await.unwrap();
    let world = World::start_with("options", |it| it.address_as_registered()).await;
    let named = |name: &str, at: SocketAddr| (name.to_owned(), at.to_string());
    let wanted = [named("default", own.at(0)), named("extra", extra), named("wan", own.at(2))];
    assert_eq!(listening(&world.gateway), wanted, "the LAN address is the default one, and open once");
    let ignored =
        |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("envoy_stats_tags"));
    world.gateway.wait_log(soon(), "of what only Envoy has", ignored).await.unwrap();

    let _one = world.instance("options", "options-1", |it| it).await;
    world.until_answers("options", "options-1").await;
    let mut open = Vec::new();
    for at in [own.at(0), extra, own.at(2)] {
        open.push(world.frontend.call(&upstream("options"), Via::Local(at)).await.unwrap());
    }
    let hole = Backend::black_hole(&Place::Here, ([127, 0, 0, 1], 0).into()).await.unwrap();
    world.register("options-hole-1", &Instance::new("options-hole", "options-hole-1", hole.address())).await;
    world.until_used("options-hole", &["options-hole-1"]).await;
    let began = Instant::now();
    assert!(world.call("options-hole").await.is_err());
    let took = began.elapsed();
    assert!((Duration::from_millis(650)..Duration::from_secs(3)).contains(&took), "{took:?}");

    // Another port, and an address for others that this host does not have.
    let nat = ([192, 0, 2, 4], 443).into();
    let config = json!({"envoy_gateway_bind_tagged_addresses": true});
    server.register(&document(&id("options"), own.at(3), Some(nat), &config)).await.unwrap();
    let moved = async || listening(&world.gateway).last() == Some(&named("default", own.at(3)));
    eventually(soon(), "the new listener", moved).await;
    for gone in [own.at(0), extra, own.at(2)] {
        eventually(soon(), "the old one to be closed", async || Place::Here.connect(gone).await.is_err())
            .await;
    }
    let skipped = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("192.0.2.4:443"));
    let line = world.gateway.wait_log(soon(), "of the address of others", skipped).await.unwrap();
    assert!(line["message"].as_str().unwrap().contains("only advertised"), "{line}");
    for call in &mut open {
        call.echo(b"still here").await.unwrap();
    }
    let via = Via::Local(own.at(3));
    assert_eq!(
        who(world.frontend.call(&upstream("options"), via).await.unwrap()).await.unwrap(),
        "options-1"
    );
    assert!(world.admin().is_ready().await.unwrap());
    assert_eq!(listening(&world.gateway).len(), 4);
    server.deregister(&id("options")).await.unwrap();
    world.end().await;
}

/// Row 36: without a registration it serves, and is not ready.
#[tokio::test]
async fn a_registration_that_others_take_away_is_theirs_to_restore() {
    if !Consul::available() {
        return;
    }
    let server = Server::shared(Of::All).await;
    let own = Loopback::claim().unwrap();
    let ours = document(&id("taken"), own.at(0), None, &json!({}));
    server.register(&ours).await.unwrap();
    let world = World::start_with("taken", |it| it.address_as_registered()).await;
    let _one = world.instance("taken", "taken-1", |it| it).await;
    world.until_answers("taken", "taken-1").await;
    server.deregister(&id("taken")).await.unwrap();
    eventually(soon(), "not to be ready", async || !world.admin().is_ready().await.unwrap()).await;
    let page = world.admin().get("/ready").await.unwrap();
    assert!(page.body.contains(&id("taken")) && page.body.contains("--register"), "{}", page.body);
    assert_eq!(world.who("taken").await, "taken-1");
    let _two = world.instance("taken", "taken-2", |it| it).await;
    world.until_used("taken", &["taken-1", "taken-2"]).await;
    server.register(&ours).await.unwrap();
    eventually(soon(), "to be ready", async || world.admin().is_ready().await.unwrap()).await;
    assert_eq!(listening(&world.gateway).len(), 1);
    world.gateway.signal(Signal::TERM).unwrap();
    assert_eq!(world.gateway.exit_code(soon()).await.unwrap(), 0);
    // What it has not made it does not touch.
    let checks = server.api().get("/v1/agent/checks").await.unwrap().to_string();
    assert!(world.own("taken").await.is_ok() && !checks.contains("maintenance:gateway-taken"), "{checks}");
    server.deregister(&id("taken")).await.unwrap();
    world.end().await;
}

/// Neither name nor ID: it is the one gateway of the agent, as soon as there is one.
#[tokio::test]
async fn the_only_gateway_of_an_agent_is_found() {
    if !Consul::available() {
        return;
    }
    let (lab, server) = (Lab::new().unwrap(), Server::shared(Of::NoGateways).await);
    let own = Loopback::claim().unwrap();
    let gateway = lab.gateway("gateway").consul(&server).address_as_registered().spawn().unwrap();
    eventually(soon(), "the admin endpoint", async || gateway.admin().is_ok()).await;
    let reason = async |words: &str| {
        let what = format!("not ready: {words}");
        let said =
            async || gateway.admin().unwrap().get("/ready").await.is_ok_and(|it| it.body.contains(words));
        eventually(soon(), &what, said).await;
    };
    reason("no mesh-gateway services registered").await;
    for (name, at) in [("first", own.at(0)), ("second", own.at(1))] {
        server.register(&document(name, at, None, &json!({}))).await.unwrap();
    }
    reason("multiple are registered").await;
    server.deregister("second").await.unwrap();
    eventually(soon(), "to be ready", async || gateway.admin().unwrap().is_ready().await.unwrap()).await;
    assert_eq!(listening(&gateway), [("default".to_owned(), own.at(0).to_string())]);
    let sidecar = sidecar(&server, "only", "only-1").await;
    server.register_instance(&Instance::new("only", "only-1", sidecar.address())).await.unwrap();
    let served = |page: &Value| page["names"]["rows"].to_string().contains("only.default");
    until_snapshot(&gateway, "the service", served).await;
    server.deregister_instance("only-1").await.unwrap();
    server.deregister("first").await.unwrap();
}
