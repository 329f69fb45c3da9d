//! Which addresses a name may stand for.
//!
//! Whoever controls a name controls where it leads. A gateway stands where few others may connect
//! from, so a name must not lead it to its own host, to the network's private side or to the service
//! that hands out the credentials of a cloud machine. Addresses that are written as such are not
//! judged: who writes them means them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Kinds of addresses that names may not stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AddressGuard {
    /// This host: `127.0.0.0/8`, `::1`, and `0.0.0.0/8` and `::`, which lead to it, too.
    pub loopback: bool,
    /// The link: `169.254.0.0/16` and `fe80::/10`, where most clouds have their metadata.
    pub link_local: bool,
    /// Services of clouds that answer with credentials, at well-known addresses outside of the link:
    /// `fd00:ec2::254`, `fd20:ce::254`, `100.100.100.200`, `168.63.129.16`; and `169.254.169.254`.
    pub metadata: bool,
    /// Private networks: RFC 1918, `100.64.0.0/10` (RFC 6598) and `fc00::/7` (RFC 4193).
    pub private: bool,
}

/// Why an address is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guarded {
    /// [`AddressGuard::loopback`].
    Loopback,
    /// [`AddressGuard::link_local`].
    LinkLocal,
    /// [`AddressGuard::metadata`].
    Metadata,
    /// [`AddressGuard::private`].
    Private,
}

impl Guarded {
    /// The word for settings, logs and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Private => "private",
        }
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(169, 254, 169, 254),
    // Alibaba Cloud
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure's host agent
    Ipv4Addr::new(168, 63, 129, 16),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    // Google Cloud
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

impl AddressGuard {
    /// A guard that lets every address pass.
    pub const NONE: Self = Self { loopback: false, link_local: false, metadata: false, private: false };

    /// A guard against this host, the link and metadata, but not against private networks.
    pub const OUTSIDE: Self = Self { loopback: true, link_local: true, metadata: true, private: false };

    /// Why a name may not stand for `address`, if it may not. An IPv6 address that carries an IPv4
    /// one (mapped, compatible, NAT64 of RFC 6052, 6to4 of RFC 3056) is judged by that.
    #[must_use]
    pub fn judge(&self, address: IpAddr) -> Option<Guarded> {
        match address {
            IpAddr::V4(address) => self.judge_v4(address),
            IpAddr::V6(address) => {
                self.judge_v6(address).or_else(|| embedded(address).and_then(|inner| self.judge_v4(inner)))
            }
        }
    }

    fn judge_v4(&self, address: Ipv4Addr) -> Option<Guarded> {
        let [a, b, ..] = address.octets();
        if self.metadata && METADATA_V4.contains(&address) {
            Some(Guarded::Metadata)
        } else if self.loopback && (address.is_loopback() || a == 0) {
            Some(Guarded::Loopback)
        } else if self.link_local && address.is_link_local() {
            Some(Guarded::LinkLocal)
        } else if self.private && (address.is_private() || (a == 100 && b & 0xc0 == 64)) {
            Some(Guarded::Private)
        } else {
            None
        }
    }

    fn judge_v6(&self, address: Ipv6Addr) -> Option<Guarded> {
        let first = address.segments()[0];
        if self.metadata && METADATA_V6.contains(&address) {
            Some(Guarded::Metadata)
        } else if self.loopback && (address.is_loopback() || address.is_unspecified()) {
            Some(Guarded::Loopback)
        } else if self.link_local && first & 0xffc0 == 0xfe80 {
            Some(Guarded::LinkLocal)
        } else if self.private && first & 0xfe00 == 0xfc00 {
            Some(Guarded::Private)
        } else {
            None
        }
    }
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(from(high, low))
        }
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: AddressGuard =
        AddressGuard { loopback: true, link_local: true, metadata: true, private: true };

    fn judged(guard: AddressGuard, address: &str) -> Option<&'static str> {
        guard.judge(address.parse().unwrap()).map(Guarded::as_str)
    }

    #[test]
    fn each_kind_is_known_by_its_word() {
        for (word, addresses) in [
            ("loopback", &["127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "::1", "::"][..]),
            ("link-local", &["169.254.0.1", "169.254.170.2", "fe80::1", "febf::1"]),
            (
                "metadata",
                &["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"],
            ),
            (
                "private",
                &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1"],
            ),
        ] {
            for address in addresses {
                assert_eq!(judged(ALL, address), Some(word), "{address}");
                assert_eq!(judged(AddressGuard::NONE, address), None, "{address}");
            }
        }
    }

    #[test]
    fn an_address_in_an_address_is_seen() {
        for address in
            ["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::1", "64:ff9b::7f00:1"]
        {
            assert_eq!(judged(AddressGuard::OUTSIDE, address), Some("loopback"), "{address}");
        }
        assert_eq!(judged(AddressGuard::OUTSIDE, "64:ff9b::a9fe:a9fe"), Some("metadata"));
    }

    #[test]
    fn the_rest_passes() {
        for address in
            ["1.1.1.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.0.1", "2001:db8::1", "fec0::1"]
        {
            assert_eq!(judged(ALL, address), None, "{address}");
        }
        for address in ["10.0.0.1", "192.168.1.1", "fd12::1"] {
            assert_eq!(judged(AddressGuard::OUTSIDE, address), None, "{address}");
        }
    }
}
