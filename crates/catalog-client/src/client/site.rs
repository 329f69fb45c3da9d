//! One address of an agent, with all that is derived from it once.

use std::sync::Arc;

use hyper::header::HeaderValue;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Uri, header};
use rustls_pki_types::ServerName;

use super::status::Protocol;
use super::tls;
use crate::config::{Address, ConfigError, Scheme as Spoken, TlsFiles};

#[derive(Debug)]
pub(super) struct Site {
    pub(super) address: Address,
    /// As errors and pages show it.
    pub(super) shown: Arc<str>,
    /// The name to verify; `None` without TLS.
    pub(super) tls_name: Option<ServerName<'static>>,
    host: HeaderValue,
    authority: Authority,
    /// On this host: to pack a body would only cost both sides.
    local: bool,
}

impl Site {
    pub(super) fn new(address: &Address, files: &TlsFiles) -> Result<Self, ConfigError> {
        let shown: Arc<str> = address.to_string().into();
        let wrong = |reason: String| ConfigError::Address { text: shown.to_string(), reason };
        let text = address.authority();
        let host = HeaderValue::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let authority = text.parse::<Authority>().map_err(|error| wrong(error.to_string()))?;
        let tls_name = match address.scheme {
            Spoken::Http => None,
            Spoken::Https => Some(tls::server_name(files, address.host())?),
        };
        let local = address.is_of_this_host();
        Ok(Self { address: address.clone(), shown, tls_name, host, authority, local })
    }

    /// Fits a request, whose target is path and query only, to this address: prefix, host, and the
    /// form of target that the protocol wants.
    pub(super) fn fit<B>(&self, request: &mut Request<B>, protocol: Protocol) -> Result<(), String> {
        let wrong = |error: &dyn std::fmt::Display| format!("the path cannot be sent: {error}");
        let prefix = &self.address.prefix;
        if !prefix.is_empty() {
            let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            let whole = format!("{prefix}{path}");
            *request.uri_mut() = Uri::from_maybe_shared(whole).map_err(|error| wrong(&error))?;
        }
        if self.local {
            request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        match protocol {
            Protocol::Http1 => {
                request.headers_mut().insert(header::HOST, self.host.clone());
            }
            Protocol::Http2 => {
                let mut parts = std::mem::take(request.uri_mut()).into_parts();
                parts.scheme = Some(Scheme::HTTPS);
                parts.authority = Some(self.authority.clone());
                *request.uri_mut() = Uri::from_parts(parts).map_err(|error| wrong(&error))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Protocol, Site};
    use crate::config::{Address, TlsFiles};
    use hyper::{Request, header};

    #[test]
    fn prefix_host_and_form_of_target() {
        for (address, protocol, target, host) in [
            ("127.0.0.1:8500", Protocol::Http1, "/v1/x?a=b", Some("127.0.0.1:8500")),
            ("http://proxy/consul", Protocol::Http1, "/consul/v1/x?a=b", Some("proxy")),
            ("unix:///run/consul.sock", Protocol::Http1, "/v1/x?a=b", Some("localhost")),
            ("https://a:8501", Protocol::Http2, "https://a:8501/v1/x?a=b", None),
            ("https://[::1]:8501/c", Protocol::Http2, "https://[::1]:8501/c/v1/x?a=b", None),
        ] {
            let site = Site::new(&Address::parse(address, None).unwrap(), &TlsFiles::default()).unwrap();
            let mut request = Request::get("/v1/x?a=b").body(()).unwrap();
            site.fit(&mut request, protocol).unwrap();
            assert_eq!(request.uri().to_string(), target);
            let found = request.headers().get(header::HOST).map(|value| value.to_str().unwrap());
            assert_eq!(found, host, "{address}");
        }
    }

    #[test]
    fn gzip_is_asked_for_only_from_another_host() {
        for (address, expected) in [("127.0.0.1:8500", "identity"), ("10.0.0.1:8500", "gzip")] {
            let site = Site::new(&Address::parse(address, None).unwrap(), &TlsFiles::default()).unwrap();
            let mut request = Request::get("/v1/x").header(header::ACCEPT_ENCODING, "gzip").body(()).unwrap();
            site.fit(&mut request, Protocol::Http1).unwrap();
            assert_eq!(request.headers()[header::ACCEPT_ENCODING], expected, "{address}");
        }
    }

    #[test]
    fn the_name_to_verify() {
        let https = Address::parse("https://10.0.0.1:8501", None).unwrap();
        let named = TlsFiles::default().with_server_name("server.dc1.consul:8300");
        let name = Site::new(&https, &named).unwrap().tls_name.unwrap();
        assert_eq!(name.to_str(), "server.dc1.consul");
        let name = Site::new(&https, &TlsFiles::default()).unwrap().tls_name.unwrap();
        assert_eq!(name.to_str(), "10.0.0.1");
        let odd = TlsFiles::default().with_server_name("a b");
        assert!(Site::new(&https, &odd).unwrap_err().to_string().contains("--tls-server-name"));
    }
}
