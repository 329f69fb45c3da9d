//! Other hosts: resolved and connected to, all within one deadline each.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use gateway_state::mesh::{Host, MeshSnapshot};
use mesh_forward::dns::{AddressGuard, Names, NamesConfig};

use super::report::Report;
use crate::settings::{Role, Settings};

/// Gateways that are tried at most, in all and at a time.
const MOST: usize = 64;
const AT_A_TIME: usize = 16;

/// The addresses of a host name, or why there are none.
type Resolve = dyn Fn(&str) -> Result<Vec<IpAddr>, String> + Sync;
/// Whether an address takes connections.
type Connect = dyn Fn(SocketAddr) -> io::Result<()> + Sync;

/// What a test pretends.
pub(super) struct Network {
    pub(super) resolve: Box<Resolve>,
    pub(super) connect: Box<Connect>,
}

impl Network {
    /// The real one, as patient as the gateway itself.
    pub(super) fn system(settings: &Settings) -> Self {
        let patience = settings.timers.connect;
        let guard = match settings.role {
            Role::Mesh => AddressGuard::NONE,
            Role::Terminating => settings.terminating.dns_guard,
        };
        Self {
            resolve: Box::new(move |host| resolve(host, patience, guard)),
            connect: Box::new(move |address| TcpStream::connect_timeout(&address, patience).map(drop)),
        }
    }
}

pub(super) fn try_all(snapshot: &MeshSnapshot, network: &Network, report: &mut Report<'_>) {
    let remote = snapshot.table.targets().iter().filter(|target| target.remote);
    let gateways: BTreeSet<_> = remote
        .flat_map(|target| {
            target.endpoints.iter().map(|endpoint| (&*target.service, &endpoint.host, endpoint.port))
        })
        .collect();
    if gateways.is_empty() {
        report.ok("other datacenters", "there is no gateway of another datacenter");
    }
    try_each("other datacenters", "gateway", gateways, network, report);
}

/// Tries hosts, each with the service that it belongs to; `noun` is what one of them is.
pub(super) fn try_each(
    what: &str,
    noun: &str,
    hosts: BTreeSet<(&str, &Host, u16)>,
    network: &Network,
    report: &mut Report<'_>,
) {
    let left_out = hosts.len().saturating_sub(MOST);
    let tried: Vec<_> = hosts.into_iter().take(MOST).collect();
    for some in tried.chunks(AT_A_TIME) {
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let tries: Vec<_> =
                some.iter().map(|(_, host, port)| scope.spawn(|| try_one(host, *port, network))).collect();
            tries
                .into_iter()
                .map(|outcome| outcome.join().unwrap_or_else(|_| Err("the attempt panicked".to_owned())))
                .collect()
        });
        for ((service, host, port), outcome) in some.iter().zip(outcomes) {
            let host = format!("{noun} {host} port {port} of {service}");
            match outcome {
                Ok(address) => report.ok(what, format!("{host} answers at {address}")),
                Err(why) => report.fail(what, format!("{host}: {why}")),
            }
        }
    }
    if left_out > 0 {
        report.warn(what, format!("{left_out} more {noun}s were not tried"));
    }
}

/// Any one address will do.
fn try_one(host: &Host, port: u16, network: &Network) -> Result<SocketAddr, String> {
    let addresses = match host {
        Host::Ip(ip) => vec![*ip],
        Host::Name(name) => (network.resolve)(name)
            .map_err(|why| format!("{why}; correct its WanAddress, or look at /etc/resolv.conf"))?,
    };
    let mut last = "its name has no address: correct its WanAddress, or look at /etc/resolv.conf".to_owned();
    for address in addresses.into_iter().map(|ip| SocketAddr::new(ip, port)) {
        match (network.connect)(address) {
            Ok(()) => return Ok(address),
            Err(error) => {
                last = format!(
                    "{address}: {error}; is it running, is its WanAddress right, does a firewall let this host through?"
                );
            }
        }
    }
    Err(last)
}

fn resolve(host: &str, patience: Duration, guard: AddressGuard) -> Result<Vec<IpAddr>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start resolving: {error}"))?;
    runtime.block_on(async {
        let names = Names::new(NamesConfig { lookup_timeout: patience, guard, ..NamesConfig::default() });
        let watch = names.watch(host);
        // The lookup has its own deadline; this one is for whatever else may hang.
        let settled = tokio::time::timeout(patience * 2, watch.settled()).await;
        let state = watch.state();
        match (settled, state.error) {
            (_, None) if !state.addresses.is_empty() => Ok(state.addresses.to_vec()),
            (_, Some(error)) => Err(format!("its name cannot be resolved: {error}")),
            _ => Err("its name cannot be resolved in time".to_owned()),
        }
    })
}
