//! Why a handshake did not end with a connection.

use std::io;

use rustls::AlertDescription;

use super::PeerError;
use crate::leaf::LeafKey;

/// Why there is no connection. The stream is gone with the error; the far end got an alert where TLS has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The far end's certificate was refused.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The far end sent a fatal alert: it refused us, or gave up.
    #[error("the far end ended the handshake with the alert {0:?}")]
    Alert(AlertDescription),
    /// Both sides have no version, cipher suite, key exchange or protocol in common.
    #[error("nothing in common with the far end: {0}")]
    Incompatible(String),
    /// The far end breaks the rules of TLS, or does not speak it.
    #[error("the far end does not speak TLS as it should: {0}")]
    Protocol(String),
    /// The far end closed in the middle of the handshake.
    #[error("the far end closed the connection in the middle of the handshake")]
    Eof,
    /// The connection failed.
    #[error("the connection failed in the middle of the handshake: {0}")]
    Io(#[source] io::Error),
    /// Our own certificate has ended; a far end would refuse it.
    #[error("the certificate of {0} has expired here; its agent or CA cannot be reached for long")]
    OwnCertificateExpired(LeafKey),
    /// There is no certificate or no root yet.
    #[error("{key} is not ready: {why}")]
    NotReady {
        /// Whose identity was to be used.
        key: LeafKey,
        /// What is missing.
        why: NotReady,
    },
    /// The clock of this host, or the cryptographic library, failed.
    #[error("{0}")]
    Internal(String),
}

/// What a service lacks before it can accept or connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// No roots yet.
    #[error("there are no roots yet")]
    NoRoots,
    /// No leaf yet.
    #[error("there is no leaf certificate yet")]
    NoLeaf,
    /// The leaf is of another trust domain than the roots, as in the moment when a cluster gets a new one.
    #[error("its leaf is of another trust domain than the roots")]
    OtherTrustDomain,
}

impl NotReady {
    /// The word for logs and metric labels.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoRoots => "no_roots",
            Self::NoLeaf => "no_leaf",
            Self::OtherTrustDomain => "leaf_of_another_trust_domain",
        }
    }
}

impl HandshakeError {
    /// The word for logs and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Peer(peer) => peer.reason(),
            Self::Alert(_) => "tls_alert",
            Self::Incompatible(_) => "tls_incompatible",
            Self::Protocol(_) => "tls_protocol_error",
            Self::Eof => "handshake_eof",
            Self::Io(_) => "handshake_io",
            Self::OwnCertificateExpired(_) => "own_certificate_expired",
            Self::NotReady { why, .. } => why.reason(),
            Self::Internal(_) => "internal",
        }
    }

    /// Reads an error of a stream, also of one that was handed out: with TLS 1.3 a client hears only at its first read that
    /// the server refused its certificate.
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::from_rustls(tls.clone()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Eof,
            None => Self::Io(error),
        }
    }

    pub(crate) fn from_rustls(error: rustls::Error) -> Self {
        match error {
            rustls::Error::NoCertificatesPresented => PeerError::NoCertificate.into(),
            rustls::Error::InvalidCertificate(error) => PeerError::from(error).into(),
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            rustls::Error::PeerIncompatible(why) => Self::Incompatible(format!("{why:?}")),
            error @ rustls::Error::NoApplicationProtocol => Self::Incompatible(error.to_string()),
            error @ (rustls::Error::General(_)
            | rustls::Error::FailedToGetCurrentTime
            | rustls::Error::FailedToGetRandomBytes) => Self::Internal(error.to_string()),
            error => Self::Protocol(error.to_string()),
        }
    }
}
