//! What must hold for any bytes at all. The fuzz target and the replay of its corpus run this same function.

use sni_peek::{ClientHello, HelloReader, Limits, Parsed, parse};

/// Panics if a rule is broken. The first two bytes choose the limit and how the rest is cut into reads.
pub(crate) fn check(input: &[u8]) {
    let Some((&[limit, cuts], bytes)) = input.split_first_chunk::<2>() else { return };
    let limits =
        if limit < 0x80 { Limits::default() } else { Limits { max_bytes: usize::from(limit - 0x80) * 16 } };
    let whole = parse(bytes, &limits);
    check_answer(&whole, bytes, &limits);
    check_in_pieces(&whole, bytes, limits, cuts);
    if let Parsed::Hello(hello) = &whole {
        check_hello(hello, bytes, &limits);
    }
}

fn check_answer(answer: &Parsed<'_>, bytes: &[u8], limits: &Limits) {
    match answer {
        Parsed::Hello(hello) => {
            assert!(hello.consumed() <= bytes.len());
            assert!(hello.consumed() <= limits.max_bytes);
        }
        Parsed::NeedMore { at_least } => {
            assert!(*at_least > bytes.len());
            assert!(*at_least <= limits.max_bytes);
        }
        Parsed::TooLarge { limit } => assert_eq!(*limit, limits.max_bytes),
        Parsed::NotTls(why) => assert!(!why.to_string().is_empty()),
        Parsed::Malformed(why) => assert!(!why.to_string().is_empty()),
    }
}

/// However the bytes are cut, the answer is the same; nothing is lost.
fn check_in_pieces(whole: &Parsed<'_>, bytes: &[u8], limits: Limits, cuts: u8) {
    let mut reader = HelloReader::new(limits);
    let mut state = u32::from(cuts);
    let mut fed = 0;
    while fed < bytes.len() {
        // 0 feeds single bytes; other values feed pieces of 1 to 64 bytes from a small linear congruence.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = if cuts == 0 { 1 } else { 1 + (state >> 26) as usize };
        let end = bytes.len().min(fed + size);
        let answer = reader.push(&bytes[fed..end]);
        fed = end;
        if !matches!(answer, Parsed::NeedMore { .. }) {
            assert_eq!(&answer, whole);
            assert_eq!(reader.bytes(), &bytes[..fed]);
            return;
        }
        check_answer(&answer, &bytes[..fed], &limits);
    }
    assert_eq!(&reader.push(&[]), whole);
    assert_eq!(reader.into_bytes(), bytes);
}

fn check_hello(hello: &ClientHello<'_>, bytes: &[u8], limits: &Limits) {
    if let Some(name) = hello.server_name() {
        assert!((1..=255).contains(&name.len()));
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(
            name.strip_suffix('.').unwrap_or(name).split('.').all(|label| (1..=63).contains(&label.len()))
        );
    }
    assert!(hello.alpn().all(|protocol| !protocol.is_empty()));
    assert!(hello.legacy_version() >= 0x0301);
    let _ = hello.has_key_share_group(4588);
    assert_eq!(&hello.clone().into_owned(), hello);
    assert!(!format!("{hello:?}").is_empty());
    // The hello alone gives the same hello, and a byte less of it gives none.
    let consumed = hello.consumed();
    assert_eq!(parse(&bytes[..consumed], limits), Parsed::Hello(hello.clone()));
    assert_eq!(parse(&bytes[..consumed - 1], limits), Parsed::NeedMore { at_least: consumed });
    assert_eq!(parse(bytes, &Limits { max_bytes: consumed }), Parsed::Hello(hello.clone()));
    assert_eq!(parse(bytes, &Limits { max_bytes: consumed - 1 }), Parsed::TooLarge { limit: consumed - 1 });
}
