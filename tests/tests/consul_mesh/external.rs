//! A service outside of the mesh, which a terminating gateway stands for.

use gateway_testkit::{Consul, Instance};
use serde_json::json;

use crate::world::{World, sidecar};

#[tokio::test]
async fn an_external_service_is_reached_through_its_terminating_gateway() {
    if !Consul::available() {
        return;
    }
    let world = World::start("external").await;
    let server = &world.server;
    // A terminating gateway proves the external service's identity.
    let gateway = sidecar(server, "external", "terminating").await;
    server
        .catalog_register(&json!({
            "Node": "outside", "Address": "192.0.2.7",
            "Service": {"ID": "external-1", "Service": "external", "Port": 443},
        }))
        .await
        .unwrap();
    server
        .register(&json!({
            "Kind": "terminating-gateway", "Name": "external-gateway", "ID": "external-gateway",
            "Address": "127.0.0.1", "Port": gateway.address().port(),
        }))
        .await
        .unwrap();
    let entry = |services: serde_json::Value| json!({"Kind": "terminating-gateway", "Name": "external-gateway", "Services": services});
    server.config_write(&entry(json!([{"Name": "external"}]))).await.unwrap();
    world.until_answers("external", "terminating").await;
    let set = world.set("external").await.unwrap();
    assert_eq!(set["endpoints"][0]["address"], gateway.address().to_string());

    // It stands for it no longer.
    server.config_write(&entry(json!([]))).await.unwrap();
    world.until_gone("external").await;
    // A sidecar takes its place: what was asked before is not in the way.
    let inside = sidecar(server, "external", "inside").await;
    world.register("inside", &Instance::new("external", "inside", inside.address())).await;
    world.until_answers("external", "inside").await;
    server.config_delete("terminating-gateway", "external-gateway").await.unwrap();
    server.deregister("external-gateway").await.unwrap();
    server.catalog_deregister(&json!({"Node": "outside"})).await.unwrap();
    world.end().await;
}
