//! Where a gateway listens, made of its registration (mesh-gateway 7).

use super::own::OwnService;
use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// A socket to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `default`, the name of a tagged address (`lan`, `wan`), or of a bind address.
    pub name: String,
    /// The address.
    pub address: SocketAddr,
}

/// What to open, and what not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// To open, in the order of their names. Empty: the registration leaves nothing to listen on.
    pub bind: Vec<Listener>,
    /// Named in the registration, but not to be opened.
    pub skipped: Vec<Skipped>,
}

/// An address that is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// As in [`Listener`].
    pub name: String,
    /// As the registration has it.
    pub address: String,
    /// Why.
    pub reason: SkipReason,
    /// Whether an operator should be told: not for what Consul added by itself.
    pub warn: bool,
}

/// Why an address is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// A host name: a socket is bound to an address.
    NotAnAddress,
    /// Of no interface of this host: a load balancer's, or behind address translation.
    NotLocal,
    /// Port 0.
    NoPort,
    /// The listener of this name has the same port on all addresses.
    Covered(String),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address, reason, .. } = self;
        write!(f, "not listening on {name} ({address}): ")?;
        match reason {
            SkipReason::NotAnAddress => f.write_str("it is a name, not an address; it is only advertised"),
            SkipReason::NotLocal => f.write_str("not an address of this host; it is only advertised"),
            SkipReason::NoPort => f.write_str("it has no port"),
            SkipReason::Covered(by) => write!(f, "{by} listens on that port of all addresses"),
        }
    }
}

/// Chooses the listeners.
///
/// The service's own address (all of IPv4, if it has none), the tagged addresses and the bind
/// addresses, as far as its options ask for them; each address once, under the alphabetically first
/// name. What is not of this host (`is_local` is never asked about `0.0.0.0` and `::`) is skipped.
#[must_use]
pub fn listeners(own: &OwnService, is_local: impl Fn(IpAddr) -> bool) -> Listeners {
    let mut chosen = Listeners::default();
    let mut taken: BTreeMap<SocketAddr, String> = BTreeMap::new();
    for Wanted { name, host, port, added } in wanted(own) {
        let mut skip = |reason, warn| {
            let address = format!("{host}:{port}");
            chosen.skipped.push(Skipped { name: name.to_owned(), address, reason, warn });
        };
        let ip = match host {
            "" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            host => host.parse::<IpAddr>().ok(),
        };
        match ip {
            None => skip(SkipReason::NotAnAddress, !added),
            Some(_) if port == 0 => skip(SkipReason::NoPort, !added),
            Some(ip) if !ip.is_unspecified() && !is_local(ip) => skip(SkipReason::NotLocal, !added),
            Some(ip) => drop(taken.entry(SocketAddr::new(ip, port)).or_insert_with(|| name.to_owned())),
        }
    }
    for (address, name) in &taken {
        let all = match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let wide = taken.get(&SocketAddr::new(all, address.port()));
        match wide.filter(|_| !address.ip().is_unspecified()) {
            Some(wide) => chosen.skipped.push(Skipped {
                name: name.clone(),
                address: address.to_string(),
                reason: SkipReason::Covered(wide.clone()),
                warn: false,
            }),
            None => chosen.bind.push(Listener { name: name.clone(), address: *address }),
        }
    }
    chosen.bind.sort_by(|a, b| (&a.name, a.address).cmp(&(&b.name, b.address)));
    chosen
}

struct Wanted<'a> {
    name: &'a str,
    host: &'a str,
    port: u16,
    /// By Consul, as a copy of another or for its own purposes.
    added: bool,
}

/// Everything the options ask for, in the order of names.
fn wanted(own: &OwnService) -> Vec<Wanted<'_>> {
    let default = (!own.config.no_default_bind).then_some(Wanted {
        name: "default",
        host: &own.address,
        port: own.port,
        added: false,
    });
    let tagged = own.tagged.iter().filter(|_| own.config.bind_tagged_addresses);
    let named = tagged.map(|(name, address)| (name, address, is_added(name)));
    let named = named.chain(own.config.bind_addresses.iter().map(|(name, address)| (name, address, false)));
    let named = named.map(|(name, address, added)| Wanted {
        name,
        host: &address.address,
        port: address.port,
        added,
    });
    let mut wanted: Vec<_> = default.into_iter().chain(named).collect();
    wanted.sort_by_key(|wanted| wanted.name);
    wanted
}

/// Tagged addresses that no operator wrote.
fn is_added(name: &str) -> bool {
    name.ends_with("_ipv4") || name.ends_with("_ipv6") || name.starts_with("consul-virtual")
}
