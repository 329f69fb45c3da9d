//! What the gateway registers is what Consul's own command registers for the same flags.

use gateway_testkit::{Consul, Fetched, wait_for};
use serde_json::Value;

use crate::world::{GATEWAY, World, soon};

/// Service and check, as the agent has them; what time makes of a check is left out.
async fn registered(consul: &Consul) -> Option<(Value, Vec<Value>)> {
    let api = consul.api();
    let mut service = api.get(&format!("/v1/agent/service/{GATEWAY}")).await.ok()?;
    for counted in ["CreateIndex", "ModifyIndex"] {
        service.as_object_mut()?.remove(counted);
    }
    let checks = api.get("/v1/agent/checks").await.ok()?;
    let checks = checks.as_object()?.values().filter(|check| check["ServiceID"] == GATEWAY).cloned();
    let timeless = checks.map(|mut check| {
        for key in ["Status", "Output"] {
            check[key] = Value::Null;
        }
        check
    });
    Some((service, timeless.collect()))
}

#[tokio::test]
async fn the_registration_is_that_of_consuls_own_command() {
    if !Consul::available() {
        return;
    }
    let world = World::new().await;
    let own = wait_for(soon(), "the registration", async || registered(&world.consul).await).await.unwrap();
    assert_eq!((own.0["Kind"].as_str(), own.1.len()), (Some("terminating-gateway"), 1));
    assert_eq!(own.1[0]["Name"], "terminating-gateway listening");

    let mut command = tokio::process::Command::new(Fetched::Consul.need().unwrap());
    command.args(["connect", "envoy", "-gateway=terminating", "-register", "-bootstrap"]);
    command.args([&format!("-service={GATEWAY}"), "-address=127.0.0.1:8443"]);
    command.arg(format!("-http-addr={}", world.consul.http()));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(registered(&world.consul).await, Some(own));
}
