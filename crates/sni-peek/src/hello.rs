//! A complete hello and what can be asked of it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::body::Fields;

/// A client's hello. It borrows the bytes it was read from, unless it had to be joined from several records.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientHello<'a> {
    message: Cow<'a, [u8]>,
    fields: Fields,
    consumed: usize,
}

impl<'a> ClientHello<'a> {
    pub(crate) fn new(message: Cow<'a, [u8]>, fields: Fields, consumed: usize) -> Self {
        Self { message, fields, consumed }
    }

    /// The server name as sent, case included; `None` if the client sent none.
    ///
    /// It has 1 to 255 visible ASCII characters and labels of 1 to 63 bytes. It may still be an IP address or end with
    /// a dot: both are valid TLS, and neither is a name to route by. With encrypted client hello this is the outer name.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        let name = self.slice(self.fields.server_name.as_ref()?);
        // Always text: `name::check` let ASCII pass only.
        std::str::from_utf8(name).ok()
    }

    /// The application protocols that the client offers, in its order: `h2`, `http/1.1` … Each has 1 to 255 bytes, of
    /// any value.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let mut list = self.slice(&self.fields.alpn);
        std::iter::from_fn(move || {
            let (&length, rest) = list.split_first()?;
            let (name, rest) = rest.split_at_checked(usize::from(length))?;
            list = rest;
            Some(name)
        })
    }

    /// How many of the input bytes belong to the hello: up to and with the last byte of the message, record headers
    /// included. What follows is not looked at.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// The version field, 0x0301 or above. TLS 1.3 clients write 0x0303 here and say more in an extension.
    #[must_use]
    pub fn legacy_version(&self) -> u16 {
        self.fields.version
    }

    /// Whether the client sent an encrypted hello (ECH), real or for show (GREASE). It is never decrypted.
    #[must_use]
    pub fn has_ech(&self) -> bool {
        self.fields.ech
    }

    /// Whether the client sent a key share for a group, by its IANA number: 29 is X25519, 4588 X25519MLKEM768.
    ///
    /// The key shares are not checked, because no routing depends on them: a broken list ends where it breaks.
    #[must_use]
    pub fn has_key_share_group(&self, group: u16) -> bool {
        self.key_share_groups().any(|sent| sent == group)
    }

    /// Whether the bytes of the message are borrowed from the input: no copy was made and nothing was allocated.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        matches!(self.message, Cow::Borrowed(_))
    }

    /// The same hello with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> ClientHello<'static> {
        let message = Cow::Owned(self.message.into_owned());
        ClientHello { message, fields: self.fields, consumed: self.consumed }
    }

    fn key_share_groups(&self) -> impl Iterator<Item = u16> {
        let mut list = self.slice(&self.fields.key_share).get(2..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (header, rest) = list.split_first_chunk::<4>()?;
            let [group_high, group_low, length_high, length_low] = *header;
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            list = rest.get(length..)?;
            Some(u16::from_be_bytes([group_high, group_low]))
        })
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.message.get(range.clone()).unwrap_or_default()
    }
}

/// Shows what was understood, not the bytes.
impl fmt::Debug for ClientHello<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpn: Vec<_> = self.alpn().map(|name| name.escape_ascii().to_string()).collect();
        f.debug_struct("ClientHello")
            .field("server_name", &self.server_name())
            .field("alpn", &alpn)
            .field("ech", &self.fields.ech)
            .field("consumed", &self.consumed)
            .finish_non_exhaustive()
    }
}
