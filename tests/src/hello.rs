//! Client hellos, byte by byte: good ones of every shape that browsers and sidecars send, and bad ones that no TLS
//! library would let out.
//!
//! Deterministic on purpose: the same builder calls give the same bytes, so that a test can compare what arrives.

/// Named groups with the length of their key share.
pub mod group {
    /// X25519, 32 bytes.
    pub const X25519: (u16, usize) = (0x001d, 32);
    /// X25519MLKEM768: the post-quantum hybrid that current clients offer first, 1,216 bytes.
    pub const X25519_MLKEM768: (u16, usize) = (0x11ec, 1216);
    /// The older hybrid of the same size class, X25519Kyber768Draft00.
    pub const X25519_KYBER768: (u16, usize) = (0x6399, 1216);
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const LARGEST_RECORD: usize = 16 * 1024;
/// RFC 8701 values; any of the sixteen will do.
const GREASE: [u16; 3] = [0x0a0a, 0x1a1a, 0x2a2a];
/// ids of extensions.
mod id {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const SUPPORTED_GROUPS: u16 = 10;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const PADDING: u16 = 21;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(super) const KEY_SHARE: u16 = 51;
    pub(super) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

/// A hello to be built. Starts as one that any TLS 1.2 or 1.3 server accepts.
#[derive(Debug, Clone)]
pub struct Hello {
    server_names: Vec<Vec<(u8, Vec<u8>)>>,
    names_last: bool,
    alpn: Vec<Vec<u8>>,
    versions: Vec<u16>,
    hello_version: u16,
    record_version: u16,
    groups: Vec<(u16, usize)>,
    extensions: Vec<(u16, Vec<u8>)>,
    grease: bool,
    record_size: usize,
    empty_records_first: usize,
}

impl Hello {
    /// One name, TLS 1.3 and 1.2, X25519.
    pub fn new(name: &str) -> Self {
        Hello {
            server_names: vec![vec![(0, name.into())]],
            names_last: false,
            alpn: Vec::new(),
            versions: vec![0x0304, 0x0303],
            hello_version: 0x0303,
            record_version: 0x0301,
            groups: vec![group::X25519],
            extensions: Vec::new(),
            grease: false,
            record_size: LARGEST_RECORD,
            empty_records_first: 0,
        }
    }

    /// No server name at all.
    pub fn nameless() -> Self {
        Self::new("").raw_names(Vec::new())
    }

    /// The `server_name` extensions as given: a list of extensions, each a list of (type, name).
    #[must_use]
    pub fn raw_names(mut self, extensions: Vec<Vec<(u8, Vec<u8>)>>) -> Self {
        self.server_names = extensions;
        self
    }

    /// A second name in the same extension.
    #[must_use]
    pub fn and_name(mut self, name: &str) -> Self {
        match self.server_names.last_mut() {
            Some(list) => list.push((0, name.into())),
            None => self.server_names.push(vec![(0, name.into())]),
        }
        self
    }

    /// A second `server_name` extension.
    #[must_use]
    pub fn and_extension_with_name(mut self, name: &str) -> Self {
        self.server_names.push(vec![(0, name.into())]);
        self
    }

    /// Puts the names after all other extensions, where a reader meets them last.
    #[must_use]
    pub fn names_last(mut self) -> Self {
        self.names_last = true;
        self
    }

    /// Protocols offered.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// `supported_versions`; empty leaves the extension out, as TLS 1.2 clients do.
    #[must_use]
    pub fn versions(mut self, versions: &[u16]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    /// The version in the hello itself (0x0303 since TLS 1.2).
    #[must_use]
    pub fn hello_version(mut self, version: u16) -> Self {
        self.hello_version = version;
        self
    }

    /// The version in the record headers (0x0301 as a rule).
    #[must_use]
    pub fn record_version(mut self, version: u16) -> Self {
        self.record_version = version;
        self
    }

    /// Groups with a key share of that many bytes each ([`group`]).
    #[must_use]
    pub fn groups(mut self, groups: &[(u16, usize)]) -> Self {
        self.groups = groups.to_vec();
        self
    }

    /// Adds a padding extension with that many zeros.
    #[must_use]
    pub fn padding(self, bytes: usize) -> Self {
        self.extension(id::PADDING, vec![0; bytes])
    }

    /// Pads so that the whole, one record's header included, is exactly `total` bytes long.
    ///
    /// Only for a hello that fits into one record, and at least 4 bytes longer than without.
    #[must_use]
    pub fn padded_to(self, total: usize) -> Self {
        let without = self.clone().padding(0).bytes().len();
        self.padding(total.saturating_sub(without))
    }

    /// Adds values that mean nothing, as browsers do (RFC 8701): a cipher, a group with a share, a version, extensions.
    #[must_use]
    pub fn grease(mut self) -> Self {
        self.grease = true;
        self
    }

    /// Adds an outer Encrypted Client Hello with a payload of that many bytes (RFC 9849), as GREASE ECH looks too.
    #[must_use]
    pub fn ech(self, payload: usize) -> Self {
        let mut data = vec![0]; // outer
        data.extend([0, 1, 0, 1]); // HKDF-SHA256, AES-128-GCM
        data.push(0x42); // config id
        data.extend(vector16(&pattern(32, 7)));
        data.extend(vector16(&pattern(payload, 11)));
        self.extension(id::ENCRYPTED_CLIENT_HELLO, data)
    }

    /// Adds any extension.
    #[must_use]
    pub fn extension(mut self, id: u16, data: Vec<u8>) -> Self {
        self.extensions.push((id, data));
        self
    }

    /// Splits the message into records of at most that many bytes.
    #[must_use]
    pub fn record_size(mut self, bytes: usize) -> Self {
        self.record_size = bytes.clamp(1, LARGEST_RECORD);
        self
    }

    /// Sends that many empty handshake records first.
    #[must_use]
    pub fn empty_records_first(mut self, count: usize) -> Self {
        self.empty_records_first = count;
        self
    }

    /// What goes onto the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut record = |payload: &[u8]| {
            wire.push(HANDSHAKE);
            wire.extend(self.record_version.to_be_bytes());
            wire.extend(vector16(payload));
        };
        (0..self.empty_records_first).for_each(|_| record(&[]));
        self.message().chunks(self.record_size).for_each(record);
        wire
    }

