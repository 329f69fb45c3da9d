//! What the first bytes of a connection can turn out to be.

use crate::ClientHello;

/// The answer to "what are these bytes?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A complete hello.
    Hello(ClientHello<'a>),
    /// So far a hello, but not all of it.
    NeedMore {
        /// Bytes in all, counted from the first, below which another attempt cannot give a hello. More than there
        /// were, and never more than the limit.
        at_least: usize,
    },
    /// Not TLS. Reported at the first byte that proves it.
    NotTls(NotTls),
    /// TLS, but not a hello that can be trusted to mean one thing.
    Malformed(Malformed),
    /// The hello does not fit into the limit. Reported as soon as the bytes say so, not when the limit is reached.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// What speaks first instead of TLS, as far as the first byte tells. The client is at fault; a retry does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NotTls {
    /// A printable character: plain HTTP, SSH, SMTP and other text protocols.
    #[error("a text protocol, not TLS (first byte {0:?})", char::from(*.first))]
    Text {
        /// The first byte.
        first: u8,
    },
    /// The highest bit is set, as in the hello of SSL 2.
    #[error("an SSL 2 hello, not TLS (first byte 0x{first:02x})")]
    SslV2 {
        /// The first byte.
        first: u8,
    },
    /// 0 to 9: the byte by which Consul's own RPC port tells protocols apart, sent without TLS.
    #[error("raw Consul RPC, not TLS (first byte {first})")]
    ConsulRpc {
        /// The first byte.
        first: u8,
    },
    /// A TLS record, but of a kind that cannot come first: an alert, application data …
    #[error("a TLS record of type {content_type}, where a handshake must come first")]
    Record {
        /// The record's content type.
        content_type: u8,
    },
    /// A handshake record by its first byte, but the second is not the 3 of every TLS version.
    #[error("record version 0x{major:02x}.., TLS has 0x03..")]
    RecordVersion {
        /// The second byte.
        major: u8,
    },
    /// Nothing that is known.
    #[error("not TLS (first byte 0x{first:02x})")]
    Unknown {
        /// The first byte.
        first: u8,
    },
}

impl NotTls {
    /// Judges a first byte that is not that of a handshake record.
    pub(crate) fn from_first(first: u8) -> Self {
        match first {
            0..=9 => Self::ConsulRpc { first },
            b'\n' | b'\r' | 0x20..=0x7e => Self::Text { first },
            0x14..=0x18 => Self::Record { content_type: first },
            0x80.. => Self::SslV2 { first },
            _ => Self::Unknown { first },
        }
    }
}

/// Which rule a hello breaks. The client is at fault; a retry does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A record holds more than 16,384 bytes (RFC 8446, section 5.1).
    #[error("a record of {length} bytes, at most 16384 are allowed")]
    RecordLength {
        /// Bytes in the record as its header says.
        length: usize,
    },
    /// Another kind of record comes before the hello is complete.
    #[error("a record of type {content_type} in the middle of the hello")]
    RecordType {
        /// The record's content type.
        content_type: u8,
    },
    /// A later record of the hello has a version that is not TLS.
    #[error("record version 0x{major:02x}.. in the middle of the hello")]
    RecordVersion {
        /// The upper byte of the version.
        major: u8,
    },
    /// More than 32 records without content.
    #[error("too many empty records")]
    EmptyRecords,
    /// The first handshake message is not a client's hello, but a server's for example.
    #[error("handshake message {handshake_type} where a client hello (1) must come first")]
    HandshakeType {
        /// The message's type.
        handshake_type: u8,
    },
    /// The hello offers SSL 3 or older.
    #[error("hello version 0x{version:04x}, at least 0x0301 is required")]
    HelloVersion {
        /// The version as sent.
        version: u16,
    },
    /// A length in the hello points past its end, or bytes are left over.
    #[error("the {field} does not fit its length")]
    Framing {
        /// Which field.
        field: &'static str,
    },
    /// An extension is there twice (RFC 8446, section 4.2).
    #[error("extension {extension} is there twice")]
    DuplicateExtension {
        /// The extension's number.
        extension: u16,
    },
    /// The server name extension holds no name.
    #[error("an empty list of server names")]
    NoName,
    /// The server name is of a type other than host name (RFC 6066, section 3).
    #[error("server name of type {name_type}, only host names (0) exist")]
    NameType {
        /// The type as sent.
        name_type: u8,
    },
    /// There is more than one server name.
    #[error("two server names")]
    TwoNames,
    /// The server name has no bytes.
    #[error("an empty server name")]
    NameEmpty,
    /// The server name has more than 255 bytes.
    #[error("a server name of {length} bytes, at most 255 are allowed")]
    NameLength {
        /// Its length in bytes.
        length: usize,
    },
    /// The server name holds a NUL, a blank, a control character or a byte outside ASCII.
    #[error("byte 0x{byte:02x} in the server name")]
    NameByte {
        /// The first such byte.
        byte: u8,
    },
    /// The server name has an empty label (a dot at the start, or two dots in a row) or one of more than 63 bytes.
    #[error("a label of {length} bytes in the server name, 1 to 63 are allowed")]
    NameLabel {
        /// The label's length in bytes.
        length: usize,
    },
}
