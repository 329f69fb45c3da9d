//! `service-defaults`: for a gateway, the limits under its own name; for a linked service its protocol, and
//! the addresses of a destination outside the mesh.

use super::super::{
    cx::Cx,
    fields::{Fields, Located},
    host,
    node::Node,
};
use crate::target::Host;
use std::{borrow::Cow, sync::Arc};

/// What is used of the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceDefaults {
    /// Lower-cased; `None` = `tcp`.
    pub(crate) protocol: Option<Arc<str>>,
    /// `UpstreamConfig.Defaults.Limits.MaxConnections`
    pub(crate) max_connections: Option<u32>,
    /// `UpstreamConfig.Defaults.Limits.MaxPendingRequests`
    pub(crate) max_pending: Option<u32>,
    pub(crate) destination: Option<Destination>,
}

/// Addresses outside the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Each as it is written, and what it is. Never empty; no address twice.
    pub(crate) addresses: Box<[(Arc<str>, Host)]>,
    pub(crate) port: u16,
}

const KEYS: &[&str] = &[
    "Protocol",
    "Mode",
    "TransparentProxy",
    "MutualTLSMode",
    "MeshGateway",
    "Expose",
    "ExternalSNI",
    "UpstreamConfig",
    "Destination",
    "MaxInboundConnections",
    "LocalConnectTimeoutMs",
    "LocalRequestTimeoutMs",
    "BalanceInboundConnections",
    "RateLimits",
    "EnvoyExtensions",
];
const UPSTREAM: &[&str] = &[
    "Name",
    "Namespace",
    "Partition",
    "Peer",
    "EnvoyListenerJSON",
    "EnvoyClusterJSON",
    "Protocol",
    "ConnectTimeoutMs",
    "Limits",
    "PassiveHealthCheck",
    "MeshGateway",
    "BalanceOutboundConnections",
];
const LIMITS: &[&str] = &["MaxConnections", "MaxPendingRequests", "MaxConcurrentRequests"];
const HEALTH_CHECK: &[&str] =
    &["Interval", "MaxFailures", "EnforcingConsecutive5xx", "MaxEjectionPercent", "BaseEjectionTime"];

pub(super) fn decode(node: Node<'_>, cx: &mut Cx<'_>) -> Option<ServiceDefaults> {
    let mut fields = Fields::open_entry(node, KEYS, cx)?;
    fields.known_only("TransparentProxy", &["OutboundListenerPort", "DialedDirectly"], cx);
    fields.known_only("MeshGateway", &["Mode"], cx);
    fields.known_only("Expose", &["Checks", "Paths"], cx);
    fields.known_only("RateLimits", &["InstanceLevel"], cx);
    let text = fields.filled_text("Protocol", cx);
    let protocol = text.map(|text| cx.shared(&text.value.to_ascii_lowercase()));
    let keys = &["Address", "Addresses", "Port"];
    let destination = fields.table("Destination", keys, cx, destination).flatten();
    let mut read = ServiceDefaults { protocol, destination, ..ServiceDefaults::default() };
    let at = fields.at;
    fields.table("UpstreamConfig", &["Defaults", "Overrides"], cx, |mut fields, cx| {
        if read.destination.is_some() {
            cx.problem(at, "", "UpstreamConfig cannot be set together with Destination");
        }
        fields.table("Defaults", UPSTREAM, cx, |fields, cx| upstream(fields, &mut read, cx));
        fields.list("Overrides", cx, |node, cx| {
            if let Some(fields) = Fields::open(node, UPSTREAM, cx) {
                upstream(fields, &mut ServiceDefaults::default(), cx);
            }
        });
    });
    Some(read)
}

fn destination(mut fields: Fields<'_>, cx: &mut Cx<'_>) -> Option<Destination> {
    let before = cx.count();
    let at = fields.at;
    // The single one is of the first versions that had destinations.
    let single = fields.filled_text("Address", cx);
    let mut addresses: Vec<(Arc<str>, Host)> = Vec::new();
    let mut take = |text: &Located<Cow<'_, str>>, key: &str, cx: &mut Cx<'_>| {
        if text.value.contains('*') {
            let message = format!("{:?}: an address has no wildcard", text.value);
            return cx.problem(text.at, key, message);
        }
        match host(&text.value) {
            Ok(host) if addresses.iter().any(|(_, known)| *known == host) => {
                cx.problem(text.at, key, format!("address {:?} is there twice", text.value));
            }
            Ok(host) => addresses.push((cx.shared(&text.value), host)),
            Err(message) => cx.problem(text.at, key, message),
        }
    };
    if let Some(text) = &single {
        take(text, "Address", cx);
    }
    for text in fields.texts("Addresses", cx) {
        take(&text, "Addresses", cx);
    }
    if addresses.is_empty() && cx.count() == before {
        cx.problem(at, "Addresses", "a destination needs at least one address");
    }
    let count = cx.count();
    let port = fields.number("Port", 1..=65_535, cx).and_then(|port| u16::try_from(port).ok());
    if port.is_none() && cx.count() == count {
        fields.missing("Port", cx);
    }
    Some(Destination { addresses: addresses.into(), port: port? })
}

fn upstream(mut fields: Fields<'_>, read: &mut ServiceDefaults, cx: &mut Cx<'_>) {
    fields.known_only("PassiveHealthCheck", HEALTH_CHECK, cx);
    fields.known_only("MeshGateway", &["Mode"], cx);
    fields.table("Limits", LIMITS, cx, |mut fields, cx| {
        let mut limit =
            |key| fields.number(key, 0..=i64::from(u32::MAX), cx).and_then(|limit| u32::try_from(limit).ok());
        read.max_connections = limit("MaxConnections");
        read.max_pending = limit("MaxPendingRequests");
        // It counts requests; a gateway that passes bytes through sees none.
        limit("MaxConcurrentRequests");
    });
}
