//! What the agent says about the gateway's own service (`GET /v1/agent/service/:id`).

use super::{
    address::HostPort,
    gateway::{Bind, GatewayRegistration, WAN_FEDERATION},
    proxy_config::GatewayProxyConfig,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The own service, read from `agent/service/<id>`, or from an entry of `agent/services`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<Raw>")]
pub struct OwnService {
    /// Consul's word for the kind, such as `mesh-gateway`; empty for an ordinary service.
    pub kind: String,
    /// Service ID.
    pub id: String,
    /// Service name.
    pub name: String,
    /// The advertised address: IP, host name, or empty for the node's.
    pub address: String,
    /// The advertised port.
    pub port: u16,
    /// `lan`, `wan`, the copies that Consul adds (`lan_ipv4`, ...), and others.
    pub tagged: BTreeMap<String, HostPort>,
    /// Meta data.
    pub meta: BTreeMap<String, String>,
    /// The agent's datacenter; empty where Consul does not say it.
    pub datacenter: String,
    /// `Proxy.Config`, with `proxy-defaults` merged in by Consul.
    pub config: GatewayProxyConfig,
}

impl OwnService {
    /// Whether Consul's servers may federate through this gateway.
    #[must_use]
    pub fn serves_wan_federation(&self) -> bool {
        self.meta.get(WAN_FEDERATION).is_some_and(|value| value == "1")
    }
}

impl From<&GatewayRegistration> for OwnService {
    /// What the agent would say with no `proxy-defaults`: enough to open the listeners before the
    /// first answer.
    fn from(it: &GatewayRegistration) -> Self {
        let mut config = GatewayProxyConfig::default();
        match &it.bind {
            Bind::Default => {}
            Bind::Tagged => config.bind_tagged_addresses = true,
            Bind::Addresses(addresses) => config.bind_addresses.clone_from(addresses),
        }
        config.no_default_bind = it.bind != Bind::Default;
        let meta = it.wan_federation.then(|| (WAN_FEDERATION.to_owned(), "1".to_owned()));
        Self {
            kind: it.kind.as_str().to_owned(),
            id: it.id.clone(),
            name: it.name.clone(),
            address: it.address.clone().unwrap_or_default(),
            port: it.port,
            tagged: it.tagged.clone(),
            meta: meta.into_iter().collect(),
            datacenter: String::new(),
            config,
        }
    }
}

/// As Consul writes it: anything may be missing or `null`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Raw {
    kind: Option<String>,
    #[serde(rename = "ID")]
    id: Option<String>,
    service: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    tagged_addresses: Option<BTreeMap<String, RawAddress>>,
    meta: Option<BTreeMap<String, String>>,
    datacenter: Option<String>,
    proxy: Option<RawProxy>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawAddress {
    address: Option<String>,
    port: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawProxy {
    config: Option<Map<String, Value>>,
}

impl From<Option<Raw>> for OwnService {
    fn from(raw: Option<Raw>) -> Self {
        let raw = raw.unwrap_or_default();
        let address = |raw: RawAddress| HostPort {
            address: raw.address.unwrap_or_default(),
            port: raw.port.unwrap_or_default(),
        };
        let tagged = raw.tagged_addresses.unwrap_or_default();
        let config = raw.proxy.unwrap_or_default().config.unwrap_or_default();
        Self {
            kind: raw.kind.unwrap_or_default(),
            id: raw.id.unwrap_or_default(),
            name: raw.service.unwrap_or_default(),
            address: raw.address.unwrap_or_default(),
            port: raw.port.unwrap_or_default(),
            tagged: tagged.into_iter().map(|(name, raw)| (name, address(raw))).collect(),
            meta: raw.meta.unwrap_or_default(),
            datacenter: raw.datacenter.unwrap_or_default(),
            config: GatewayProxyConfig::read(&config),
        }
    }
}
