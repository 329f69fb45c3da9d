//! Checks decide who gets new connections, weights how many.

use gateway_testkit::Consul;
use serde_json::json;

use crate::world::{World, sidecar};

/// T18, T19: out with its check and in again; open connections stay, and the last resort is everybody.
#[tokio::test]
async fn an_instance_is_left_while_its_check_fails() {
    if !Consul::available() {
        return;
    }
    let world = World::start("check").await;
    let _one = world.instance("check", "check-1", |it| it).await;
    let _two = world.instance("check", "check-2", |it| it).await;
    world.until_used("check", &["check-1", "check-2"]).await;
    assert_eq!(world.whos("check", 4).await, ["check-1", "check-1", "check-2", "check-2"]);
    let mut open = world.call("check").await.unwrap();
    let (mine, other) = match &*open.greeting.instance {
        "check-1" => ("check-1", "check-2"),
        _ => ("check-2", "check-1"),
    };

    world.server.set_health(mine, "critical").await.unwrap();
    world.until_used("check", &[other]).await;
    assert_eq!(world.whos("check", 4).await, [other; 4]);
    open.echo(b"still here").await.unwrap();
    world.server.set_health(mine, "passing").await.unwrap();
    world.until_used("check", &["check-1", "check-2"]).await;
    assert_eq!(world.whos("check", 4).await, ["check-1", "check-1", "check-2", "check-2"]);

    // Of the service, and of its sidecar alone.
    for id in ["check-1", "check-1-sidecar-proxy"] {
        world.server.maintenance(id, true).await.unwrap();
        world.until_used("check", &["check-2"]).await;
        world.server.maintenance(id, false).await.unwrap();
        world.until_used("check", &["check-1", "check-2"]).await;
    }

    for id in ["check-1", "check-2"] {
        world.server.set_health(id, "critical").await.unwrap();
    }
    world.until_used("check", &[]).await;
    assert_eq!(world.whos("check", 4).await, ["check-1", "check-1", "check-2", "check-2"]);
    open.close().await.unwrap();
    world.end().await;
}

/// Weights while all is well, and the other weight of who warns.
#[tokio::test]
async fn calls_are_dealt_by_weight() {
    if !Consul::available() {
        return;
    }
    let world = World::start("weight").await;
    let _heavy = world.instance("weight", "weight-1", |it| it.weights(5, 1)).await;
    let _light = world.instance("weight", "weight-2", |it| it.weights(1, 1)).await;
    world.until_used("weight", &["weight-1", "weight-2"]).await;
    let heavy =
        async |calls| world.whos("weight", calls).await.iter().filter(|it| **it == "weight-1").count();
    let all = heavy(24).await;
    assert!((18..=22).contains(&all), "{all} of 24 calls by weights 5 and 1");

    world.server.set_health("weight-1", "warning").await.unwrap();
    let weights = async || {
        let set = world.set("weight").await?;
        let weights: Vec<_> = set["endpoints"].as_array()?.iter().map(|it| it["weight"].as_u64()).collect();
        (weights == [Some(1), Some(1)]).then_some(())
    };
    gateway_testkit::wait_for(crate::world::soon(), "the weight of who warns", weights).await.unwrap();
    let half = heavy(12).await;
    assert!((5..=7).contains(&half), "{half} of 12 calls by weights 1 and 1");
    world.end().await;
}

/// T06, T07, row 53: instances of nodes that have no agent; the node's check counts, its address is the default, and
/// an address for others is not for here.
#[tokio::test]
async fn nodes_have_addresses_and_checks_too() {
    if !Consul::available() {
        return;
    }
    let world = World::start("node").await;
    let server = &world.server;
    let (one, two) = (sidecar(server, "node", "node-1").await, sidecar(server, "node", "node-2").await);
    let document = |at: u32, status: &str| {
        let (id, sidecar) = (format!("node-{at}-sidecar-proxy"), if at == 1 { &one } else { &two });
        let mut service = json!({
            "Kind": "connect-proxy", "ID": id, "Service": "node-sidecar-proxy", "Port": sidecar.address().port(),
            "Proxy": {"DestinationServiceName": "node", "DestinationServiceID": format!("node-{at}")},
        });
        if at == 2 {
            service["Address"] = sidecar.address().ip().to_string().into();
            service["TaggedAddresses"] = json!({"wan": {"Address": "192.0.2.1", "Port": 1}});
        }
        json!({
            "Node": format!("foreign-{at}"), "Service": service,
            "Address": if at == 1 { "127.0.0.1" } else { "192.0.2.9" },
            "Checks": [
                {"CheckID": "disk", "Name": "of the node", "Status": status},
                {"CheckID": "service", "Name": "of the service", "ServiceID": id, "Status": "passing"},
            ],
        })
    };
    for at in [1, 2] {
        let service = json!({"ID": format!("node-{at}"), "Service": "node", "Port": 1});
        let address = document(at, "passing")["Address"].take();
        let itself = json!({"Node": format!("foreign-{at}"), "Address": address, "Service": service});
        server.catalog_register(&itself).await.unwrap();
        server.catalog_register(&document(at, "passing")).await.unwrap();
    }
    world.until_used("node", &["node-1", "node-2"]).await;
    assert_eq!(world.whos("node", 4).await, ["node-1", "node-1", "node-2", "node-2"]);
    server.catalog_register(&document(1, "critical")).await.unwrap();
    world.until_used("node", &["node-2"]).await;
    assert_eq!(world.whos("node", 4).await, ["node-2"; 4]);
    server.catalog_register(&document(1, "passing")).await.unwrap();
    world.until_used("node", &["node-1", "node-2"]).await;
    for at in [1, 2] {
        server.catalog_deregister(&json!({"Node": format!("foreign-{at}")})).await.unwrap();
    }
    world.until_gone("node").await;
    world.end().await;
}
