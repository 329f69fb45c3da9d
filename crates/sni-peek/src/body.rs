//! The fields of a complete hello message (RFC 8446, section 4.1.2).
//!
//! Every length is checked against what is there. Values are only judged where they matter for finding the name, the
//! protocols and the end: the rest is the business of the server behind.

use std::ops::Range;

use crate::duplicates::Seen;
use crate::{Malformed, name};

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const KEY_SHARE: u16 = 51;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const TLS_1_0: u16 = 0x0301;

/// Where things are in the message, as offsets from its first byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fields {
    pub(crate) version: u16,
    /// The host name.
    pub(crate) server_name: Option<Range<usize>>,
    /// The list of protocols, without its length.
    pub(crate) alpn: Range<usize>,
    /// The content of the key share extension.
    pub(crate) key_share: Range<usize>,
    pub(crate) ech: bool,
}

/// Reads a message that starts with its type and length.
pub(crate) fn read(message: &[u8]) -> Result<Fields, Malformed> {
    let mut input = Input { bytes: message, at: 0 };
    input.take(4, "hello")?;
    let version = input.u16("version")?;
    if version < TLS_1_0 {
        return Err(Malformed::HelloVersion { version });
    }
    input.take(32, "random")?;
    if input.vector_u8("session id")?.len() > 32 {
        return Err(Malformed::Framing { field: "session id" });
    }
    let suites = input.vector_u16("list of cipher suites")?;
    if suites.is_empty() || !suites.len().is_multiple_of(2) {
        return Err(Malformed::Framing { field: "list of cipher suites" });
    }
    if input.vector_u8("list of compression methods")?.is_empty() {
        return Err(Malformed::Framing { field: "list of compression methods" });
    }
    let mut fields = Fields { version, ..Fields::default() };
    // Before TLS 1.3 a hello may end here (RFC 5246, section 7.4.1.2).
    if input.at < message.len() {
        let block = input.vector_u16("list of extensions")?;
        input.end("hello")?;
        read_extensions(message, block, &mut fields)?;
    }
    Ok(fields)
}

fn read_extensions(message: &[u8], block: Range<usize>, fields: &mut Fields) -> Result<(), Malformed> {
    let mut seen = Seen::default();
    let mut input = Input::new(message, &block);
    while input.at < block.end {
        let kind = input.u16("extension")?;
        let data = input.vector_u16("extension")?;
        if !seen.insert(kind) {
            return Err(Malformed::DuplicateExtension { extension: kind });
        }
        match kind {
            SERVER_NAME => fields.server_name = Some(read_server_name(message, &data)?),
            ALPN => fields.alpn = read_alpn(message, &data)?,
            KEY_SHARE => fields.key_share = data,
            ENCRYPTED_CLIENT_HELLO => fields.ech = true,
            _ => {}
        }
    }
    Ok(())
}

/// RFC 6066, section 3: a list that in practice has exactly one entry, a host name.
fn read_server_name(message: &[u8], data: &Range<usize>) -> Result<Range<usize>, Malformed> {
    let mut input = Input::new(message, data);
    if data.is_empty() {
        return Err(Malformed::NoName);
    }
    let list = input.vector_u16("list of server names")?;
    input.end("list of server names")?;
    if list.is_empty() {
        return Err(Malformed::NoName);
    }
    let mut input = Input::new(message, &list);
    let name_type = input.u8("server name")?;
    if name_type != 0 {
        return Err(Malformed::NameType { name_type });
    }
    let host = input.vector_u16("server name")?;
    if input.at < list.end {
        return Err(Malformed::TwoNames);
    }
    name::check(message.get(host.clone()).unwrap_or_default())?;
    Ok(host)
}

/// RFC 7301, section 3.1: a list of at least one name, each of at least one byte.
fn read_alpn(message: &[u8], data: &Range<usize>) -> Result<Range<usize>, Malformed> {
    const FIELD: &str = "list of protocols (ALPN)";
    let mut input = Input::new(message, data);
    let list = input.vector_u16(FIELD)?;
    input.end(FIELD)?;
    let mut names = Input::new(message, &list);
    while names.at < list.end {
        if names.vector_u8(FIELD)?.is_empty() {
            return Err(Malformed::Framing { field: FIELD });
        }
    }
    if list.is_empty() { Err(Malformed::Framing { field: FIELD }) } else { Ok(list) }
}

/// A cursor whose offsets are those of the message.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    /// Reads `range` of the message and nothing beyond it.
    fn new(message: &'a [u8], range: &Range<usize>) -> Self {
        Self { bytes: message.get(..range.end).unwrap_or_default(), at: range.start }
    }

    fn take(&mut self, count: usize, field: &'static str) -> Result<Range<usize>, Malformed> {
        let end = self.at + count;
        if end > self.bytes.len() {
            return Err(Malformed::Framing { field });
        }
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        let value = self.bytes.get(self.at).copied().ok_or(Malformed::Framing { field })?;
        self.at += 1;
        Ok(value)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes([self.u8(field)?, self.u8(field)?]))
    }

    fn vector_u8(&mut self, field: &'static str) -> Result<Range<usize>, Malformed> {
        let length = self.u8(field)?;
        self.take(usize::from(length), field)
    }

    fn vector_u16(&mut self, field: &'static str) -> Result<Range<usize>, Malformed> {
        let length = self.u16(field)?;
        self.take(usize::from(length), field)
    }

    fn end(&self, field: &'static str) -> Result<(), Malformed> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(Malformed::Framing { field }) }
    }
}
