//! A gateway that no agent knows: it enters itself into the catalog of a server, and keeps itself there.

use std::time::Duration;

use gateway_testkit::{Consul, Deadline, Instance, Lab, Signal, eventually, wait_for};
use serde_json::{Value, json};

use crate::server::{Of, Server};
use crate::world::{World, sidecar, soon};

async fn rows(consul: &Consul) -> Vec<Value> {
    let rows = consul.api().get("/v1/health/service/mesh-gateway").await.unwrap();
    let rows = rows.as_array().unwrap().iter();
    rows.filter(|row| row["Node"]["Node"] == "edge").cloned().collect()
}

#[tokio::test]
async fn a_gateway_without_an_agent_keeps_itself_in_the_catalog() {
    if !Consul::available() {
        return;
    }
    let (lab, server) = (Lab::new().unwrap(), Server::shared(Of::NoGateways).await);
    let gateway =
        lab.gateway("gateway").register().flag("node-name", "edge").flag("proxy-id", "edge-gateway");
    let gateway = gateway.setting("TIMERS_CONSUL_AGENTLESS_REFRESH", "500ms");
    let world = World::on(lab, server, gateway).await;
    let server = &world.server;
    let passing = async || {
        let rows = rows(server).await;
        let checks = rows.first().and_then(|row| row["Checks"].as_array()).cloned().unwrap_or_default();
        !checks.is_empty() && checks.iter().all(|check| check["Status"] == "passing")
    };
    eventually(soon(), "a passing gateway of node edge", passing).await;
    let row = rows(server).await.remove(0);
    assert_eq!(
        (&row["Service"]["ID"], &row["Service"]["Kind"]),
        (&"edge-gateway".into(), &"mesh-gateway".into())
    );
    assert_eq!(row["Service"]["Port"], world.gateway.address().unwrap().port());
    let own = sidecar(server, "agentless", "agentless-1").await;
    world.register("agentless-1", &Instance::new("agentless", "agentless-1", own.address())).await;
    world.until_answers("agentless", "agentless-1").await;

    // Whatever is taken away comes back: the service, the whole node, the check's status.
    for taken in [json!({"Node": "edge", "ServiceID": "edge-gateway"}), json!({"Node": "edge"})] {
        server.catalog_deregister(&taken).await.unwrap();
        eventually(soon(), "the gateway again", passing).await;
    }
    let mut check = rows(server).await.remove(0)["Checks"][0].take();
    check["Status"] = "critical".into();
    let update =
        json!({"Node": "edge", "SkipNodeUpdate": true, "Address": row["Node"]["Address"], "Check": check});
    server.catalog_register(&update).await.unwrap();
    eventually(soon(), "a passing check again", passing).await;
    assert_eq!(world.who("agentless").await, "agentless-1");
    assert!(world.admin().is_ready().await.unwrap());

    // Nobody else would take it out.
    let open = world.call("agentless").await.unwrap();
    world.gateway.signal(Signal::TERM).unwrap();
    let told = async || rows(server).await[0]["Checks"].to_string().contains("critical");
    eventually(soon(), "a critical check while it drains", told).await;
    open.close().await.unwrap();
    assert_eq!(world.gateway.exit_code(soon()).await.unwrap(), 0);
    assert!(rows(server).await.is_empty());
    let node = server.api().get("/v1/catalog/node/edge").await.unwrap();
    assert!(node.is_null(), "{node}");
    world.end().await;
}

/// Row 38: a Consul without a leader is waited for, but not for ever.
#[tokio::test]
async fn a_catalog_that_takes_no_registration_ends_the_process_after_a_while() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    // Two more servers that never come.
    let consul = lab.consul("lonely").unwrap().servers(3).spawn_only().unwrap();
    let answers = async || consul.api().request("GET", "/v1/status/leader", b"").await.ok();
    wait_for(soon(), "an answer", answers).await.unwrap();
    let gateway = lab.gateway("gateway").consul(&consul).register().flag("node-name", "edge");
    let gateway = gateway.setting("TIMERS_CONSUL_REGISTER", "2s").spawn().unwrap();
    let code = gateway.exit_code(Deadline::after(Duration::from_secs(40))).await.unwrap();
    let log = gateway.log_tail(20);
    assert!(code == 3 && log.contains("No cluster leader"), "{code}\n{log}");
}
