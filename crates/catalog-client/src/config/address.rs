//! Addresses of agents, in every form that Consul's own tools take (consul-api 1.3).

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::ConfigError;

/// Where an agent listens, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// The socket.
    pub target: Target,
    /// Path before `/v1`, for a reverse proxy: empty, or with a slash in front and none behind.
    pub prefix: String,
}

/// Plain or TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1.
    Http,
    /// TLS, and HTTP/2 where the agent offers it.
    Https,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// TCP.
    Tcp {
        /// A name or an IP address, IPv6 without brackets.
        host: String,
        /// The port, never 0.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// `127.0.0.1:8500`, plain: where an agent listens unless it is told otherwise.
    #[must_use]
    pub fn local() -> Self {
        Self {
            scheme: Scheme::Http,
            target: Target::Tcp { host: "127.0.0.1".into(), port: 8500 },
            prefix: String::new(),
        }
    }

    /// Reads an address. `ssl` is what `CONSUL_HTTP_SSL` says: it decides where the address has no
    /// scheme, and `true` wins over `http://`.
    ///
    /// | Form | Meaning |
    /// |---|---|
    /// | `host:port`, `host` | scheme by `ssl`; without a port 80 or 443, not 8500 |
    /// | `http://host:port` | plain, unless `ssl` is true |
    /// | `https://host:port/prefix` | TLS; the prefix goes before `/v1` |
    /// | `unix:///run/consul.sock` | a Unix socket; TLS inside it if `ssl` is true |
    ///
    /// # Errors
    /// Any other form. The error says which would do.
    pub fn parse(text: &str, ssl: Option<bool>) -> Result<Self, ConfigError> {
        parse(text.trim(), ssl.unwrap_or(false)).map_err(|reason| {
            // What stands before an @ may be a password.
            let shown = text.rsplit('@').next().unwrap_or_default();
            ConfigError::Address { text: shown.to_owned(), reason }
        })
    }

    /// The host to name in requests and to verify: `localhost` for a Unix socket.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.target {
            Target::Tcp { host, .. } => host,
            Target::Unix(_) => "localhost",
        }
    }

    /// Whether it is reached without a network: a Unix socket, or loopback.
    #[must_use]
    pub fn is_of_this_host(&self) -> bool {
        match &self.target {
            Target::Unix(_) => true,
            Target::Tcp { host, .. } => {
                let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
                ip.map_or(&**host == "localhost", |ip| ip.is_loopback())
            }
        }
    }

    /// What goes into the `Host` header: the port is left out where it is the scheme's own.
    pub(crate) fn authority(&self) -> String {
        match &self.target {
            Target::Unix(_) => "localhost".into(),
            Target::Tcp { host, port } => match (self.scheme, port) {
                (Scheme::Http, 80) | (Scheme::Https, 443) => bracketed(host),
                _ => format!("{}:{port}", bracketed(host)),
            },
        }
    }
}

fn parse(text: &str, ssl: bool) -> Result<Address, String> {
    let by_ssl = if ssl { Scheme::Https } else { Scheme::Http };
    let (scheme, rest) = match text.split_once("://") {
        None => return tcp(by_ssl, text, None),
        Some(("http", rest)) => (by_ssl, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("unix", path)) if path.starts_with('/') && path.len() > 1 => {
            return Ok(Address { scheme: by_ssl, target: Target::Unix(path.into()), prefix: String::new() });
        }
        Some(("unix", _)) => {
            return Err("the path of a socket begins with a slash: unix:///run/consul.sock".into());
        }
        Some((other, _)) => {
            return Err(format!("unknown protocol scheme {other:?}; write http://, https:// or unix://"));
        }
    };
    match rest.split_once('/') {
        None => tcp(scheme, rest, Some("")),
        Some((authority, path)) => tcp(scheme, authority, Some(path)),
    }
}

fn tcp(scheme: Scheme, authority: &str, path: Option<&str>) -> Result<Address, String> {
    if authority.contains('/') {
        return Err("a path needs a scheme in front: https://host:port/prefix".into());
    }
    if authority.contains('@') {
        return Err("no user belongs into it; set CONSUL_HTTP_AUTH instead".into());
    }
    let (host, port) = host_and_port(authority)?;
    let port = match port {
        Some(port) => port,
        None if scheme == Scheme::Https => 443,
        None => 80,
    };
    let path = path.unwrap_or_default().trim_end_matches('/');
    if path.contains(['?', '#']) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the path may hold neither ?, #, spaces nor letters beyond ASCII".into());
    }
    let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
    Ok(Address { scheme, target: Target::Tcp { host: host.to_owned(), port }, prefix })
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, tail) = rest.split_once(']').ok_or("the bracket of the IPv6 address has no end")?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(format!("{host:?} is no IPv6 address"));
            }
            match tail.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if tail.is_empty() => (host, None),
                None => return Err("behind the bracket only a colon and a port may follow".into()),
            }
        }
        None if authority.matches(':').count() > 1 => {
            return Err("put an IPv6 address in brackets: [::1]:8500".into());
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() {
        return Err("it names no host; write host:port, such as 127.0.0.1:8500".into());
    }
    if !host.bytes().all(name) {
        return Err(format!("{host:?} is no host name"));
    }
    match port.map(str::parse::<u16>) {
        None => Ok((host, None)),
        Some(Ok(port)) if port > 0 => Ok((host, Some(port))),
        Some(_) => Err(format!("the port {:?} is not one of 1 to 65535", port.unwrap_or_default())),
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Address {
    /// The shortest form that says everything: `127.0.0.1:8500`, `https://consul:8501/prefix`,
    /// `unix:///run/consul.sock`. It can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Unix(path) => write!(f, "unix://{}", path.display()),
            Target::Tcp { host, port } => {
                let scheme = match self.scheme {
                    Scheme::Https => "https://",
                    Scheme::Http if self.prefix.is_empty() => "",
                    Scheme::Http => "http://",
                };
                write!(f, "{scheme}{}:{port}{}", bracketed(host), self.prefix)
            }
        }
    }
}

#[cfg(test)]
mod tests;
