//! What the gateway's own registration asks of it.

use super::config::ConsulConfig;
use crate::mesh::{OwnOptions, RemoteKeepalive};
use catalog_client::{
    health::HealthEntry,
    registration::{DnsDiscovery, OwnService, listeners},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// What was read of a registration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub(super) options: OwnOptions,
    /// `envoy_dns_discovery_type`, where it is written.
    pub(super) dns_discovery: Option<DnsDiscovery>,
    /// The agent has said it, with all its options.
    pub(super) is_of_agent: bool,
    /// What could not be honoured, for the log.
    pub(super) notes: Vec<String>,
}

/// What an agent says about the gateway's own service. `is_local`: whether an address is of this host.
pub(super) fn of_service(own: &OwnService, config: &ConsulConfig, is_local: impl Fn(IpAddr) -> bool) -> Read {
    let chosen = listeners(own, is_local);
    let mut notes: Vec<_> =
        chosen.skipped.iter().filter(|skipped| skipped.warn).map(ToString::to_string).collect();
    notes.extend(own.config.problems.iter().cloned());
    if !own.config.ignored.is_empty() {
        notes.push(format!("options that only Envoy has are ignored: {}", own.config.ignored.join(", ")));
    }
    let bound = chosen.bind.iter().map(|it| (Arc::from(it.name.as_str()), it.address)).collect();
    let keepalive = own.config.remote_keepalive.map(|keepalive| RemoteKeepalive {
        time: keepalive.time,
        interval: keepalive.interval,
        probes: keepalive.probes,
    });
    let options = OwnOptions {
        listeners: (!config.listens_itself).then_some(bound),
        advertised: advertised(own),
        connect_timeout: own.config.connect_timeout,
        remote_keepalive: keepalive,
        max_connections: own.config.max_inbound_connections,
    };
    Read { options, dns_discovery: own.config.dns_discovery, is_of_agent: true, notes }
}

/// What the catalog says, which has no options: where it is, it listens.
pub(super) fn of_row(row: &HealthEntry, config: &ConsulConfig) -> Read {
    let lan = row.lan().and_then(|at| Some(SocketAddr::new(at.host.parse().ok()?, at.port)));
    let wan = row.best_wan().and_then(|at| Some(SocketAddr::new(at.host.parse().ok()?, at.port)));
    let bound = lan.iter().map(|address| (Arc::from("default"), *address)).collect();
    let options = OwnOptions {
        listeners: (!config.listens_itself).then_some(bound),
        advertised: lan.into_iter().chain(wan).collect(),
        ..OwnOptions::default()
    };
    Read { options, ..Read::default() }
}

/// The addresses by which others know the gateway, as far as they are IPs.
fn advertised(own: &OwnService) -> Vec<SocketAddr> {
    let tagged = own.tagged.values().map(|at| (at.address.as_str(), at.port));
    let all = std::iter::once((own.address.as_str(), own.port)).chain(tagged);
    let mut addresses: Vec<_> =
        all.filter_map(|(host, port)| Some(SocketAddr::new(host.parse().ok()?, port))).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
