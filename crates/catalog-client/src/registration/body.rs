//! The bodies of the writes. Their fields are those of Consul 1.8: agents answer an unknown one with
//! 400, so nothing newer is ever sent.

use super::{
    address::HostPort,
    gateway::{Bind, GatewayRegistration, WAN_FEDERATION},
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Body of `PUT /v1/agent/service/register`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AgentService<'a> {
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: &'a BTreeMap<String, HostPort>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    meta: BTreeMap<&'a str, &'a str>,
    check: AgentCheck<'a>,
    // Consul's command line sends it, always null.
    checks: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Proxy>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AgentCheck<'a> {
    name: String,
    interval: &'a str,
    #[serde(rename = "TCP")]
    tcp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deregister_critical_service_after: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Proxy {
    config: Map<String, Value>,
    mesh_gateway: Empty,
    expose: Empty,
}

#[derive(Serialize)]
struct Empty {}

/// Body of `PUT /v1/catalog/register`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CatalogNode<'a> {
    node: &'a str,
    address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    node_meta: &'a BTreeMap<String, String>,
    service: CatalogService<'a>,
    checks: [CatalogCheck<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CatalogService<'a> {
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    port: u16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: &'a BTreeMap<String, HostPort>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    meta: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Proxy>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CatalogCheck<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: String,
    name: String,
    status: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
}

/// Body of `PUT /v1/catalog/deregister`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CatalogRemoval<'a> {
    node: &'a str,
    #[serde(rename = "ServiceID", skip_serializing_if = "Option::is_none")]
    service_id: Option<&'a str>,
}

pub(super) fn agent_service(it: &GatewayRegistration) -> Bytes {
    encode(&AgentService {
        kind: it.kind.as_str(),
        id: &it.id,
        name: &it.name,
        port: it.port,
        address: it.address.as_deref(),
        tagged_addresses: &it.tagged,
        meta: meta(it),
        check: AgentCheck {
            name: it.check_name(),
            interval: "10s",
            tcp: it.check.to_string(),
            deregister_critical_service_after: it.deregister_after.as_deref(),
        },
        checks: (),
        proxy: proxy(it),
    })
}

/// `failure` is why the check is critical; `None`: it passes.
pub(super) fn catalog_service(
    it: &GatewayRegistration,
    node: &str,
    address: &str,
    node_meta: &BTreeMap<String, String>,
    failure: Option<&str>,
) -> Bytes {
    encode(&CatalogNode {
        node,
        address,
        node_meta,
        service: CatalogService {
            kind: it.kind.as_str(),
            id: &it.id,
            service: &it.name,
            address: it.address.as_deref(),
            port: it.port,
            tagged_addresses: &it.tagged,
            meta: meta(it),
            proxy: proxy(it),
        },
        checks: [CatalogCheck {
            node,
            check_id: format!("service:{}", it.id),
            name: it.check_name(),
            status: if failure.is_some() { "critical" } else { "passing" },
            output: failure.unwrap_or_default(),
            service_id: &it.id,
        }],
    })
}

/// Removes the service, or without one the whole node.
pub(super) fn catalog_removal(node: &str, service_id: Option<&str>) -> Bytes {
    encode(&CatalogRemoval { node, service_id })
}

fn meta(it: &GatewayRegistration) -> BTreeMap<&'static str, &'static str> {
    it.wan_federation.then_some((WAN_FEDERATION, "1")).into_iter().collect()
}

fn proxy(it: &GatewayRegistration) -> Option<Proxy> {
    let (key, value) = match &it.bind {
        Bind::Default => return None,
        Bind::Tagged => ("envoy_gateway_bind_tagged_addresses", Value::Bool(true)),
        Bind::Addresses(addresses) => ("envoy_gateway_bind_addresses", json!(addresses)),
    };
    let mut config = Map::new();
    config.insert(key.to_owned(), value);
    config.insert("envoy_gateway_no_default_bind".to_owned(), Value::Bool(true));
    Some(Proxy { config, mesh_gateway: Empty {}, expose: Empty {} })
}

fn encode(body: &impl Serialize) -> Bytes {
    // Strings, numbers and maps with text keys always encode.
    Bytes::from(serde_json::to_vec(body).unwrap_or_default())
}
