//! Addresses as documents write them: an IP or a DNS name, with or without a port.

use crate::target::Host;
use std::net::{IpAddr, Ipv6Addr};

/// An IP address or a DNS name.
pub(crate) fn host(text: &str) -> Result<Host, String> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ip = match bracketed {
        Some(inside) => inside.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
        None => text.parse::<IpAddr>().ok(),
    };
    match ip {
        Some(ip) if ip.is_unspecified() || ip.is_multicast() => {
            Err(format!("{ip} is no address that one can connect to"))
        }
        // An IPv4 address in IPv6 clothes is the same endpoint.
        Some(ip) => Ok(Host::Ip(ip.to_canonical())),
        None => {
            let name = text.strip_suffix('.').unwrap_or(text);
            mesh_id::is_valid_sni_host(name)
                .map_err(|error| format!("{text:?} is neither an IP address nor a DNS name: {error}"))?;
            Ok(Host::Name(name.to_ascii_lowercase().into()))
        }
    }
}

/// `host:port`, `[v6]:port`; the port may be left out if `port` gives one.
pub(crate) fn host_port(text: &str, default: Option<u16>) -> Result<(Host, u16), String> {
    let plain_v6 = text.parse::<Ipv6Addr>().is_ok();
    let (address, port) = match text.rsplit_once(':') {
        Some((address, port)) if !plain_v6 && !port.ends_with(']') => (address, Some(port)),
        _ => (text, None),
    };
    let port = match (port, default) {
        (Some(port), _) => port
            .parse::<u16>()
            .ok()
            .filter(|number| *number > 0 && !port.starts_with('+'))
            .ok_or_else(|| format!("{port:?} is no port: expected 1 to 65535"))?,
        (None, Some(port)) => port,
        (None, None) => return Err(format!("{text:?} has no port: expected \"address:port\"")),
    };
    Ok((host(address)?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ips_or_names_with_a_port() {
        let written = |text: &str| host_port(text, None).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(written("10.0.0.5:443").as_deref(), Ok("10.0.0.5 443"));
        assert_eq!(written("[2001:db8::1]:443").as_deref(), Ok("2001:db8::1 443"));
        assert_eq!(written("[::ffff:10.0.0.5]:443").as_deref(), Ok("10.0.0.5 443"));
        assert_eq!(written("GW.Example.net.:8443").as_deref(), Ok("gw.example.net 8443"));
        for wrong in
            ["10.0.0.5", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:+1", "::1", "[::1]", "0.0.0.0:1", "a b:1"]
        {
            assert!(written(wrong).is_err(), "{wrong}");
        }
        assert_eq!(host_port("[::1]", Some(7)), Ok((Host::Ip(Ipv6Addr::LOCALHOST.into()), 7)));
        assert_eq!(host_port("::1", Some(7)), Ok((Host::Ip(Ipv6Addr::LOCALHOST.into()), 7)));
        assert_eq!(host_port("a", Some(7)), Ok((Host::Name("a".into()), 7)));
    }
}
