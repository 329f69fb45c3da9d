//! First bytes of connections and what they must turn out to be.

use sni_peek::{Malformed, NotTls, Parsed};

use crate::build::*;

pub(crate) const NAME: &str = "billing.default.fra1.internal.6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul";

/// What is expected of a row.
pub(crate) enum Expect {
    /// A hello with this server name.
    Name(Option<&'static str>),
    NotTls(NotTls),
    Malformed(Malformed),
    TooLarge,
    /// Harmless so far, but not complete.
    NeedMore,
}

pub(crate) type Row = (&'static str, Vec<u8>, Expect);

/// Panics unless the bytes of a row are what the row says.
pub(crate) fn assert_expected(title: &str, parsed: &Parsed<'_>, expect: &Expect) {
    match (parsed, expect) {
        (Parsed::Hello(hello), Expect::Name(name)) => assert_eq!(hello.server_name(), *name, "{title}"),
        (Parsed::NotTls(why), Expect::NotTls(expected)) => assert_eq!(why, expected, "{title}"),
        (Parsed::Malformed(why), Expect::Malformed(expected)) => assert_eq!(why, expected, "{title}"),
        (Parsed::TooLarge { limit: 65536 }, Expect::TooLarge)
        | (Parsed::NeedMore { .. }, Expect::NeedMore) => {}
        (other, _) => panic!("{title}: {other:?}"),
    }
}

/// Hellos that must be accepted.
pub(crate) fn good() -> Vec<Row> {
    let grease = vec![
        (0x1a1a, vec![]),
        (0, server_name(NAME.as_bytes())),
        (16, alpn(&["h2", "\u{1a}\u{1a}", "http/1.1"])),
        (51, key_share(&[(0x8a8a, 1), (4588, 1216), (29, 32)])),
        (0xfe0d, vec![0; 144]),
        (43, vec![6, 0x4a, 0x4a, 3, 4, 3, 3]),
        (0xffce, vec![1, 2, 3]),
        (0xfafa, vec![0]),
    ];
    let mut old = hello(NAME);
    old.version = 0x0301;
    let mut future = hello(NAME);
    future.version = 0x0505;
    let mut bare = hello(NAME);
    bare.extensions = None;
    let padded = |bytes: usize| {
        let chunks = (1000..).map(|kind| (kind, vec![0; 8000])).take(bytes / 8004);
        with_extensions(
            chunks.chain([(21, vec![0; bytes % 8004]), (0, server_name(NAME.as_bytes()))]).collect(),
        )
    };
    let named = |name: &'static str| (hello(name).bytes(), Expect::Name(Some(name)));
    let plain = |hello: &Hello| (hello.bytes(), Expect::Name(Some(NAME)));
    let then = |mut bytes: Vec<u8>, more: &[u8]| {
        bytes.extend_from_slice(more);
        (bytes, Expect::Name(Some(NAME)))
    };
    let many: Vec<_> = (1..2000).map(|kind| (kind * 32 + 7, vec![])).collect();
    let rows = [
        ("plain", plain(&hello(NAME))),
        ("mixed case", named("BILLING.Default.FRA1.internal.x.consul")),
        ("trailing dot", named("billing.default.fra1.internal.x.consul.")),
        ("ipv4", named("10.0.0.1")),
        ("ipv6", named("2001:db8::1")),
        ("one label", named("local_agent")),
        ("grease, ech, post-quantum", plain(&with_extensions(grease))),
        ("no name", (with_extensions(vec![(43, vec![2, 3, 4])]).bytes(), Expect::Name(None))),
        ("empty list of extensions", (with_extensions(vec![]).bytes(), Expect::Name(None))),
        ("no list of extensions", (bare.bytes(), Expect::Name(None))),
        ("tls 1.0", plain(&old)),
        ("version to come", plain(&future)),
        ("record version 0x0300", (record(22, 0x0300, &hello(NAME).message()), Expect::Name(Some(NAME)))),
        ("record version 0x0304", (record(22, 0x0304, &hello(NAME).message()), Expect::Name(Some(NAME)))),
        ("load generator", plain(&load_generator())),
        ("records of one byte", (hello(NAME).records_of(1), Expect::Name(Some(NAME)))),
        ("records of three bytes", (hello(NAME).records_of(3), Expect::Name(Some(NAME)))),
        ("empty record first", then(record(22, 0x0301, b""), &hello(NAME).bytes())),
        ("32 empty records", then(record(22, 0x0301, b"").repeat(32), &hello(NAME).records_of(60))),
        ("4 KiB", plain(&padded(4 * 1024))),
        ("9 KiB", plain(&padded(9 * 1024))),
        ("16 KiB", plain(&padded(16 * 1024))),
        ("60 KiB", plain(&padded(60 * 1024))),
        ("2,000 extensions", (with_extensions(many).bytes(), Expect::Name(None))),
        ("application data after it", then(hello(NAME).bytes(), &record(23, 0x0303, b"early"))),
        ("a message after it in its record", {
            let both = [hello(NAME).message(), message(1, b"other")].concat();
            (record(22, 0x0301, &both), Expect::Name(Some(NAME)))
        }),
        ("garbage after it", then(hello(NAME).records_of(50), b"GET / HTTP/1.1")),
    ];
    rows.into_iter().map(|(title, (bytes, expect))| (title, bytes, expect)).collect()
}

/// A hello with the fields that rustls writes for one suite per version and X25519 alone; the random begins with the
/// marker of a load generator.
fn load_generator() -> Hello {
    Hello {
        suites: vec![0x13, 0x01, 0xc0, 0x2b, 0x00, 0xff],
        ..with_extensions(vec![
            (43, vec![4, 3, 4, 3, 3]),
            (11, vec![1, 0]),
            (10, vec![0, 2, 0, 29]),
            (13, vec![0, 6, 4, 3, 8, 4, 8, 7]),
            (23, vec![]),
            (0, server_name(NAME.as_bytes())),
            (5, vec![1, 0, 0, 0, 0]),
            (51, key_share(&[(29, 32)])),
            (45, vec![1, 1]),
        ])
    }
}

/// Everything else.
pub(crate) fn hostile() -> Vec<Row> {
    use Malformed as M;
    let sni = |data: Vec<u8>| with_extensions(vec![(0, data)]).bytes();
    let name = |name: &[u8]| sni(server_name(name));
    let framing = |field| Expect::Malformed(M::Framing { field });
    let long_label = [&[b'a'; 64][..], b".example.com"].concat();
    let cut = |mut bytes: Vec<u8>, from_end: usize| {
        bytes.truncate(bytes.len() - from_end);
        bytes
    };
    let whole = hello(NAME).message();
    let changed = |change: fn(&mut Hello)| {
        let mut hello = hello(NAME);
        change(&mut hello);
        hello.bytes()
    };
    let twice: Vec<_> = (100..400).chain([399]).map(|kind| (kind, vec![])).collect();
    let malformed = [
        ("server hello", record(22, 0x0303, &message(2, &[0; 60])), M::HandshakeType { handshake_type: 2 }),
        ("hello request", record(22, 0x0303, &message(0, b"")), M::HandshakeType { handshake_type: 0 }),
        ("ssl 3", changed(|hello| hello.version = 0x0300), M::HelloVersion { version: 0x0300 }),
        ("version 0x0002", changed(|hello| hello.version = 2), M::HelloVersion { version: 2 }),
        ("record too long", [22, 3, 1, 0x40, 1].to_vec(), M::RecordLength { length: 16385 }),
        (
            "alert in the middle",
            [record(22, 0x0301, &whole[..40]), record(21, 0x0301, &[2, 0])].concat(),
            M::RecordType { content_type: 21 },
        ),
        (
            "http in the middle",
            [record(22, 0x0301, &whole[..40]), b"GET / HTTP/1.1\r\n".to_vec()].concat(),
            M::RecordType { content_type: b'G' },
        ),
        (
            "version 0x0505 in the middle",
            [record(22, 0x0301, &whole[..40]), record(22, 0x0505, &whole[40..])].concat(),
            M::RecordVersion { major: 5 },
        ),
        (
            "alert after an empty record",
            [record(22, 0x0301, b""), record(21, 0x0301, &[2, 0])].concat(),
            M::RecordType { content_type: 21 },
        ),
        ("33 empty records", record(22, 0x0301, b"").repeat(33), M::EmptyRecords),
        (
            "two server names extensions",
            with_extensions(vec![(0, server_name(b"a.example")), (0, server_name(b"b.example"))]).bytes(),
            M::DuplicateExtension { extension: 0 },
        ),
        (
            "the same grease twice",
            with_extensions(vec![(0x0a0a, vec![]), (0, server_name(b"a")), (0x0a0a, vec![])]).bytes(),
            M::DuplicateExtension { extension: 0x0a0a },
        ),
        (
            "a repeated extension among many",
            with_extensions(twice).bytes(),
            M::DuplicateExtension { extension: 399 },
        ),
        ("two names", sni(name_list(&[(0, b"a.example"), (0, b"b.example")])), M::TwoNames),
        ("a name, then one of type 1", sni(name_list(&[(0, b"a.example"), (1, b"b")])), M::TwoNames),
        ("name type 1", sni(name_list(&[(1, b"a.example")])), M::NameType { name_type: 1 }),
        ("empty list of names", sni(name_list(&[])), M::NoName),
        ("empty extension", sni(vec![]), M::NoName),
        ("empty name", name(b""), M::NameEmpty),
        ("nul in the name", name(b"a.example\0.b.example"), M::NameByte { byte: 0 }),
        ("line break in the name", name(b"a.example\r\nb"), M::NameByte { byte: b'\r' }),
        ("blank in the name", name(b"a example"), M::NameByte { byte: b' ' }),
        ("delete in the name", name(b"a\x7f"), M::NameByte { byte: 0x7f }),
        ("umlaut in the name", name("bücher.example".as_bytes()), M::NameByte { byte: 0xc3 }),
        ("256 bytes of name", name(&[b'a'; 256]), M::NameLength { length: 256 }),
        ("16,000 bytes of name", name(&[b'a'; 16000]), M::NameLength { length: 16000 }),
        ("label of 64 bytes", name(&long_label), M::NameLabel { length: 64 }),
        ("dot first", name(b".example.com"), M::NameLabel { length: 0 }),
        ("two dots", name(b"a..example.com"), M::NameLabel { length: 0 }),
        ("two dots last", name(b"example.com.."), M::NameLabel { length: 0 }),
        ("only a dot", name(b"."), M::NameLabel { length: 0 }),
    ];
    let broken = [
        ("empty message", record(22, 0x0301, &message(1, b"")), "version"),
        ("only a version", record(22, 0x0301, &message(1, &[3, 3])), "random"),
        ("session id too long", changed(|hello| hello.session_id = vec![1; 33]), "session id"),
        ("no cipher suites", changed(|hello| hello.suites.clear()), "list of cipher suites"),
        ("odd cipher suites", changed(|hello| hello.suites = vec![1; 3]), "list of cipher suites"),
        ("no compression methods", changed(|hello| hello.compression.clear()), "list of compression methods"),
        (
            "list of extensions past the end",
            record(22, 0x0301, &message(1, &cut(whole.clone(), 1)[4..])),
            "list of extensions",
        ),
        (
            "bytes after the extensions",
            record(22, 0x0301, &message(1, &[&whole[4..], &[0]].concat())),
            "hello",
        ),
        (
            "one byte for the list of extensions",
            record(22, 0x0301, &message(1, &[&whole[4..79], &[0]].concat())),
            "list of extensions",
        ),
        ("extension past the end", sni_block(&[0, 43, 0, 9, 1]), "extension"),
        ("half an extension", sni_block(&[0, 43, 0]), "extension"),
        (
            "list of names past its end",
            sni([&[0, 9][..], &server_name(b"a")[2..]].concat()),
            "list of server names",
        ),
        ("bytes after the list of names", sni([server_name(b"a"), vec![0]].concat()), "list of server names"),
        ("name past its list", sni(vec![0, 4, 0, 0, 9, b'a']), "server name"),
        ("type without a name", sni(vec![0, 1, 0]), "server name"),
        ("empty alpn", with_extensions(vec![(16, vec![])]).bytes(), "list of protocols (ALPN)"),
        (
            "alpn without protocols",
            with_extensions(vec![(16, alpn(&[]))]).bytes(),
            "list of protocols (ALPN)",
        ),
        (
            "alpn with an empty protocol",
            with_extensions(vec![(16, alpn(&["h2", ""]))]).bytes(),
            "list of protocols (ALPN)",
        ),
        (
            "alpn past its end",
            with_extensions(vec![(16, vec![0, 2, 9, b'h'])]).bytes(),
            "list of protocols (ALPN)",
        ),
    ];
    let too_large = [
        ("16 MiB announced", [record(22, 0x0301, &whole[..1]), record(22, 0x0301, &[0xff; 3])].concat()),
        ("65,536 bytes announced", record(22, 0x0301, &[1, 1, 0, 0])),
        (
            "one byte too many in records of one byte",
            record(22, 0x0301, &[1]).into_iter().chain(record(22, 0x0301, &[0, 0xff, 0xf0])).collect(),
        ),
    ];
    let rows = malformed.into_iter().map(|(title, bytes, why)| (title, bytes, Expect::Malformed(why)));
    let rows = rows.chain(broken.into_iter().map(|(title, bytes, field)| (title, bytes, framing(field))));
    let rows = rows.chain(too_large.map(|(title, bytes)| (title, bytes, Expect::TooLarge)));
    rows.chain(not_tls()).chain(incomplete(&whole)).collect()
}

/// A hello whose list of extensions holds these bytes.
fn sni_block(block: &[u8]) -> Vec<u8> {
    let mut bare = hello(NAME);
    bare.extensions = None;
    record(22, 0x0301, &message(1, &[&bare.message()[4..], &vector_u16(block)].concat()))
}

fn not_tls() -> Vec<Row> {
    let rows: [(&'static str, &[u8], NotTls); 16] = [
        ("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", NotTls::Text { first: b'G' }),
        ("http/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NotTls::Text { first: b'P' }),
        ("proxy protocol", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", NotTls::Text { first: b'P' }),
        ("proxy protocol 2", b"\r\n\r\n\0\r\nQUIT\n", NotTls::Text { first: b'\r' }),
        ("ssh", b"SSH-2.0-OpenSSH_9.7\r\n", NotTls::Text { first: b'S' }),
        ("ssl 2", &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10], NotTls::SslV2 { first: 0x80 }),
        (
            "ssl 2 that offers tls",
            &[0x80, 0x3d, 1, 3, 1, 0, 0x24, 0, 0, 0, 0x10],
            NotTls::SslV2 { first: 0x80 },
        ),
        ("consul rpc 0", &[0], NotTls::ConsulRpc { first: 0 }),
        ("consul rpc 4", &[4, 0x83], NotTls::ConsulRpc { first: 4 }),
        ("consul rpc 9", &[9], NotTls::ConsulRpc { first: 9 }),
        ("alert", &[21, 3, 3, 0, 2, 2, 40], NotTls::Record { content_type: 21 }),
        ("application data", &[23, 3, 3, 0, 5, 1, 2, 3, 4, 5], NotTls::Record { content_type: 23 }),
        ("change cipher spec", &[20, 3, 3, 0, 1, 1], NotTls::Record { content_type: 20 }),
        ("record version 0x0505", &[22, 5, 5, 0, 9], NotTls::RecordVersion { major: 5 }),
        ("record version 0x0200", &[22, 2, 0, 0, 9], NotTls::RecordVersion { major: 2 }),
        ("nothing known", &[0x7f], NotTls::Unknown { first: 0x7f }),
    ];
    rows.into_iter().map(|(title, bytes, why)| (title, bytes.to_vec(), Expect::NotTls(why))).collect()
}

fn incomplete(whole: &[u8]) -> Vec<Row> {
    let half = record(22, 0x0301, whole);
    vec![
        ("nothing", vec![], Expect::NeedMore),
        ("one byte", vec![22], Expect::NeedMore),
        ("half a hello", half[..half.len() / 2].to_vec(), Expect::NeedMore),
        ("all but the last byte", half[..half.len() - 1].to_vec(), Expect::NeedMore),
        ("one of two records", record(22, 0x0301, &whole[..50]), Expect::NeedMore),
        ("32 empty records alone", record(22, 0x0301, b"").repeat(32), Expect::NeedMore),
    ]
}
