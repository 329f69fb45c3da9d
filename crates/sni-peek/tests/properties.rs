//! Properties that hold for any name, any cut and any bytes.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what does not fit fails the test")]

#[path = "shared/build.rs"]
mod build;
#[path = "shared/invariants.rs"]
mod invariants;

use proptest::prelude::*;
use sni_peek::{Limits, Parsed, parse};

/// A hello with some extensions, a name and protocols, in records of any size.
fn any_hello() -> impl Strategy<Value = (String, Vec<String>, Vec<u8>)> {
    let name = "[a-zA-Z0-9_-]{1,20}(\\.[a-z0-9-]{1,20}){0,4}";
    let protocols = proptest::collection::vec("[ -~]{1,20}", 1..4);
    let others =
        proptest::collection::btree_map(52..=u16::MAX, proptest::collection::vec(any::<u8>(), 0..30), 0..30);
    (name, protocols, others, 1..400usize).prop_map(|(name, protocols, others, size)| {
        let names: Vec<&str> = protocols.iter().map(String::as_str).collect();
        let mut extensions: Vec<_> = others.into_iter().collect();
        extensions.insert(extensions.len() / 2, (0, build::server_name(name.as_bytes())));
        extensions.push((16, build::alpn(&names)));
        extensions.push((51, build::key_share(&[(29, 32)])));
        let bytes = build::with_extensions(extensions).records_of(size);
        (name, protocols, bytes)
    })
}

proptest! {
    #[test]
    fn what_was_built_is_read((name, protocols, bytes) in any_hello(), cuts in any::<u8>()) {
        let Parsed::Hello(hello) = parse(&bytes, &Limits::default()) else { panic!("{bytes:?}") };
        prop_assert_eq!(hello.server_name(), Some(name.as_str()));
        prop_assert!(hello.alpn().eq(protocols.iter().map(String::as_bytes)));
        prop_assert!(hello.has_key_share_group(29));
        prop_assert_eq!(hello.consumed(), bytes.len());
        invariants::check(&[&[0, cuts][..], &bytes].concat());
    }

    #[test]
    fn damage_breaks_no_rule(
        (_, _, mut bytes) in any_hello(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        choice in any::<[u8; 2]>(),
    ) {
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        invariants::check(&[&choice[..], &bytes].concat());
    }

    #[test]
    fn any_bytes_break_no_rule(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        invariants::check(&bytes);
        invariants::check(&[&[0, 1, 22, 3, 1][..], &bytes].concat());
    }

    #[test]
    fn any_name_is_read_as_sent_or_refused(name in proptest::collection::vec(any::<u8>(), 0..80)) {
        let bytes = build::with_extensions(vec![(0, build::server_name(&name))]).bytes();
        match parse(&bytes, &Limits::default()) {
            Parsed::Hello(hello) => prop_assert_eq!(hello.server_name().unwrap().as_bytes(), &name),
            Parsed::Malformed(_) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

#[test]
fn a_plain_hello_breaks_no_rule() {
    invariants::check(&[&[0, 0][..], &build::hello("a.example").bytes()].concat());
}
