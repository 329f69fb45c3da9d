//! Reads the server name and the protocols that a TLS client asks for, without ending the connection.
//!
//! A gateway that routes TLS without terminating it needs one thing from the first bytes of a connection: the server
//! name (SNI). This crate finds it in a buffer ([`parse`]), in bytes that come one by one ([`HelloReader`]), or in an
//! async stream under a deadline (`peek`, feature `tokio`). It never changes, consumes or answers the bytes.
//!
//! It is strict where two readers of the same bytes could disagree about the name: a second server name extension, a
//! second name, a NUL, a foreign character or any repeated extension is refused. It is indifferent to all that has
//! nothing to do with routing: unknown extensions, GREASE, key shares, versions to come.
//!
//! Every verdict depends on the bytes alone, never on how they were cut into reads.
//!
//! ```
//! use sni_peek::{Limits, Parsed, parse};
//!
//! match parse(b"GET / HTTP/1.1\r\n", &Limits::default()) {
//!     Parsed::Hello(hello) => println!("{:?}", hello.server_name()),
//!     Parsed::NeedMore { at_least } => println!("come back with {at_least} bytes"),
//!     Parsed::NotTls(why) => println!("{why}"),
//!     Parsed::Malformed(why) => println!("{why}"),
//!     Parsed::TooLarge { limit } => println!("the hello is larger than {limit} bytes"),
//! }
//! ```

mod body;
mod duplicates;
mod hello;
mod name;
#[cfg(feature = "tokio")]
mod peek;
mod reader;
mod records;
#[cfg(feature = "tokio")]
mod rewind;
mod verdict;

pub use hello::ClientHello;
#[cfg(feature = "tokio")]
pub use peek::{PeekError, peek};
pub use reader::HelloReader;
#[cfg(feature = "tokio")]
pub use rewind::Rewind;
pub use verdict::{Malformed, NotTls, Parsed};

use records::Scan;

/// What a hello may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest hello in bytes, record headers included. Default 65,536: hellos of today have 200 to 2,000 bytes, and
    /// the record layer may multiply that by six.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 * 1024 }
    }
}

/// Reads the hello at the start of `bytes`; what follows it is not looked at.
///
/// A hello within one record is borrowed and nothing is allocated. One that is spread over several records is joined
/// in a buffer of its own, once it is complete. A caller that waits for [`Parsed::NeedMore::at_least`] bytes before
/// it calls again needs only a few calls; one that wants to hand over every byte as it comes uses [`HelloReader`].
#[must_use]
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Parsed<'a> {
    let mut scan = Scan::default();
    let step = scan.advance(bytes, limits.max_bytes);
    scan.verdict(step, bytes, limits)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
