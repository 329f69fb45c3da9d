//! First bytes of clients that do not speak TLS, or not to a server.

/// Something that is not a client hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// A plain HTTP/1.1 request.
    Http,
    /// The HTTP/2 preface with prior knowledge.
    Http2,
    /// An SSH client.
    Ssh,
    /// An SSLv2 hello, as clients of the nineties sent it.
    SslV2,
    /// A TLS alert record.
    Alert,
    /// A TLS application data record.
    ApplicationData,
    /// A server's hello.
    ServerHello,
    /// The first byte of Consul's own RPC.
    ConsulRpc,
    /// Zeros.
    Zeros,
}

impl Stranger {
    /// All of them.
    pub const ALL: [Stranger; 9] = [
        Stranger::Http,
        Stranger::Http2,
        Stranger::Ssh,
        Stranger::SslV2,
        Stranger::Alert,
        Stranger::ApplicationData,
        Stranger::ServerHello,
        Stranger::ConsulRpc,
        Stranger::Zeros,
    ];

    /// What it sends first.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Stranger::Http => b"GET / HTTP/1.1\r\nHost: billing.default.dc1.internal.example\r\n\r\n",
            Stranger::Http2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            Stranger::Ssh => b"SSH-2.0-OpenSSH_9.9\r\n",
            // Length with the high bit, client hello, version 3.1, three ciphers, no session, 16 bytes of challenge.
            Stranger::SslV2 => {
                b"\x80\x22\x01\x03\x01\x00\x09\x00\x00\x00\x10\x00\x00\x2f\x00\x00\x35\x01\x00\x800123456789abcdef"
            }
            Stranger::Alert => b"\x15\x03\x01\x00\x02\x02\x28",
            Stranger::ApplicationData => b"\x17\x03\x03\x00\x05hello",
            Stranger::ServerHello => b"\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03\
                0123456789abcdef0123456789abcdef\x00\x13\x01\x00\x00\x00",
            Stranger::ConsulRpc => b"\x04",
            Stranger::Zeros => &[0; 16],
        }
    }
}
