//! Role `terminating`: SPEC has `default_policy`, `level`, `protocol` and `services`, a list of
//! `{service, leaf: {cert, key}, endpoint, sources}`. Only level `l4` is served: rules for requests need a
//! gateway that reads HTTP.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Common, replace};

#[derive(Deserialize)]
struct Spec<'a> {
    #[serde(flatten, borrow)]
    common: Common<'a>,
    default_policy: &'a str,
    level: &'a str,
    protocol: &'a str,
    services: Vec<Linked<'a>>,
}

#[derive(Deserialize)]
struct Linked<'a> {
    service: &'a str,
    #[serde(borrow)]
    leaf: Files<'a>,
    endpoint: SocketAddr,
    sources: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Files<'a> {
    cert: &'a str,
    key: &'a str,
}

pub(crate) fn become_gateway(text: &[u8]) -> Result<(), Box<dyn Error>> {
    let spec: Spec<'_> = serde_json::from_slice(text)?;
    if spec.level != "l4" {
        let level = spec.level;
        return Err(format!("level {level} is not served yet: terminating-gw carries TCP, and judges connections, not requests").into());
    }
    spec.common.exec("terminating-gw", &write_catalog(&spec)?)
}

/// One file for the mesh and the links, one for each service.
fn write_catalog(spec: &Spec<'_>) -> Result<PathBuf, Box<dyn Error>> {
    let Common { trust_domain, datacenter, ca, .. } = spec.common;
    let folder = spec.common.catalog()?;
    let links: Vec<_> = spec.services.iter().map(|linked| json!({ "Name": linked.service })).collect();
    let mesh = json!({
        "Mesh": {
            "Datacenter": datacenter,
            "TrustDomain": trust_domain,
            "Roots": [ca],
            "DefaultPolicy": spec.default_policy,
        },
        "Entry": [{ "Kind": "terminating-gateway", "Name": "terminating-gateway", "Services": links }],
    });
    replace(&folder.join("mesh.json"), &mesh)?;
    for linked in &spec.services {
        replace(&folder.join(format!("{}.json", linked.service)), &service(linked, spec.protocol))?;
    }
    Ok(folder)
}

fn service(linked: &Linked<'_>, protocol: &str) -> Value {
    let name = linked.service;
    let (address, port) = (linked.endpoint.ip(), linked.endpoint.port());
    let sources: Vec<_> =
        linked.sources.iter().map(|source| json!({ "Name": source, "Action": "allow" })).collect();
    json!({
        "Leaf": [{ "Service": name, "CertFile": linked.leaf.cert, "KeyFile": linked.leaf.key }],
        "Instance": [{ "Service": name, "Address": address, "Port": port }],
        "Entry": [
            { "Kind": "service-defaults", "Name": name, "Protocol": protocol },
            { "Kind": "service-intentions", "Name": name, "Sources": sources },
        ],
    })
}
