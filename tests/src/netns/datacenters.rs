//! Two datacenters that use the same private addresses and know of each other only what their gateways show.
//!
//! ```text
//!   dcA: hosts 10.1.0.10 .11 .20 --lan-- 10.1.0.2 edge 198.51.100.1
//!                                                          | wan
//!   dcB: hosts 10.1.0.10 .11 .20 --lan-- 10.1.0.2 edge 198.51.100.2
//! ```
//! No host has a route out of its LAN and no edge forwards packets, so that a byte which reaches the other side went
//! through both gateways. A gateway that dials a LAN address of the other side reaches its own host of that address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;

use super::Netns;

/// One datacenter.
#[derive(Debug)]
pub struct Site {
    /// Where services and clients live: 10.1.0.10, .11 and .20.
    pub hosts: Netns,
    /// Where the gateway lives, with an address on the LAN and one on the WAN.
    pub edge: Netns,
    wan: IpAddr,
}

impl Site {
    /// The gateway's address for its own hosts, the same on both sides.
    pub const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));
    /// An address for a service, the same on both sides.
    pub const SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 10));
    /// One more address for a service, the same on both sides.
    pub const SECOND_SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 11));
    /// An address for a client, the same on both sides.
    pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 20));

    /// The gateway's address for the other side.
    pub fn wan(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.wan, port)
    }

    fn build(name: &str, wan: Ipv4Addr) -> Result<Self> {
        let (hosts, edge) = (Netns::new(&format!("{name}-hosts"))?, Netns::new(&format!("{name}-edge"))?);
        hosts.cable(&edge, "lan")?;
        edge.address("lan", &format!("{}/24", Self::GATEWAY))?;
        // A client's first address is what its connections come from.
        for address in [Self::CLIENT, Self::SERVICE, Self::SECOND_SERVICE] {
            hosts.address("lan", &format!("{address}/24"))?;
        }
        Ok(Site { hosts, edge, wan: wan.into() })
    }
}

/// Both of them, joined by their gateways' WAN addresses.
#[derive(Debug)]
pub struct TwoDatacenters {
    /// The first.
    pub a: Site,
    /// The second.
    pub b: Site,
}

impl TwoDatacenters {
    /// Lays the cables.
    ///
    /// # Errors
    /// When namespaces may not be made ([`may_use_namespaces`](crate::may_use_namespaces) tells before).
    pub fn build() -> Result<Self> {
        let a = Site::build("dcA", Ipv4Addr::new(198, 51, 100, 1))?;
        let b = Site::build("dcB", Ipv4Addr::new(198, 51, 100, 2))?;
        a.edge.cable(&b.edge, "wan")?;
        for site in [&a, &b] {
            site.edge.address("wan", &format!("{}/24", site.wan))?;
        }
        Ok(TwoDatacenters { a, b })
    }
}