    /// The handshake message alone, without record headers.
    pub fn message(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(self.hello_version.to_be_bytes());
        body.extend(pattern(32, 1)); // random
        body.extend(vector8(&pattern(32, 3))); // session id
        body.extend(vector16(&self.ciphers()));
        body.extend(vector8(&[0])); // no compression
        body.extend(vector16(&self.all_extensions()));
        let mut message = vec![CLIENT_HELLO];
        message.extend(&(body.len() as u32).to_be_bytes()[1..]);
        message.extend(body);
        message
    }

    fn ciphers(&self) -> Vec<u8> {
        let real = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8];
        let grease = self.grease.then_some(GREASE[0]);
        grease.into_iter().chain(real).flat_map(u16::to_be_bytes).collect()
    }

    fn all_extensions(&self) -> Vec<u8> {
        let mut all: Vec<(u16, Vec<u8>)> = Vec::new();
        if self.grease {
            all.push((GREASE[1], Vec::new()));
        }
        if !self.names_last {
            all.extend(self.names());
        }
        all.push((id::SUPPORTED_GROUPS, vector16(&self.group_ids())));
        all.push((id::SIGNATURE_ALGORITHMS, vector16(&[4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 8, 6])));
        if !self.alpn.is_empty() {
            let list: Vec<u8> = self.alpn.iter().flat_map(|name| vector8(name)).collect();
            all.push((id::ALPN, vector16(&list)));
        }
        if !self.versions.is_empty() {
            let grease = self.grease.then_some(GREASE[2]);
            let list: Vec<u8> =
                grease.into_iter().chain(self.versions.iter().copied()).flat_map(u16::to_be_bytes).collect();
            all.push((id::SUPPORTED_VERSIONS, vector8(&list)));
        }
        all.push((id::KEY_SHARE, vector16(&self.key_shares())));
        all.extend(self.extensions.iter().cloned());
        if self.names_last {
            all.extend(self.names());
        }
        if self.grease {
            all.push((GREASE[2], vec![0]));
        }
        let write = |(id, data): (u16, Vec<u8>)| [id.to_be_bytes().to_vec(), vector16(&data)].concat();
        all.into_iter().flat_map(write).collect()
    }

    fn names(&self) -> impl Iterator<Item = (u16, Vec<u8>)> {
        self.server_names.iter().map(|list| {
            let entries: Vec<u8> =
                list.iter().flat_map(|(kind, name)| [vec![*kind], vector16(name)].concat()).collect();
            (id::SERVER_NAME, vector16(&entries))
        })
    }

    fn group_ids(&self) -> Vec<u8> {
        let grease = self.grease.then_some(GREASE[0]);
        grease.into_iter().chain(self.groups.iter().map(|(id, _)| *id)).flat_map(u16::to_be_bytes).collect()
    }

    fn key_shares(&self) -> Vec<u8> {
        let grease = self.grease.then_some((GREASE[0], 1));
        let shares = grease.into_iter().chain(self.groups.iter().copied());
        shares
            .flat_map(|(id, size)| [id.to_be_bytes().to_vec(), vector16(&pattern(size, 5))].concat())
            .collect()
    }
}

fn vector8(data: &[u8]) -> Vec<u8> {
    [&[data.len() as u8], data].concat()
}

fn vector16(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u16).to_be_bytes(), data].concat()
}

/// Bytes that are neither random nor all the same.
fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + seed * 17 + 9) as u8).collect()
}

#[cfg(test)]
mod tests {
    use rustls::server::Acceptor;

    use super::*;

    fn read(bytes: &[u8]) -> (Option<String>, Vec<Vec<u8>>) {
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &bytes[..]).unwrap();
        let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap().expect("a whole hello");
        let hello = accepted.client_hello();
        let alpn = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
        (hello.server_name().map(str::to_owned), alpn)
    }

    #[test]
    fn another_reader_understands_it() {
        let (name, alpn) = read(&Hello::new("web.example").alpn(&["h2", "http/1.1"]).bytes());
        assert_eq!(name.as_deref(), Some("web.example"));
        assert_eq!(alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(read(&Hello::nameless().bytes()).0, None);
    }

    #[test]
    fn shapes_of_browsers_are_understood_too() {
        let shaped = Hello::new("web.example")
            .groups(&[group::X25519_MLKEM768, group::X25519])
            .grease()
            .ech(160)
            .padding(500)
            .names_last()
            .record_size(300);
        assert_eq!(read(&shaped.bytes()).0.as_deref(), Some("web.example"));
    }

    #[test]
    fn padding_reaches_the_wanted_length_exactly() {
        assert_eq!(Hello::new("a.example").padded_to(4096).bytes().len(), 4096);
    }
}
