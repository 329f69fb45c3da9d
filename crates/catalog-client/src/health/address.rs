//! Where an instance is dialled (mesh-gateway 3.3).

use super::HealthEntry;

/// A host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// An IP address or a host name, as registered.
    pub host: &'a str,
    /// Never 0.
    pub port: u16,
}

impl HealthEntry {
    /// The address inside the datacenter: the instance's, else its node's. `TaggedAddresses.lan` is
    /// not asked. `None` if there is no host, or no port from 1 to 65535.
    #[must_use]
    pub fn lan(&self) -> Option<Address<'_>> {
        address(&[&self.service.address, &self.node.address], self.service.port)
    }

    /// The address for other datacenters: `TaggedAddresses.wan` of the instance, its port only if it
    /// has one; else the instance's address; else `TaggedAddresses.wan` of the node; else the node's
    /// address. `None` if there is no host, or no port from 1 to 65535.
    #[must_use]
    pub fn best_wan(&self) -> Option<Address<'_>> {
        let tagged = self.service.tagged_addresses.get("wan");
        let own = tagged.map_or(&self.service.address, |wan| &wan.address);
        let port = tagged.map(|wan| wan.port).filter(|port| *port != 0).unwrap_or(self.service.port);
        let node = self.node.tagged_addresses.get("wan").unwrap_or(&self.node.address);
        address(&[own, node], port)
    }
}

fn address<'a>(hosts: &[&'a str], port: i64) -> Option<Address<'a>> {
    let host = hosts.iter().find(|host| !host.is_empty())?;
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    Some(Address { host, port })
}
