//! The addresses of this host, read once at the start.

use std::{fs, io, net::IpAddr};

/// What a registration needs to know of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNetwork {
    /// Every address of every interface.
    pub addresses: Vec<InterfaceAddress>,
    /// The interface of the IPv4 default route, if there is one.
    pub default_interface: Option<String>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Such as `eth0`.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// Length of its network's prefix, in bits.
    pub prefix: u8,
}

impl HostNetwork {
    /// Asks the system.
    ///
    /// # Errors
    /// The system does not list its interfaces.
    pub fn read() -> io::Result<Self> {
        let addresses = if_addrs::get_if_addrs()?.into_iter().map(|found| {
            let prefix = match &found.addr {
                if_addrs::IfAddr::V4(v4) => v4.prefixlen,
                if_addrs::IfAddr::V6(v6) => v6.prefixlen,
            };
            InterfaceAddress { address: found.ip(), interface: found.name, prefix }
        });
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        Ok(Self { addresses: addresses.collect(), default_interface: default_interface(&routes) })
    }

    /// Whether an interface has exactly this address. That is the rule of Consul's command line for
    /// what a gateway can bind; other addresses of 127.0.0.0/8 are not local by it.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.address == address.to_canonical())
    }
}

/// The interface of the first line whose destination and mask are 0.0.0.0.
fn default_interface(routes: &str) -> Option<String> {
    routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (name, destination, mask) = (fields.next()?, fields.next()?, fields.nth(5)?);
        (destination == "00000000" && mask == "00000000").then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_is_found() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert_eq!(default_interface(text).as_deref(), Some("eth0"));
        assert_eq!(default_interface(""), None);
        assert_eq!(default_interface("Iface\nhalf\t00000000"), None);
    }

    #[test]
    fn this_host_has_its_loopback_address() {
        let network = HostNetwork::read().unwrap();
        assert!(network.is_local("127.0.0.1".parse().unwrap()), "{network:?}");
        assert!(!network.is_local("198.51.100.99".parse().unwrap()));
    }
}
