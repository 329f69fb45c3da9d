//! Which names a request may use for this endpoint.
//!
//! A browser that visits a hostile site can be made to send requests to loopback: the site's own name is pointed to
//! 127.0.0.1 (DNS rebinding), and the browser then lets the site read the answer. Such a request carries the site's name
//! in `Host`. So an endpoint on loopback only answers to loopback's own names.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HOST, HeaderMap};
use hyper::http::uri::Authority;

/// Whether a request may be answered. Bound to another address than loopback, any name may lead here and is allowed.
/// No `Host` at all comes from no browser.
pub(super) fn allowed(bound: SocketAddr, headers: &HeaderMap, target: Option<&Authority>) -> bool {
    if !bound.ip().to_canonical().is_loopback() {
        return true;
    }
    let named = headers.get_all(HOST).iter().map(|value| value.to_str().ok());
    // A request line with a whole URL names a host as well.
    named.chain(target.map(|target| Some(target.as_str()))).all(|name| name.is_some_and(is_loopback))
}

/// `localhost` or a loopback address, each with or without a port.
fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host();
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    literal.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_few_names() {
        for good in [
            "localhost",
            "LocalHost:19000",
            "127.0.0.1",
            "127.0.0.1:19000",
            "127.8.9.10",
            "[::1]",
            "[::1]:19000",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1:19000",
            "[::2]",
            "0.0.0.0",
            "localhost:19000, example.com",
            "2130706433",
            "127.1",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn every_name_of_a_request_counts() {
        let loopback: SocketAddr = "127.0.0.1:19000".parse().unwrap();
        let headers = |names: &[&str]| {
            let mut headers = HeaderMap::new();
            names.iter().for_each(|name| {
                headers.append(HOST, name.parse().unwrap());
            });
            headers
        };
        let evil = Authority::from_static("rebound.example.com");
        assert!(allowed(loopback, &headers(&[]), None));
        assert!(allowed(loopback, &headers(&["localhost"]), None));
        assert!(!allowed(loopback, &headers(&["rebound.example.com:19000"]), None));
        assert!(!allowed(loopback, &headers(&["localhost", "rebound.example.com"]), None));
        assert!(!allowed(loopback, &headers(&["localhost"]), Some(&evil)));
        assert!(!allowed("[::1]:1".parse().unwrap(), &headers(&["rebound.example.com"]), None));
        assert!(allowed("10.0.0.1:19000".parse().unwrap(), &headers(&["gateway.example.com"]), None));
    }
}
