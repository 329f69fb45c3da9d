//! A small mesh: two datacenters with a mesh gateway each; resolvers with subsets, a default subset, failover and a
//! redirect; defaults; a service outside of the mesh behind a terminating gateway; a failing instance.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use gateway_testkit::{Api, Consul, Deadline, Instance, TwoConsuls, Version, wait_for};
use serde_json::{Value, json};

pub(crate) async fn build(both: &TwoConsuls) -> Result<()> {
    let (dc1, dc2) = (&both.dc1, &both.dc2);
    for entry in entries() {
        dc1.config_write(&entry).await?;
    }
    if Consul::version()? >= Version(1, 10, 0) {
        let mesh = json!({"Kind": "mesh", "TransparentProxy": {"MeshDestinationsOnly": false}});
        dc1.config_write(&mesh).await?;
    }
    let allow = json!({"SourceName": "frontend", "DestinationName": "billing", "Action": "allow"});
    if Consul::version()? < Version(1, 9, 0) {
        dc1.api().request("POST", "/v1/connect/intentions", allow.to_string().as_bytes()).await?;
    } else {
        let sources = json!([{"Name": "frontend", "Action": "allow"}]);
        let entry = json!({"Kind": "service-intentions", "Name": "billing", "Sources": sources});
        dc1.config_write(&entry).await?;
    }
    for (consul, host) in [(dc1, 1), (dc2, 2)] {
        consul.register(&gateway("mesh-gateway", "mesh-gateway", host)).await?;
    }
    dc1.register(&gateway("terminating-gateway", "egress", 1)).await?;
    let sidecar = |port| SocketAddr::from(([127, 0, 0, 1], port));
    for instance in [
        Instance::new("billing", "billing-1", sidecar(21001)).meta("version", "1").tag("v1"),
        Instance::new("billing", "billing-2", sidecar(21002)).meta("version", "2").tag("v2").weights(5, 1),
        Instance::new("billing", "billing-3", sidecar(21003)).meta("version", "2").tag("v2"),
        Instance::new("web", "web-1", sidecar(21004)),
        Instance::new("frontend", "frontend-1", sidecar(21005)),
    ] {
        dc1.register_instance(&instance).await?;
    }
    dc1.set_health("billing-3", "critical").await?;
    for instance in [
        Instance::new("billing", "billing-11", sidecar(22001)).meta("version", "1"),
        Instance::new("accounts", "accounts-1", sidecar(22002)),
    ] {
        dc2.register_instance(&instance).await?;
    }
    let legacy =
        json!({"ID": "legacy-1", "Service": "legacy", "Address": "db.example.internal", "Port": 5432});
    let outside = json!({"Node": "outside", "Address": "10.9.9.9", "NodeMeta": {"external-node": "true"}, "Service": legacy});
    dc1.catalog_register(&outside).await?;
    settled(dc1, dc2).await
}

fn entries() -> Vec<Value> {
    vec![
        json!({"Kind": "proxy-defaults", "Name": "global", "MeshGateway": {"Mode": "local"}}),
        json!({"Kind": "service-defaults", "Name": "billing", "Protocol": "tcp"}),
        json!({"Kind": "service-defaults", "Name": "web", "Protocol": "http"}),
        json!({
            "Kind": "service-resolver", "Name": "billing", "DefaultSubset": "v1", "ConnectTimeout": "3s",
            "Subsets": {
                "v1": {"Filter": "Service.Meta.version == 1"},
                "v2": {"Filter": "Service.Meta.version == 2", "OnlyPassing": true},
            },
            "Failover": {"v2": {"Datacenters": ["dc2"]}},
        }),
        json!({"Kind": "service-resolver", "Name": "accounting", "Redirect": {"Service": "accounts", "Datacenter": "dc2"}}),
        json!({"Kind": "terminating-gateway", "Name": "egress", "Services": [{"Name": "legacy"}]}),
    ]
}

fn gateway(kind: &str, name: &str, host: u8) -> Value {
    let address = |host: u8, port: u16| json!({"Address": format!("127.0.0.{host}"), "Port": port});
    json!({
        "Kind": kind, "ID": name, "Name": name, "Address": format!("127.0.0.{host}"), "Port": 8443,
        "TaggedAddresses": {"lan": address(host, 8443), "wan": address(host + 100, 8444)},
        "Check": {"Name": format!("{name} listening"), "TTL": "1h", "Status": "passing"},
        "Proxy": {"Config": {"envoy_gateway_bind_tagged_addresses": true, "envoy_gateway_no_default_bind": true}},
    })
}

/// Waits until what was registered is in the catalogs, and each side has heard of the other's gateway.
async fn settled(dc1: &Consul, dc2: &Consul) -> Result<()> {
    let rows = async |api: &Api, path: &str| api.get(path).await.ok()?.as_array().map(Vec::len);
    let there = async || {
        let (one, two) = (dc1.api(), dc2.api());
        let counts = [
            rows(&one, "/v1/health/connect/billing").await?,
            rows(&one, "/v1/health/connect/billing?passing").await?,
            rows(&one, "/v1/health/connect/legacy").await?,
            rows(&two, "/v1/health/connect/accounts").await?,
        ];
        let states = one.get("/v1/internal/federation-states/mesh-gateways").await.ok()?;
        let gateways =
            ["dc1", "dc2"].iter().all(|dc| states[dc].as_array().is_some_and(|rows| !rows.is_empty()));
        (counts == [3, 2, 1, 1] && gateways).then_some(())
    };
    wait_for(Deadline::after(std::time::Duration::from_secs(60)), "the scene in the catalogs", there).await?;
    let services = dc1.api().get("/v1/catalog/services").await?;
    ensure!(services["legacy"].is_array(), "no external service in {services}");
    Ok(())
}
