//! The templates that people use in `-address`: one function of go-sockaddr in place of the address.
//!
//! Supported are `{{ GetPrivateIP }}`, `{{ GetPublicIP }}` and `{{ GetInterfaceIP "eth0" }}`; what they
//! choose follows the documented behaviour of that library, with two differences: an interface is
//! meant by its whole name, and no address found is an error instead of an empty address.

use super::network::{HostNetwork, InterfaceAddress};
use std::{cmp::Reverse, net::IpAddr};

const WAY_OUT: &str = "supported are {{ GetPrivateIP }}, {{ GetPublicIP }} and {{ GetInterfaceIP \"eth0\" }}, \
                       alone or with :port behind; give the address itself otherwise";

/// Replaces a template by the address it stands for, in brackets if that is IPv6 and a port follows.
pub(super) fn expand(text: &str, network: &HostNetwork) -> Result<String, String> {
    let Some((before, rest)) = text.split_once("{{") else { return Ok(text.to_owned()) };
    let (inside, after) =
        rest.split_once("}}").ok_or_else(|| format!("\"{{{{\" without \"}}}}\"; {WAY_OUT}"))?;
    if !before.is_empty() || !(after.is_empty() || after.starts_with(':')) || after.contains("{{") {
        return Err(format!("a template stands for the whole address; {WAY_OUT}"));
    }
    let found = choose(inside.trim(), network)?;
    Ok(if found.is_ipv6() { format!("[{found}]{after}") } else { format!("{found}{after}") })
}

fn choose(call: &str, network: &HostNetwork) -> Result<IpAddr, String> {
    let (function, argument) = match call.split_once(char::is_whitespace) {
        Some((function, argument)) => (function, Some(argument.trim())),
        None => (call, None),
    };
    let quoted = argument.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')));
    let first = |wanted: &dyn Fn(&InterfaceAddress) -> bool| {
        let mut found: Vec<_> =
            network.addresses.iter().filter(|own| is_forwardable(own.address) && wanted(own)).collect();
        // The default interface first, IPv4 before IPv6, the smallest network first.
        found.sort_by_key(|own| {
            let default = network.default_interface.as_deref() == Some(&*own.interface);
            (!default, own.address.is_ipv6(), Reverse(own.prefix))
        });
        found.first().map(|own| own.address)
    };
    match (function, quoted) {
        ("GetPrivateIP", None) => first(&|own| is_private(own.address))
            .ok_or_else(|| "no interface has a private address; give the address itself".to_owned()),
        ("GetPublicIP", None) => first(&|own| !is_private(own.address))
            .ok_or_else(|| "no interface has a public address; give the address itself".to_owned()),
        ("GetInterfaceIP", Some(Some(name))) if !name.is_empty() => first(&|own| own.interface == name)
            .ok_or_else(|| {
                format!("no interface {name:?}, or it has only loopback and link-local addresses")
            }),
        _ => Err(format!("template {call:?} is not supported; {WAY_OUT}")),
    }
}

/// Whether a router may carry it to another host (the special-purpose registries, RFC 6890).
fn is_forwardable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || v4.is_multicast()
                || v4.octets()[0] == 0
                || v4.octets()[0] >= 240)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6.segments()[..2] == [0x2001, 0xdb8])
        }
    }
}

/// Forwardable, but not on the internet (RFC 6890).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || (a == 100 && b & 0xc0 == 64) || (a == 198 && b & 0xfe == 18)
        }
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> HostNetwork {
        let own = |interface: &str, address: &str, prefix| InterfaceAddress {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
            prefix,
        };
        HostNetwork {
            addresses: vec![
                own("lo", "127.0.0.1", 8),
                own("eth1", "172.16.0.9", 12),
                own("eth0", "fd00::2", 64),
                own("eth0", "fe80::1", 64),
                own("eth0", "10.1.2.3", 16),
                own("eth0", "10.1.7.3", 24),
                own("wan0", "203.0.114.5", 24),
                own("six0", "fd00:1::2", 64),
            ],
            default_interface: Some("eth0".to_owned()),
        }
    }

    #[test]
    fn templates_choose_as_documented() {
        let table = [
            ("10.9.9.9:1", Ok("10.9.9.9:1")),
            ("{{ GetPrivateIP }}:8443", Ok("10.1.7.3:8443")),
            ("{{GetPrivateIP}}", Ok("10.1.7.3")),
            ("{{ GetPublicIP }}:443", Ok("203.0.114.5:443")),
            ("{{ GetInterfaceIP \"eth1\" }}", Ok("172.16.0.9")),
            ("{{ GetInterfaceIP \"six0\" }}:8443", Ok("[fd00:1::2]:8443")),
            ("{{ GetInterfaceIP \"lo\" }}:8443", Err("only loopback")),
            ("{{ GetInterfaceIP \"nope\" }}:8443", Err("no interface \"nope\"")),
            ("{{ GetInterfaceIP eth0 }}", Err("not supported")),
            ("{{ GetInterfaceIP }}", Err("not supported")),
            ("{{ GetAllInterfaces | attr \"address\" }}", Err("not supported")),
            ("{{ GetPrivateIP \"x\" }}", Err("not supported")),
            ("x{{ GetPrivateIP }}", Err("whole address")),
            ("{{ GetPrivateIP }}8443", Err("whole address")),
            ("{{ GetPrivateIP", Err("without")),
        ];
        for (text, expected) in table {
            match (expand(text, &network()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn no_address_is_an_error_and_not_an_empty_one() {
        for call in ["GetPrivateIP", "GetPublicIP"] {
            let error = expand(&format!("{{{{ {call} }}}}"), &HostNetwork::default()).unwrap_err();
            assert!(error.contains("give the address itself"), "{error}");
        }
    }
}
