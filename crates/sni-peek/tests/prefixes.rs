//! Every beginning of every good hello asks for more, and never for more than there will be.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what does not fit fails the test")]

#[path = "shared/build.rs"]
mod build;
#[path = "shared/table.rs"]
mod table;

use std::path::Path;

use sni_peek::{Limits, Parsed, parse};

fn assert_prefixes(title: &str, bytes: &[u8]) {
    let limits = Limits::default();
    let Parsed::Hello(hello) = parse(bytes, &limits) else { panic!("{title}: {:?}", parse(bytes, &limits)) };
    let length = hello.consumed();
    // Each prefix of a short hello; of a long one the ends and a sample, for parsing all is quadratic.
    let step = if length < 4096 { 1 } else { 61 };
    for prefix in (0..length).filter(|at| at % step == 0 || *at < 100 || at + 100 > length) {
        match parse(&bytes[..prefix], &limits) {
            Parsed::NeedMore { at_least } => {
                assert!(prefix < at_least && at_least <= length, "{title}: {prefix} of {length}: {at_least}");
            }
            other => panic!("{title}: {prefix} of {length}: {other:?}"),
        }
    }
    // Whoever waits as told needs few attempts.
    let (mut have, mut attempts) = (0, 0);
    while let Parsed::NeedMore { at_least } = parse(&bytes[..have], &limits) {
        have = at_least;
        attempts += 1;
    }
    assert_eq!(have, length, "{title}");
    assert!(attempts <= 100, "{title}: {attempts} attempts");
}

#[test]
fn of_built_hellos() {
    for (title, bytes, expect) in table::good() {
        table::assert_expected(title, &parse(&bytes, &Limits::default()), &expect);
        assert_prefixes(title, &bytes);
    }
}

#[test]
fn of_what_is_not_complete() {
    for (title, bytes, _) in table::hostile() {
        if let Parsed::NeedMore { at_least } = parse(&bytes, &Limits::default()) {
            assert!(at_least > bytes.len(), "{title}");
        }
    }
}

/// Name of the file, server name, first protocols, whether with ECH, with X25519MLKEM768, with bytes after the hello.
type Recorded = (&'static str, Option<&'static str>, &'static [&'static str], bool, bool, bool);

#[test]
fn of_real_clients() {
    let name = Some(table::NAME);
    let expected: [Recorded; 13] = [
        ("openssl3.bin", name, &["h2", "http/1.1"], false, false, false),
        ("openssl3-tls12.bin", name, &[], false, false, false),
        ("openssl3-tls10.bin", name, &[], false, false, false),
        ("openssl3-no-sni.bin", None, &[], false, false, false),
        ("openssl3-ip.bin", Some("10.0.0.1"), &[], false, false, false),
        ("openssl3-small-records.bin", name, &["protocol-000"], false, false, false),
        ("openssl3-early-data.bin", name, &[], false, false, true),
        ("curl.bin", name, &["h2", "http/1.1"], false, false, false),
        ("go-mlkem.bin", name, &["h2", "http/1.1"], false, true, false),
        ("go-tls12.bin", name, &[], false, false, false),
        ("go-ech.bin", Some("public.example.com"), &[], true, true, false),
        ("go-wan-federation.bin", Some("server.ams2.consul"), &["consul/rpc-single"], false, true, false),
        ("go-no-sni.bin", None, &[], false, true, false),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for (file, name, protocols, ech, post_quantum, more) in expected {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let Parsed::Hello(hello) = parse(&bytes, &Limits::default()) else { panic!("{file}") };
        assert_eq!(hello.server_name(), name, "{file}");
        assert!(hello.alpn().zip(protocols).all(|(sent, expected)| sent == expected.as_bytes()), "{file}");
        assert_eq!(hello.alpn().count() == 0, protocols.is_empty(), "{file}");
        assert_eq!(hello.has_ech(), ech, "{file}");
        assert_eq!(hello.has_key_share_group(4588), post_quantum, "{file}");
        assert_eq!(bytes.len() > hello.consumed(), more, "{file}");
        assert_eq!(hello.is_borrowed(), file != "openssl3-small-records.bin", "{file}");
        assert_prefixes(file, &bytes);
    }
}
