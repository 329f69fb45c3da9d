//! Builds hellos, good and bad, field by field.

/// The parts of a hello message; every part can be wrong.
#[derive(Clone)]
pub(crate) struct Hello {
    pub(crate) version: u16,
    pub(crate) session_id: Vec<u8>,
    pub(crate) suites: Vec<u8>,
    pub(crate) compression: Vec<u8>,
    /// `None`: the message ends before the list of extensions.
    pub(crate) extensions: Option<Vec<(u16, Vec<u8>)>>,
}

/// A plain hello of TLS 1.3 for `name`.
pub(crate) fn hello(name: &str) -> Hello {
    with_extensions(vec![(0, server_name(name.as_bytes())), (43, vec![2, 3, 4])])
}

pub(crate) fn with_extensions(extensions: Vec<(u16, Vec<u8>)>) -> Hello {
    Hello {
        version: 0x0303,
        session_id: vec![7; 32],
        suites: vec![0x13, 0x01, 0x13, 0x02],
        compression: vec![0],
        extensions: Some(extensions),
    }
}

impl Hello {
    /// The handshake message: type, length, body.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([0x5a; 32]);
        body.extend(vector_u8(&self.session_id));
        body.extend(vector_u16(&self.suites));
        body.extend(vector_u8(&self.compression));
        if let Some(extensions) = &self.extensions {
            let block = extensions
                .iter()
                .flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &vector_u16(data)].concat());
            body.extend(vector_u16(&block.collect::<Vec<u8>>()));
        }
        message(1, &body)
    }

    /// In records of at most `size` content bytes.
    pub(crate) fn records_of(&self, size: usize) -> Vec<u8> {
        self.message().chunks(size).flat_map(|chunk| record(22, 0x0301, chunk)).collect()
    }

    /// In one record.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.records_of(1 << 14)
    }
}

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

pub(crate) fn record(content_type: u8, version: u16, content: &[u8]) -> Vec<u8> {
    [&[content_type], &version.to_be_bytes()[..], &vector_u16(content)].concat()
}

/// The server name extension with one host name.
pub(crate) fn server_name(name: &[u8]) -> Vec<u8> {
    name_list(&[(0, name)])
}

/// The server name extension with any entries.
pub(crate) fn name_list(entries: &[(u8, &[u8])]) -> Vec<u8> {
    vector_u16(
        &entries
            .iter()
            .flat_map(|(kind, name)| [&[*kind][..], &vector_u16(name)].concat())
            .collect::<Vec<u8>>(),
    )
}

pub(crate) fn alpn(names: &[&str]) -> Vec<u8> {
    vector_u16(&names.iter().flat_map(|name| vector_u8(name.as_bytes())).collect::<Vec<u8>>())
}

/// The key share extension: each group with a key of so many bytes.
pub(crate) fn key_share(groups: &[(u16, usize)]) -> Vec<u8> {
    vector_u16(
        &groups
            .iter()
            .flat_map(|&(group, length)| [&group.to_be_bytes()[..], &vector_u16(&vec![9; length])].concat())
            .collect::<Vec<u8>>(),
    )
}

pub(crate) fn vector_u8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

pub(crate) fn vector_u16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}
