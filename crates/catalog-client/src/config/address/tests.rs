//! Every row of the table of forms, and what is refused.

use super::{Address, Scheme, Target};

fn shown(text: &str, ssl: Option<bool>) -> String {
    let address = Address::parse(text, ssl).unwrap();
    let again = Address::parse(&address.to_string(), Some(address.scheme == Scheme::Https)).unwrap();
    assert_eq!(again, address, "{text}");
    format!("{:?} {address}", address.scheme)
}

fn refused(text: &str) -> String {
    Address::parse(text, None).unwrap_err().to_string()
}

#[test]
fn every_form() {
    for (text, ssl, expected) in [
        ("127.0.0.1:8500", None, "Http 127.0.0.1:8500"),
        ("127.0.0.1:8500", Some(false), "Http 127.0.0.1:8500"),
        ("127.0.0.1:8500", Some(true), "Https https://127.0.0.1:8500"),
        ("consul", None, "Http consul:80"),
        ("consul", Some(true), "Https https://consul:443"),
        ("http://consul:8500", None, "Http consul:8500"),
        ("http://consul", None, "Http consul:80"),
        ("http://consul:1", Some(true), "Https https://consul:1"),
        ("http://consul", Some(true), "Https https://consul:443"),
        ("https://consul:8501", None, "Https https://consul:8501"),
        ("https://consul", Some(false), "Https https://consul:443"),
        ("https://consul:8501/", None, "Https https://consul:8501"),
        ("https://consul:8501/prefix", None, "Https https://consul:8501/prefix"),
        ("https://consul:8501/a/b/", None, "Https https://consul:8501/a/b"),
        ("http://consul:8500/prefix", None, "Http http://consul:8500/prefix"),
        ("[::1]:8500", None, "Http [::1]:8500"),
        ("https://[2001:db8::1]", None, "Https https://[2001:db8::1]:443"),
        ("unix:///run/consul.sock", None, "Http unix:///run/consul.sock"),
        ("unix:///run/consul.sock", Some(true), "Https unix:///run/consul.sock"),
        (" 127.0.0.1:8500\n", None, "Http 127.0.0.1:8500"),
    ] {
        assert_eq!(shown(text, ssl), expected, "{text} {ssl:?}");
    }
}

#[test]
fn what_goes_into_the_host_header() {
    for (text, expected) in [
        ("consul", "consul"),
        ("https://consul", "consul"),
        ("consul:443", "consul:443"),
        ("[::1]:8500", "[::1]:8500"),
        ("https://[::1]", "[::1]"),
        ("unix:///run/consul.sock", "localhost"),
    ] {
        assert_eq!(Address::parse(text, None).unwrap().authority(), expected, "{text}");
    }
    assert_eq!(Address::parse("[::1]:8500", None).unwrap().host(), "::1");
}

#[test]
fn the_default_is_the_agent_of_this_host() {
    let target = Target::Tcp { host: "127.0.0.1".into(), port: 8500 };
    assert_eq!(Address::local(), Address { scheme: Scheme::Http, target, prefix: String::new() });
}

#[test]
fn what_is_refused_and_what_would_do() {
    for (text, says) in [
        ("", "names no host"),
        (":8500", "names no host"),
        ("http://", "names no host"),
        ("ftp://consul:8500", "unknown protocol scheme \"ftp\"; write http://, https:// or unix://"),
        ("HTTP://consul:8500", "unknown protocol scheme"),
        ("consul:0", "1 to 65535"),
        ("consul:65536", "1 to 65535"),
        ("consul:", "1 to 65535"),
        ("consul:http", "1 to 65535"),
        ("::1", "in brackets"),
        ("[::1", "has no end"),
        ("[consul]:1", "no IPv6 address"),
        ("[::1]8500", "only a colon and a port"),
        ("consul:8500/prefix", "needs a scheme"),
        ("https://consul/a?b=c", "neither ?"),
        ("https://consul/a b", "neither ?"),
        ("http://me:secret@consul:8500", "CONSUL_HTTP_AUTH"),
        ("http://con sul:8500", "no host name"),
        ("unix://run/consul.sock", "unix:///run/consul.sock"),
        ("unix://", "unix:///run/consul.sock"),
    ] {
        let error = refused(text);
        assert!(error.contains(says), "{text}: {error}");
        assert!(error.contains("--http-addr"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
