//! What is registered, as the flags mean it.

use super::{
    address::{DEFAULT_PORT, HostPort},
    flags::{FlagError, Flags},
    network::HostNetwork,
};
use crate::duration;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Key of the meta data that offers a mesh gateway to Consul's servers (`"1"`).
pub const WAN_FEDERATION: &str = "consul-wan-federation";

/// The three kinds of gateways that can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayKind {
    /// `mesh-gateway`.
    Mesh,
    /// `ingress-gateway`.
    Ingress,
    /// `terminating-gateway`.
    Terminating,
}

impl GatewayKind {
    /// Consul's word for it, which is also the default name of the service.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mesh => "mesh-gateway",
            Self::Ingress => "ingress-gateway",
            Self::Terminating => "terminating-gateway",
        }
    }
}

impl fmt::Display for GatewayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GatewayKind {
    type Err = String;

    /// Reads Consul's word.
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Mesh, Self::Ingress, Self::Terminating]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no kind of gateway"))
    }
}

/// Where a gateway listens, as its registration tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bind {
    /// On the advertised address and port, without an address on all.
    #[default]
    Default,
    /// On the tagged addresses, instead.
    Tagged,
    /// On these, by name, instead.
    Addresses(BTreeMap<String, HostPort>),
}

/// A registration of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRegistration {
    /// The kind.
    pub kind: GatewayKind,
    /// Service ID, unique on the agent.
    pub id: String,
    /// Service name.
    pub name: String,
    /// The advertised address: an IP address, or with [`Bind::Addresses`] also a host name.
    pub address: Option<String>,
    /// The advertised port, never 0.
    pub port: u16,
    /// `lan` and `wan`, as far as given.
    pub tagged: BTreeMap<String, HostPort>,
    /// Where it listens.
    pub bind: Bind,
    /// Whether Consul's servers may federate through it.
    pub wan_federation: bool,
    /// Address of the agent's TCP check.
    pub check: HostPort,
    /// How long the check may be critical before Consul removes the service, as a Go duration.
    pub deregister_after: Option<String>,
}

impl GatewayRegistration {
    /// Reads the flags (consul-api 5.1). `network` says which addresses are of this host.
    ///
    /// # Errors
    /// The first flag that cannot be meant.
    pub fn from_flags(flags: &Flags, network: &HostNetwork) -> Result<Self, FlagError> {
        let given = |flag, value: &Option<String>| match value {
            Some(value) => HostPort::parse(value, network)
                .map(Some)
                .map_err(|reason| FlagError::new(flag, value, reason)),
            None => Ok(None),
        };
        let lan = given("address", &flags.address)?
            .unwrap_or_else(|| HostPort { address: String::new(), port: DEFAULT_PORT });
        let wan = given("wan-address", &flags.wan_address)?.filter(|wan| !wan.address.is_empty());
        let bind = bind(flags, &lan, wan.as_ref(), network)?;

        let name = flags.service.clone().unwrap_or_else(|| flags.kind.as_str().to_owned());
        let id = flags.proxy_id.clone().unwrap_or_else(|| name.clone());
        for (flag, text) in [("service", &name), ("proxy-id", &id)] {
            if text.is_empty() {
                return Err(FlagError::new(flag, text, "must not be empty"));
            }
        }
        if flags.expose_servers && flags.kind != GatewayKind::Mesh {
            let reason = format!("only for mesh gateways, and this is a {}", flags.kind);
            return Err(FlagError::new("expose-servers", "true", reason));
        }
        let address = Some(lan.address.clone()).filter(|address| !address.is_empty());
        let tagged = address.iter().map(|_| ("lan".to_owned(), lan.clone()));
        let tagged = tagged.chain(wan.map(|wan| ("wan".to_owned(), wan))).collect();
        // Without an address the agent has to be in the same network namespace.
        let host = address.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
        Ok(Self {
            kind: flags.kind,
            id,
            name,
            check: HostPort { address: host, port: lan.port },
            address,
            port: lan.port,
            tagged,
            bind,
            wan_federation: flags.expose_servers,
            deregister_after: deregister_after(flags.deregister_after_critical.as_deref())?,
        })
    }

    /// Name of the agent's check, as Consul's command line calls it.
    #[must_use]
    pub fn check_name(&self) -> String {
        format!("{} listening", self.kind)
    }

    /// The right that registering needs, in Consul's rule language.
    #[must_use]
    pub fn rule(&self) -> String {
        format!("service {:?} {{ policy = \"write\" }}", self.name)
    }
}

fn bind(
    flags: &Flags,
    lan: &HostPort,
    wan: Option<&HostPort>,
    network: &HostNetwork,
) -> Result<Bind, FlagError> {
    if !flags.bind_addresses.is_empty() {
        let addresses = flags.bind_addresses.iter().map(|text| bind_address(text, network));
        return addresses.collect::<Result<_, _>>().map(Bind::Addresses);
    }
    let local = |address: &HostPort| address.ip().is_some_and(|ip| network.is_local(ip));
    match (lan.address.is_empty() || local(lan), wan) {
        (false, _) => {
            let reason = "not an address of this host; give one that is, or say with --bind-address name=ip:port \
                          where to listen";
            Err(FlagError::new("address", flags.address.as_deref().unwrap_or_default(), reason))
        }
        (true, Some(wan)) if local(lan) && local(wan) => Ok(Bind::Tagged),
        (true, _) => Ok(Bind::Default),
    }
}

fn bind_address(text: &str, network: &HostNetwork) -> Result<(String, HostPort), FlagError> {
    let wrong = |reason: String| FlagError::new("bind-address", text, reason);
    let (name, address) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| wrong("expected name=ip:port".to_owned()))?;
    let address = HostPort::parse(address, network).map_err(wrong)?;
    if !address.address.is_empty() && address.ip().is_none() {
        return Err(wrong("a socket is bound to an IP address, not to a name".to_owned()));
    }
    Ok((name.to_owned(), address))
}

fn deregister_after(text: Option<&str>) -> Result<Option<String>, FlagError> {
    match text {
        None => Ok(Some("6h".to_owned())),
        Some("") => Ok(None),
        Some(text) if duration::parse(text).is_some() => Ok(Some(text.to_owned())),
        Some(text) => {
            let reason = "not a duration; give one such as 6h or 90m, or nothing for never";
            Err(FlagError::new("deregister-after-critical", text, reason))
        }
    }
}
