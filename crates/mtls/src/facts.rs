//! What was negotiated, for metrics and logs.

use rustls::{CipherSuite, CommonState, HandshakeKind, NamedGroup, ProtocolVersion};

/// How a handshake went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeFacts {
    /// TLS 1.2 or 1.3.
    pub version: Option<ProtocolVersion>,
    /// The suite.
    pub cipher_suite: Option<CipherSuite>,
    /// The key exchange. `None` where there was none: resuming TLS 1.2 makes no new one.
    pub group: Option<NamedGroup>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Whether the server asked for another key share first: one round trip more.
    pub retried: bool,
    /// The protocol that was agreed on.
    pub alpn: Option<Vec<u8>>,
}

impl HandshakeFacts {
    pub(crate) fn of(connection: &CommonState) -> Self {
        let kind = connection.handshake_kind();
        Self {
            version: connection.protocol_version(),
            cipher_suite: connection.negotiated_cipher_suite().map(|suite| suite.suite()),
            group: connection.negotiated_key_exchange_group().map(|group| group.name()),
            resumed: kind == Some(HandshakeKind::Resumed),
            retried: kind == Some(HandshakeKind::FullWithHelloRetryRequest),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
        }
    }

    /// Whether the key exchange withstands a quantum computer: ML-KEM, alone or beside a classical group.
    #[must_use]
    pub fn is_post_quantum(&self) -> bool {
        matches!(
            self.group,
            Some(
                NamedGroup::X25519MLKEM768
                    | NamedGroup::secp256r1MLKEM768
                    | NamedGroup::MLKEM512
                    | NamedGroup::MLKEM768
                    | NamedGroup::MLKEM1024
            )
        )
    }
}
