//! Role `mesh`: SPEC has `routes`, a list of `{sni, service, endpoint}`.

use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Common, replace};

#[derive(Deserialize)]
struct Spec<'a> {
    #[serde(flatten, borrow)]
    common: Common<'a>,
    #[serde(borrow)]
    routes: Vec<Route<'a>>,
}

#[derive(Deserialize)]
struct Route<'a> {
    service: &'a str,
    endpoint: SocketAddr,
}

/// A row of the catalog.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Instance<'a> {
    service: &'a str,
    kind: &'a str,
    address: IpAddr,
    port: u16,
}

pub(crate) fn become_gateway(text: &[u8]) -> Result<(), Box<dyn Error>> {
    let spec: Spec<'_> = serde_json::from_slice(text)?;
    spec.common.exec("mesh-gw", &write_catalog(&spec)?)
}

pub(crate) fn change(text: &[u8]) -> Result<(), Box<dyn Error>> {
    write_catalog(&serde_json::from_slice(text)?).map(drop)
}

/// A file for the mesh and one per hundred services; what did not change is not written.
fn write_catalog(spec: &Spec<'_>) -> Result<PathBuf, Box<dyn Error>> {
    let Common { trust_domain, datacenter, ca, .. } = spec.common;
    let folder = spec.common.catalog()?;
    let mesh = json!({ "Mesh": { "Datacenter": datacenter, "TrustDomain": trust_domain, "Roots": [ca] } });
    replace(&folder.join("mesh.json"), &mesh)?;
    for (number, routes) in spec.routes.chunks(100).enumerate() {
        let instances: Vec<_> = routes.iter().map(instance).collect();
        replace(
            &folder.join(format!("services-{number:04}.json")),
            &HashMap::from([("Instance", instances)]),
        )?;
    }
    Ok(folder)
}

fn instance<'a>(route: &Route<'a>) -> Instance<'a> {
    let (address, port) = (route.endpoint.ip(), route.endpoint.port());
    Instance { service: route.service, kind: "connect-proxy", address, port }
}
