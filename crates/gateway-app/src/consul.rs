//! From settings to a source that reads a Consul.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use catalog_client::Client;
use catalog_client::capability::CapabilityConfig;
use catalog_client::config::ConfigError;
use catalog_client::registration::{Bind, Flags, GatewayKind, GatewayRegistration, HostNetwork, Place};
use gateway_state::Reader;
use gateway_state::consul::{ConsulConfig, ConsulHandle, ConsulSource, Like, Own};
use gateway_state::mesh::SetPolicy;

use crate::role::{AppRole, SnapshotOf};
use crate::settings::format::show_duration;
use crate::settings::{ConsulSettings, OwnService, Register, Role, Settings};

/// How long a question of who only looks may be held.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// The client of the settings. Reads certificates and the token's file; opens no socket.
///
/// # Errors
/// A file that cannot be read or is not what it should be.
pub(crate) fn client(settings: &Settings, consul: &ConsulSettings) -> Result<Client, ConfigError> {
    Client::new(consul.client_config(settings.role.program()))
}

/// What the gateway registers, with the ports that it really listens on.
///
/// # Errors
/// An address that cannot be advertised, or one of another host where nothing says what to listen on.
pub(crate) fn registration(
    settings: &Settings,
    register: &Register,
    bound: &BTreeMap<SocketAddr, SocketAddr>,
) -> Result<GatewayRegistration, String> {
    let network = HostNetwork::read()
        .map_err(|error| format!("the addresses of this host cannot be listed: {error}"))?;
    let real = |address: SocketAddr| bound.get(&address).copied().unwrap_or(address);
    let address = register.address.as_ref().map(|text| with_real_port(text, bound));
    let named = settings.origin("bind_address").is_some_and(|origin| !origin.is_default());
    let bind_addresses = settings.listen.iter().filter(|_| named);
    let flags = Flags {
        service: Some(settings.service.clone()),
        proxy_id: Some(register.id.clone()),
        address,
        wan_address: settings.wan_address.clone(),
        bind_addresses: bind_addresses.map(|(name, address)| format!("{name}={}", real(*address))).collect(),
        deregister_after_critical: Some(show_duration(register.deregister_after_critical)),
        ..Flags::new(kind(settings.role))
    };
    GatewayRegistration::from_flags(&flags, &network).map_err(|error| error.to_string())
}

/// An address as it was asked for, with the port that it was given where the kernel chose it.
fn with_real_port(asked: &str, bound: &BTreeMap<SocketAddr, SocketAddr>) -> String {
    // `:PORT` is on every address.
    let (host, every) = match asked.strip_prefix(':') {
        Some(_) => ("0.0.0.0", true),
        None => ("", false),
    };
    let Some(real) = format!("{host}{asked}").parse().ok().and_then(|address| bound.get(&address)) else {
        return asked.to_owned();
    };
    if every { format!(":{}", real.port()) } else { real.to_string() }
}

/// Where a gateway with this registration listens.
pub(crate) fn listeners(registration: &GatewayRegistration) -> Vec<(String, SocketAddr)> {
    let ip = |host: &str| match host {
        "" => Some(IpAddr::from([0, 0, 0, 0])),
        host => host.parse().ok(),
    };
    let named = |(name, at): (&String, &catalog_client::registration::HostPort)| {
        Some((name.clone(), SocketAddr::new(ip(&at.address)?, at.port)))
    };
    let mut all: Vec<_> = match &registration.bind {
        Bind::Default => {
            let host = registration.address.as_deref().unwrap_or_default();
            ip(host)
                .map(|ip| ("default".to_owned(), SocketAddr::new(ip, registration.port)))
                .into_iter()
                .collect()
        }
        Bind::Tagged => registration.tagged.iter().filter_map(named).collect(),
        Bind::Addresses(addresses) => addresses.iter().filter_map(named).collect(),
    };
    let mut seen = std::collections::HashSet::new();
    all.retain(|(_, address)| seen.insert(*address));
    all
}

