//! What a host name may look like when it serves as a TLS server name.
//!
//! The rule is that of RFC 1123 and RFC 1035 with two relaxations that Consul needs: an underscore is a letter,
//! and a hyphen may stand at either end of a label. Consul registers such service names and its Go clients send
//! them, so refusing them would only cut off a service that works today.

use std::net::Ipv6Addr;

/// Longest label of a host name, in bytes (RFC 1035, section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// Longest host name, in bytes, written without a trailing dot (RFC 1035, section 2.3.4).
pub const MAX_HOST: usize = 253;

/// Why a text is not a usable name. It is the fault of whoever wrote the name; a retry never helps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is no text at all.
    #[error("the name is empty")]
    Empty,
    /// The whole name is longer than [`MAX_HOST`] bytes.
    #[error("the name has {length} bytes, at most {MAX_HOST} are allowed")]
    TooLong {
        /// Bytes in the name.
        length: usize,
    },
    /// Two dots follow each other, or the name starts with one.
    #[error("label {label} is empty (a dot at the start, or two dots in a row)")]
    EmptyLabel {
        /// Which label, counted from 1.
        label: usize,
    },
    /// A label is longer than [`MAX_LABEL`] bytes.
    #[error("label {label} has {length} bytes, at most {MAX_LABEL} are allowed")]
    LabelTooLong {
        /// Which label, counted from 1.
        label: usize,
        /// Bytes in the label.
        length: usize,
    },
    /// Only ASCII letters, digits, `-` and `_` may stand between the dots.
    #[error("character {character:?} at byte {position} is not a letter, digit, '-' or '_'")]
    Character {
        /// The first character that does not belong.
        character: char,
        /// Its offset in bytes.
        position: usize,
    },
    /// The name of one thing holds a dot. Names are joined by dots without escaping, so it could not be told apart
    /// from two names.
    #[error("a dot at byte {position}: this name must be a single label")]
    Dot {
        /// Offset of the first dot in bytes.
        position: usize,
    },
    /// A server name is written without the dot of the DNS root (RFC 6066, section 3).
    #[error("the name ends with a dot")]
    TrailingDot,
    /// An IP address is not a server name (RFC 6066, section 3).
    #[error("the name is an IP address, or ends in a number as only IP addresses do")]
    IpLiteral,
}

/// Checks whether `name` may be a TLS server name: dot-separated labels of 1 to [`MAX_LABEL`] letters, digits, `-`
/// and `_`, at most [`MAX_HOST`] bytes in all, no trailing dot, no IP address.
///
/// Both cases of letters pass: lower-casing is the caller's decision. A leading `*.` does not pass: strip it first
/// where a wildcard is meant.
///
/// # Errors
///
/// The first rule that is broken. A name whose last label is a number is an [`NameError::IpLiteral`]: resolvers
/// read `10.1` and `0x7f.1` as IPv4 addresses, and no top-level domain is a number.
pub fn is_valid_sni_host(name: &str) -> Result<(), NameError> {
    if name.parse::<Ipv6Addr>().is_ok() || name.starts_with('[') {
        return Err(NameError::IpLiteral);
    }
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_HOST {
        return Err(NameError::TooLong { length: name.len() });
    }
    if name.len() > 1 && name.ends_with('.') {
        return Err(NameError::TrailingDot);
    }
    let mut offset = 0;
    let mut last = "";
    for (index, label) in name.split('.').enumerate() {
        check_label(label, index + 1, offset)?;
        offset += label.len() + 1;
        last = label;
    }
    if ends_in_a_number(last) { Err(NameError::IpLiteral) } else { Ok(()) }
}

/// The rule for the name of one thing: a single label.
pub(crate) fn check_single_label(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if let Some(position) = name.find('.') {
        return Err(NameError::Dot { position });
    }
    check_label(name, 1, 0)
}

fn check_label(label: &str, number: usize, offset: usize) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel { label: number });
    }
    if label.len() > MAX_LABEL {
        return Err(NameError::LabelTooLong { label: number, length: label.len() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match label.char_indices().find(|&(_, c)| !allowed(c)) {
        Some((at, character)) => Err(NameError::Character { character, position: offset + at }),
        None => Ok(()),
    }
}

fn ends_in_a_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        || label.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_consul_and_dns_write() {
        let long = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
        assert_eq!(long.len(), MAX_HOST);
        for good in [
            "billing.default.fra1.internal.6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul",
            "localhost",
            "Mixed.Case.Example",
            "_sip._tcp.example.com",
            "xn--bcher-kva.example",
            "trailing-.hyphen.example",
            "1.2.3.4.example",
            "a1",
            "0xyz",
            long.as_str(),
        ] {
            assert_eq!(is_valid_sni_host(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        let label64 = "a".repeat(64);
        let long = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62));
        for (bad, why) in [
            ("", NameError::Empty),
            (".", NameError::EmptyLabel { label: 1 }),
            (".a", NameError::EmptyLabel { label: 1 }),
            ("a..b", NameError::EmptyLabel { label: 2 }),
            ("a.", NameError::TrailingDot),
            ("a b.example", NameError::Character { character: ' ', position: 1 }),
            ("*.example.com", NameError::Character { character: '*', position: 0 }),
            ("a.b\0c", NameError::Character { character: '\0', position: 3 }),
            ("a.bücher.example", NameError::Character { character: 'ü', position: 3 }),
            ("example.com:443", NameError::Character { character: ':', position: 11 }),
            ("10.0.0.1", NameError::IpLiteral),
            ("127.1", NameError::IpLiteral),
            ("2130706433", NameError::IpLiteral),
            ("0x7f.0x1", NameError::IpLiteral),
            ("a.0X7F", NameError::IpLiteral),
            ("::1", NameError::IpLiteral),
            ("::ffff:10.0.0.1", NameError::IpLiteral),
            ("[::1]", NameError::IpLiteral),
            (label64.as_str(), NameError::LabelTooLong { label: 1, length: 64 }),
            (long.as_str(), NameError::TooLong { length: 254 }),
        ] {
            assert_eq!(is_valid_sni_host(bad), Err(why), "{bad:?}");
        }
    }
}
