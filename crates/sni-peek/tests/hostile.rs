//! The table of good and hostile first bytes: the exact answer, whole and byte by byte.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what does not fit fails the test")]

#[path = "shared/build.rs"]
mod build;
#[path = "shared/table.rs"]
mod table;

use sni_peek::{HelloReader, Limits, NotTls, Parsed, parse};
use table::{Expect, NAME, assert_expected, good, hostile};

#[test]
fn every_row_whole_and_byte_by_byte() {
    for (title, bytes, expect) in good().into_iter().chain(hostile()) {
        let whole = parse(&bytes, &Limits::default());
        assert_expected(title, &whole, &expect);
        let mut reader = HelloReader::new(Limits::default());
        for byte in &bytes {
            match reader.push(&[*byte]) {
                Parsed::NeedMore { .. } => {}
                verdict => {
                    assert_eq!(verdict, whole, "{title}");
                    break;
                }
            }
        }
        assert_eq!(reader.push(&[]), whole, "{title}");
    }
}

#[test]
fn what_is_not_tls_is_known_at_once() {
    for (title, bytes, expect) in hostile() {
        let Expect::NotTls(why) = expect else { continue };
        let proof = if matches!(why, NotTls::RecordVersion { .. }) { 2 } else { 1 };
        assert_eq!(parse(&bytes[..proof], &Limits::default()), Parsed::NotTls(why), "{title}");
    }
}

#[test]
fn every_first_byte_has_a_verdict() {
    for first in 0..=u8::MAX {
        let bytes = [first];
        let parsed = parse(&bytes, &Limits::default());
        assert_eq!(matches!(parsed, Parsed::NotTls(_)), first != 22, "{first}: {parsed:?}");
    }
}

#[test]
fn a_hello_in_one_record_is_borrowed() {
    for (title, bytes, _) in good() {
        let Parsed::Hello(hello) = parse(&bytes, &Limits::default()) else { panic!("{title}") };
        let message = u32::from_be_bytes([0, bytes[6], bytes[7], bytes[8]]) as usize + 4;
        let in_one_record = bytes[5] == 1 && usize::from(u16::from_be_bytes([bytes[3], bytes[4]])) >= message;
        assert_eq!(hello.is_borrowed(), in_one_record || title == "empty record first", "{title}");
    }
}

#[test]
fn what_the_hello_says() {
    let rows = good();
    let (_, bytes, _) = rows.iter().find(|(title, ..)| title.starts_with("grease")).unwrap();
    let Parsed::Hello(hello) = parse(bytes, &Limits::default()) else { panic!() };
    assert!(hello.has_ech() && hello.has_key_share_group(4588) && hello.has_key_share_group(29));
    assert!(!hello.has_key_share_group(23));
    assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], &[0x1a, 0x1a], b"http/1.1"]);
    assert_eq!(
        format!("{hello:?}"),
        format!(
            "ClientHello {{ server_name: Some({NAME:?}), alpn: [\"h2\", \"\\\\x1a\\\\x1a\", \"http/1.1\"], ech: true, consumed: {}, .. }}",
            bytes.len()
        )
    );
    // A broken key share hides what follows it and refuses nothing.
    let broken = build::with_extensions(vec![(51, vec![0, 9, 0, 29, 0, 200, 1])]).bytes();
    let Parsed::Hello(hello) = parse(&broken, &Limits::default()) else { panic!() };
    assert!(!hello.has_key_share_group(29) && hello.server_name().is_none());
}

#[test]
fn the_limit_is_exact_and_counts_record_headers() {
    for size in [1 << 14, 100, 1] {
        let bytes = build::hello(NAME).records_of(size);
        let exact = Limits { max_bytes: bytes.len() };
        assert!(matches!(parse(&bytes, &exact), Parsed::Hello(_)), "{size}");
        let short = Limits { max_bytes: bytes.len() - 1 };
        assert_eq!(parse(&bytes, &short), Parsed::TooLarge { limit: bytes.len() - 1 }, "{size}");
    }
    // What follows the hello does not count.
    let mut bytes = build::hello(NAME).bytes();
    let limits = Limits { max_bytes: bytes.len() };
    bytes.extend([0; 5000]);
    assert!(matches!(parse(&bytes, &limits), Parsed::Hello(hello) if hello.consumed() == bytes.len() - 5000));
}

#[test]
fn a_hello_that_will_not_fit_is_refused_when_it_says_so() {
    let bytes = build::record(22, 0x0301, &[1, 1, 0, 0, 3, 3]);
    assert_eq!(parse(&bytes[..8], &Limits::default()), Parsed::NeedMore { at_least: 9 });
    assert_eq!(parse(&bytes[..9], &Limits::default()), Parsed::TooLarge { limit: 65536 });
}