/// A source that reads the Consul of the settings.
pub(crate) fn source<R: AppRole>(
    settings: &Settings,
    consul: &ConsulSettings,
    client: Client,
    registration: Option<GatewayRegistration>,
) -> (ConsulSource<R::State>, Reader<SnapshotOf<R>>, ConsulHandle) {
    let own = match (&consul.own, registration) {
        (OwnService::Register(register), Some(registration)) => Own::Register {
            place: place(register, &registration),
            registration: Box::new(registration),
            deregister: register.deregister_on_exit || register.node.is_some(),
        },
        (OwnService::OfAgent { id }, _) => Own::OfAgent { id: id.clone() },
        (OwnService::OfNode { id, node }, _) => Own::OfNode { id: id.clone(), node: node.clone() },
        _ => Own::OnlyOne,
    };
    ConsulSource::new(client, config(settings, consul, own), R::options(settings))
}

/// A source that only looks: it registers nothing, and reads no services but those that are `like`. The
/// registration that the gateway has, or would make, is looked for.
pub(crate) fn looking<R: AppRole>(
    settings: &Settings,
    consul: &ConsulSettings,
    client: Client,
    like: Like,
) -> (ConsulSource<R::State>, Reader<SnapshotOf<R>>, ConsulHandle) {
    let own = match &consul.own {
        OwnService::OfNode { id, node } | OwnService::Register(Register { id, node: Some(node), .. }) => {
            Own::OfNode { id: id.clone(), node: node.clone() }
        }
        OwnService::OfAgent { id } | OwnService::Register(Register { id, node: None, .. }) => {
            Own::OfAgent { id: id.clone() }
        }
        OwnService::OnlyOne => Own::OnlyOne,
    };
    let mut config = ConsulConfig { only: Some(like), ..config(settings, consul, own) };
    // HTTP/1.1 has no way to take a question back: the agent keeps its connection for so long.
    config.plan.watch.wait = config.plan.watch.wait.min(SHORT_WAIT);
    ConsulSource::new(client, config, R::options(settings))
}

/// How the settings want their Consul to be read.
fn config(settings: &Settings, consul: &ConsulSettings, own: Own) -> ConsulConfig {
    let tuning = &consul.tuning;
    ConsulConfig {
        kind: kind(settings.role),
        service: settings.service.clone(),
        own,
        listens_itself: !settings.listens_by_default(),
        datacenter: consul.datacenter.clone(),
        namespace: consul.namespace.clone(),
        partition: consul.partition.clone(),
        // The sets of endpoints start without limits: those of the settings are added where sets are
        // used, so that it stays visible which limit a document has set.
        policy: SetPolicy::default(),
        registrar: tuning.registrar.clone(),
        plan: tuning.plan.clone(),
        capabilities: CapabilityConfig::default(),
        datacenters_every: tuning.poll_datacenters,
        ready_within: tuning.ready,
        settle: tuning.settle,
        leaves: settings.terminating.leaves.clone(),
        intentions_every: settings.terminating.intentions_every,
        default_policy: settings.terminating.default_policy,
        ..ConsulConfig::new(kind(settings.role), &settings.service, Own::OnlyOne)
    }
}

/// With whom it is registered: the agent, or the catalog under a node of its own.
fn place(register: &Register, registration: &GatewayRegistration) -> Place {
    match &register.node {
        None => Place::Agent,
        Some(node) => Place::Catalog {
            node: node.clone(),
            // The check's address is the gateway's, or loopback if nobody said where it is.
            address: registration.check.address.clone(),
            node_meta: BTreeMap::new(),
        },
    }
}

pub(crate) fn kind(role: Role) -> GatewayKind {
    match role {
        Role::Mesh => GatewayKind::Mesh,
        Role::Terminating => GatewayKind::Terminating,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_that_the_kernel_chose_is_registered() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let bound =
            [("127.0.0.1:0", "127.0.0.1:4001"), ("0.0.0.0:0", "0.0.0.0:4002"), ("10.0.0.1:7", "10.0.0.1:7")];
        let bound = bound.map(|(asked, real)| (at(asked), at(real))).into();
        for (asked, registered) in [
            ("127.0.0.1:0", "127.0.0.1:4001"),
            (":0", ":4002"),
            ("10.0.0.1:7", "10.0.0.1:7"),
            ("gw.example:443", "gw.example:443"),
            (":7", ":7"),
        ] {
            assert_eq!(with_real_port(asked, &bound), registered);
        }
    }
}
