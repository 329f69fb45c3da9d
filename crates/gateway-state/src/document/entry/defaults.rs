//! `service-defaults`: for a mesh gateway, the limits under its own name; and whether the service is
//! a destination outside the mesh, which a wildcard of a terminating gateway takes in.

use super::super::{cx::Cx, fields::Fields, node::Node};

/// What is used of the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceDefaults {
    /// `UpstreamConfig.Defaults.Limits.MaxConnections`
    pub(crate) max_connections: Option<u32>,
    /// `UpstreamConfig.Defaults.Limits.MaxPendingRequests`
    pub(crate) max_pending: Option<u32>,
    /// It has a `Destination`.
    pub(crate) destination: bool,
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
    let destination = fields.table("Destination", &["Address", "Addresses", "Port"], cx, |_, _| ()).is_some();
    let mut read = ServiceDefaults { destination, ..ServiceDefaults::default() };
    fields.table("UpstreamConfig", &["Defaults", "Overrides"], cx, |mut fields, cx| {
        fields.table("Defaults", UPSTREAM, cx, |fields, cx| upstream(fields, &mut read, cx));
        fields.list("Overrides", cx, |node, cx| {
            if let Some(fields) = Fields::open(node, UPSTREAM, cx) {
                upstream(fields, &mut ServiceDefaults::default(), cx);
            }
        });
    });
    Some(read)
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
