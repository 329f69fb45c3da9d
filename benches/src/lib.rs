//! What the benchmarks share: hellos and catalogs of a given size.

use std::fmt::Write as _;

pub mod cpu;
pub mod mesh;

/// The trust domain of every benchmark.
pub const TRUST_DOMAIN: &str = "11111111-2222-3333-4444-555555555555.consul";

/// A ClientHello for `name` with a key share of `key_share` bytes, in one record.
#[must_use]
pub fn hello(name: &str, key_share: usize) -> Vec<u8> {
    let sni = block16(&[&[0][..], &block16(name.as_bytes())].concat());
    let share = block16(&[&[0, 29][..], &block16(&vec![7; key_share])].concat());
    let extensions = [
        extension(0, &sni),
        extension(10, &block16(&[0, 29, 0, 23])),
        extension(13, &block16(&[4, 3, 8, 4, 4, 1])),
        extension(16, &block16(b"\x02h2")),
        extension(43, &[2, 3, 4]),
        extension(51, &share),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[9; 32],
        &[32],
        &[5; 32],
        &block16(&[0x13, 1, 0x13, 2, 0x13, 3]),
        &[1, 0],
        &block16(&extensions),
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &block16(&message)].concat()
}

/// The same handshake message in records of `size` bytes.
#[must_use]
pub fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    let message = hello.get(5..).unwrap_or_default();
    message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &block16(part)].concat()).collect()
}

/// The name of service `index` in datacenter `dc1`.
#[must_use]
pub fn name(index: usize) -> String {
    format!("service-{index:05}.default.dc1.internal.{TRUST_DOMAIN}")
}

/// A catalog with `services` services of one instance each, as TOML.
#[must_use]
pub fn catalog(services: usize) -> String {
    let mut toml = format!("[Mesh]\nDatacenter = \"dc1\"\nTrustDomain = \"{TRUST_DOMAIN}\"\n");
    for index in 0..services {
        let (high, low) = (index / 250, index % 250 + 1);
        let written = write!(
            toml,
            "\n[[Instance]]\nService = \"service-{index:05}\"\nKind = \"connect-proxy\"\n\
             Address = \"10.0.{high}.{low}\"\nPort = 21000\n"
        );
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    toml
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &block16(body)].concat()
}

fn block16(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], body].concat()
}

#[cfg(test)]
mod tests {
    use sni_peek::{Limits, Parsed, parse};

    use super::*;

    /// A benchmark of refusals would be fast and worthless.
    #[test]
    fn the_hellos_are_good() {
        let good = |bytes: &[u8]| matches!(parse(bytes, &Limits::default()), Parsed::Hello(hello) if hello.server_name() == Some("web.example"));
        assert!(good(&hello("web.example", 32)));
        assert!(good(&hello("web.example", 1_216)));
        assert!(good(&in_records(&hello("web.example", 32), 1)));
    }
}
