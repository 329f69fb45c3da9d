//! Addresses as operators write them: to listen on, and for others to reach the gateway.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use catalog_client::registration::{Flags, GatewayKind, GatewayRegistration, HostNetwork, HostPort};

use super::DEFAULT_PORT;

/// What `address` says: to listen on and to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OwnAddress {
    /// `IP[:PORT]` or `:PORT`, which is every address of the host.
    Ip(SocketAddr),
    /// `HOST:PORT`: nothing can listen on it.
    Name(String, u16),
}

impl OwnAddress {
    /// Reads `IP`, `IP:PORT`, `[IP]:PORT`, `:PORT` or `HOST:PORT`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = &*expand(text)?;
        let every = text.strip_prefix(':').and_then(|port| port.parse().ok());
        if let Some(port) = every {
            return Ok(Self::Ip(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)));
        }
        let why = match address(text, Some(DEFAULT_PORT)) {
            Ok(address) => return Ok(Self::Ip(address)),
            Err(why) => why,
        };
        match text.rsplit_once(':') {
            Some((host, port)) if host.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let port = port.parse().map_err(|_| format!("\"{port}\" is not a port"))?;
                Ok(Self::Name(name(host)?, port))
            }
            _ => Err(why),
        }
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Name(_, port) => *port,
        }
    }
}

impl std::fmt::Display for OwnAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// `IP:PORT`; where a port is given for it, also `IP` alone.
pub(super) fn address(text: &str, port: Option<u16>) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let ip = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    match (ip.parse::<IpAddr>(), port) {
        (Ok(ip), Some(port)) => Ok(SocketAddr::new(ip, port)),
        (Ok(_), None) => Err(format!("\"{text}\" has no port; write it like \"127.0.0.1:8443\"")),
        (Err(_), _) => Err(format!(
            "\"{text}\" is not an IP address with a port; write it like \"0.0.0.0:8443\" or \"[::]:8443\" \
             (host names are not resolved here)"
        )),
    }
}

/// `NAME=IP[:PORT]`, each.
pub(super) fn listeners(items: &[String]) -> Result<Vec<(String, SocketAddr)>, String> {
    items
        .iter()
        .map(|item| {
            let (name, text) = item
                .split_once('=')
                .ok_or_else(|| format!("\"{item}\" has no name; write it like \"wan=192.0.2.10:8443\""))?;
            let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if name.is_empty() || name.len() > 63 || !name.bytes().all(word) {
                return Err(format!(
                    "\"{name}\" is not a name of a listener: 1 to 63 letters, digits, '-' and '_' are"
                ));
            }
            Ok((name.to_owned(), address(&expand(text)?, Some(DEFAULT_PORT))?))
        })
        .collect()
}

/// `HOST:PORT` or `HOST`, where the host may be a name.
pub(super) fn host_port(text: &str) -> Result<String, String> {
    let text = &*expand(text)?;
    if let Ok(address) = address(text, Some(DEFAULT_PORT)) {
        return Ok(address.to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("\"{port}\" is not a port"))?),
        None => (text, DEFAULT_PORT),
    };
    Ok(format!("{}:{port}", name(host)?))
}

/// Puts an address of this host in the place of a template such as `{{ GetPrivateIP }}:8443`, which
/// Consul's own commands take.
fn expand(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains("{{") {
        return Ok(Cow::Borrowed(text));
    }
    let network = HostNetwork::read().map_err(|error| {
        format!("the addresses of this host cannot be read ({error}): write the address itself")
    })?;
    let flags = Flags { address: Some(text.to_owned()), ..Flags::new(GatewayKind::Mesh) };
    let found = GatewayRegistration::from_flags(&flags, &network).map_err(|error| error.reason)?;
    let address = HostPort { address: found.address.unwrap_or_default(), port: found.port };
    Ok(Cow::Owned(address.to_string()))
}

fn name(host: &str) -> Result<String, String> {
    match mesh_id::is_valid_sni_host(host) {
        Ok(()) => Ok(host.to_ascii_lowercase()),
        Err(why) => Err(format!("\"{host}\" is neither an IP address nor a host name: {why}")),
    }
}
