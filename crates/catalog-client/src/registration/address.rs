//! `host:port` as the flags write it.

use super::{network::HostNetwork, template};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Port of a gateway that was given none. (Consul's own default since 1.9; 1.8 took 443.)
pub(super) const DEFAULT_PORT: u16 = 8443;

/// A host and a port, as Consul writes them in `TaggedAddresses`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostPort {
    /// An IP address without brackets, a host name, or nothing.
    pub address: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// The address, if it is one and no name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }

    /// Reads `ip`, `ip:port`, `[v6]:port`, `name:port` or `:port`, with a template in place of the
    /// address if need be.
    pub(super) fn parse(text: &str, network: &HostNetwork) -> Result<Self, String> {
        let expanded = template::expand(text, network)?;
        let (address, port) = split(&expanded)?;
        let port = match port {
            None | Some("") => DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(0) => return Err("port 0 cannot be registered; give the port to listen on".to_owned()),
                Ok(port) => port,
                Err(_) => return Err(format!("{port:?} is not a port; give a number from 1 to 65535")),
            },
        };
        Ok(Self { address: address.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "[{address}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.address, self.port),
        }
    }
}

fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, tail) = rest.split_once(']').ok_or("\"[\" without \"]\"")?;
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(format!("{address:?} is not an IPv6 address"));
        }
        return match tail.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if tail.is_empty() => Ok((address, None)),
            None => Err(format!("expected \":port\" after \"]\", found {tail:?}")),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("an IPv6 address is written in brackets: [2001:db8::1]:8443".to_owned())
        }
        Some((host, _)) if host.contains(char::is_whitespace) => {
            Err(format!("{host:?} is no address; it has white space in it"))
        }
        Some((host, port)) => Ok((host, Some(port))),
        // Without a port a name cannot be told from a typing error.
        None if text.parse::<IpAddr>().is_err() => {
            Err("not an IP address; a host name is given with its port, as name:8443".to_owned())
        }
        None => Ok((text, None)),
    }
}
