//! What can be wrong, and whose fault it is.
//!
//! [`Error`] speaks of our own side: documents, certificates, keys and settings. [`PeerError`] speaks of the far end's
//! certificate. [`HandshakeError`] says why there is no connection.
//!
//! Every variant has a word (`reason()`): snake case, stable, for metric labels and logs.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mesh_id::{SpiffeError, SpiffeId, TrustDomain};
use rustls::{AlertDescription, CertificateError, OtherError};

use crate::bundle::LeftOut;
use crate::leaf::LeafKey;

/// Which text was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Material {
    /// The roots of a mesh.
    Roots,
    /// A leaf with its chain.
    Leaf,
    /// The private key of a leaf.
    LeafKey,
    /// The CA certificates of an external service (`CAFile`).
    OriginationCa,
    /// The client certificate towards an external service (`CertFile`).
    OriginationCertificate,
    /// Its private key (`KeyFile`).
    OriginationKey,
}

impl fmt::Display for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Roots => "the root certificates",
            Self::Leaf => "the leaf certificate",
            Self::LeafKey => "the private key of the leaf",
            Self::OriginationCa => "the CA certificates (CAFile)",
            Self::OriginationCertificate => "the client certificate (CertFile)",
            Self::OriginationKey => "the private key (KeyFile)",
        })
    }
}

/// Why a document, a certificate, a key or a setting of our own is not used. Whoever gave it is at fault: the same
/// input is refused again; the caller keeps what it had before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More text than any certificate needs.
    #[error("{what}: {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// Which text.
        what: Material,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A PEM block is cut short or is not base64.
    #[error("{what}: not valid PEM: {why}")]
    Pem {
        /// Which text.
        what: Material,
        /// What the reader met.
        why: String,
    },
    /// The text has no block of the wanted kind.
    #[error("{what}: there is no PEM block {wanted:?} in it")]
    NoPem {
        /// Which text.
        what: Material,
        /// The label that was looked for.
        wanted: &'static str,
    },
    /// A block of another kind, such as a private key, stands among certificates.
    #[error("{what}: a PEM block {label:?} stands where only certificates belong")]
    ForeignBlock {
        /// Which text.
        what: Material,
        /// The label of the block.
        label: &'static str,
    },
    /// Two private keys; nobody can say which one is meant.
    #[error("{what}: there are several keys in it, give one")]
    SeveralKeys {
        /// Which text.
        what: Material,
    },
    /// More certificates than a chain or a bundle may have.
    #[error("{what}: {count} certificates, at most {limit} are read")]
    TooMany {
        /// Which text.
        what: Material,
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A certificate is no X.509 certificate of version 3.
    #[error("{what}: certificate {number} cannot be read: {why}")]
    BadCertificate {
        /// Which text.
        what: Material,
        /// Its place, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// None of the roots can be used now.
    #[error("{what}: {}", list(left_out))]
    NoUsableRoot {
        /// Which text.
        what: Material,
        /// Each one with its reason.
        left_out: Vec<LeftOut>,
    },
    /// The name of the trust domain is no host name.
    #[error("the trust domain is not a host name: {0}")]
    TrustDomain(#[from] mesh_id::NameError),
    /// A peer's bundle bears our own trust domain, or two peers share one.
    #[error("two bundles for trust domain {0}; each has exactly one")]
    DuplicateTrustDomain(TrustDomain),
    /// The private key has a form or algorithm that is not supported.
    #[error("{what}: the key cannot be used: {why}")]
    UnusableKey {
        /// Which text.
        what: Material,
        /// What the cryptographic library said.
        why: String,
    },
    /// The private key belongs to another certificate.
    #[error("{what}: the private key belongs to none of the certificates")]
    KeyMismatch {
        /// The certificates.
        what: Material,
    },
    /// The leaf does not say who it is.
    #[error("{what}: {identity}")]
    Identity {
        /// The certificate.
        what: Material,
        /// What is wrong with its name.
        #[source]
        identity: IdentityError,
    },
    /// The leaf belongs to somebody else.
    #[error("the leaf certificate names {found}, not {expected}")]
    WrongIdentity {
        /// The identity that was asked for.
        expected: Box<str>,
        /// The one that came.
        found: Box<str>,
    },
    /// The leaf has ended.
    #[error("the leaf certificate of {id} ended {} s ago", ago.as_secs())]
    Expired {
        /// Whose it is.
        id: Box<str>,
        /// For how long it has ended.
        ago: Duration,
    },
    /// The leaf begins later than clocks may differ.
    #[error("the leaf certificate of {id} begins in {} s only; compare the clocks of this host and of the CA", by.as_secs())]
    NotYetValid {
        /// Whose it is.
        id: Box<str>,
        /// Until it begins.
        by: Duration,
    },
    /// A TLS version that does not exist, an impossible range, or one that ends below TLS 1.2.
    #[error("TLS versions {min:?} to {max:?}: {why}")]
    Versions {
        /// As set.
        min: Box<str>,
        /// As set.
        max: Box<str>,
        /// What is wrong.
        why: &'static str,
    },
    /// None of the cipher suites that are set is supported, or they are set where they mean nothing.
    #[error("cipher suites {}: {why}", set.join(", "))]
    CipherSuites {
        /// As set.
        set: Vec<String>,
        /// What is wrong.
        why: &'static str,
    },
    /// A target without any identity that it may have.
    #[error("no identity is expected of the far end; that would trust every service of the mesh")]
    NothingExpected,
    /// A name that TLS cannot ask for.
    #[error("{0:?} is no server name that TLS can ask for")]
    ServerName(Box<str>),
    /// The cryptographic library refused the configuration.
    #[error("TLS configuration: {0}")]
    Tls(String),
}

fn list(left_out: &[LeftOut]) -> String {
    if left_out.is_empty() {
        return "the list is empty; is the CA of the mesh ready?".to_owned();
    }
    let all = left_out.iter().map(LeftOut::to_string).collect::<Vec<_>>().join("; ");
    format!("none can be used: {all}")
}

impl Error {
    /// The word for logs and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "pem_too_large",
            Self::Pem { .. } => "pem_malformed",
            Self::NoPem { wanted: "CERTIFICATE", .. } => "no_certificate",
            Self::NoPem { .. } => "no_private_key",
            Self::ForeignBlock { .. } => "foreign_pem_block",
            Self::SeveralKeys { .. } => "several_private_keys",
            Self::TooMany { .. } => "too_many_certificates",
            Self::BadCertificate { .. } => "certificate_malformed",
            Self::NoUsableRoot { .. } => "no_usable_root",
            Self::TrustDomain(_) => "bad_trust_domain",
            Self::DuplicateTrustDomain(_) => "duplicate_trust_domain",
            Self::UnusableKey { .. } => "unusable_private_key",
            Self::KeyMismatch { .. } => "key_mismatch",
            Self::Identity { identity, .. } => identity.reason(),
            Self::WrongIdentity { .. } => "wrong_identity",
            Self::Expired { .. } => "certificate_expired",
            Self::NotYetValid { .. } => "certificate_not_yet_valid",
            Self::Versions { .. } => "bad_tls_versions",
            Self::CipherSuites { .. } => "bad_cipher_suites",
            Self::NothingExpected => "nothing_expected",
            Self::ServerName(_) => "bad_server_name",
            Self::Tls(_) => "tls_configuration",
        }
    }
}

/// Why a certificate does not say who its holder is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Malformed(String),
    /// There is no URI among its names.
    #[error("the certificate has no URI name, so no SPIFFE id")]
    NoUri,
    /// There are several. Consul never signs more than one, and another proxy might read another of them.
    #[error("the certificate has {0} URI names, exactly one is allowed")]
    SeveralUris(usize),
    /// The URI is no identity of a mesh.
    #[error("{uri:?} is no SPIFFE id of a mesh: {why}")]
    NotSpiffe {
        /// As it stands in the certificate, cut to a length that a log can bear.
        uri: Box<str>,
        /// What is wrong.
        why: SpiffeError,
    },
    /// The URI is an identity written in a way that Consul does not write, such as `%65` for `e`. Other proxies compare
    /// the text, so it would be somebody else there.
    #[error("{uri:?} is not how {canonical} is written")]
    NotCanonical {
        /// As it stands in the certificate.
        uri: Box<str>,
        /// As Consul writes it.
        canonical: Box<str>,
    },
}

impl IdentityError {
    /// The word for logs and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "certificate_malformed",
            Self::NoUri => "no_spiffe_id",
            Self::SeveralUris(_) => "several_uri_sans",
            Self::NotSpiffe { .. } => "bad_spiffe_id",
            Self::NotCanonical { .. } => "spiffe_id_not_canonical",
        }
    }
}

/// Why the certificate of the far end was refused. The far end is at fault, or the roots here are old.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It presented none.
    #[error("the client presented no certificate")]
    NoCertificate,
    /// It does not say who it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It belongs to a cluster whose roots are not known, or not trusted here.
    #[error("{0} is of a trust domain that is not trusted here")]
    ForeignTrustDomain(SpiffeId),
    /// It is an agent, a server or a certificate authority: nothing that sends or takes requests in a mesh.
    #[error("{0} is neither a service nor a mesh gateway")]
    NotAService(SpiffeId),
    /// It is a good certificate of somebody else than the one dialed.
    #[error("{found} answered, expected was {}", expected.join(" or "))]
    Unexpected {
        /// Who answered.
        found: SpiffeId,
        /// Who might have.
        expected: Arc<[String]>,
    },
    /// None of the names of an external service's certificate is the one that was asked for.
    #[error("no name of the certificate is {expected:?}")]
    NameMismatch {
        /// The name that was asked for.
        expected: Arc<str>,
    },
    /// No chain leads to a root that is trusted.
    #[error("the certificate leads to no root that is trusted here")]
    UnknownIssuer,
    /// It, or a certificate of its chain, has ended.
    #[error("the certificate has expired")]
    Expired,
    /// It, or a certificate of its chain, has not begun.
    #[error("the certificate is not valid yet; compare the clocks")]
    NotYetValid,
    /// It was made for the other side of a connection.
    #[error("the certificate was not made for this side of a connection (extended key usage)")]
    WrongPurpose,
    /// A signature is wrong.
    #[error("a signature of the certificate or of its holder is wrong")]
    BadSignature,
    /// Every root that is trusted here has ended.
    #[error("no root that is trusted here is valid now")]
    RootsExpired,
    /// The session that was resumed began under other roots, another trust domain or another service.
    #[error("the resumed session began under other roots or for another service")]
    StaleSession,
    /// Another rule of X.509 is broken.
    #[error("the certificate breaks a rule: {0}")]
    Invalid(CertificateError),
}

impl PeerError {
    /// The word for logs and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_client_certificate",
            Self::Identity(identity) => identity.reason(),
            Self::ForeignTrustDomain(_) => "foreign_trust_domain",
            Self::NotAService(_) => "not_a_service",
            Self::Unexpected { .. } => "unexpected_peer",
            Self::NameMismatch { .. } => "certificate_name_mismatch",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Expired => "certificate_expired",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::WrongPurpose => "certificate_wrong_purpose",
            Self::BadSignature => "bad_signature",
            Self::RootsExpired => "no_valid_root",
            Self::StaleSession => "stale_session",
            Self::Invalid(_) => "certificate_invalid",
        }
    }

    /// As rustls wants it: the known ones as its own, so that the far end gets the fitting alert.
    pub(crate) fn into_rustls(self) -> rustls::Error {
        let known = match self {
            Self::NoCertificate => return rustls::Error::NoCertificatesPresented,
            Self::UnknownIssuer => CertificateError::UnknownIssuer,
            Self::Expired => CertificateError::Expired,
            Self::NotYetValid => CertificateError::NotValidYet,
            Self::BadSignature => CertificateError::BadSignature,
            Self::Invalid(error) => error,
            other => CertificateError::Other(OtherError(Arc::new(other))),
        };
        rustls::Error::InvalidCertificate(known)
    }
}

impl From<CertificateError> for PeerError {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongPurpose
            }
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::BadEncoding => {
                Self::Identity(IdentityError::Malformed("bad encoding".to_owned()))
            }
            CertificateError::Other(other) => match other.0.downcast_ref::<Self>() {
                Some(ours) => ours.clone(),
                None => Self::Invalid(CertificateError::Other(other)),
            },
            other => Self::Invalid(other),
        }
    }
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotReady {
    /// No roots yet.
    NoRoots,
    /// No leaf yet.
    NoLeaf,
    /// The leaf is of another trust domain than the roots, as in the moment when a cluster gets a new one.
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

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoots => "there are no roots yet",
            Self::NoLeaf => "there is no leaf certificate yet",
            Self::OtherTrustDomain => "its leaf is of another trust domain than the roots",
        })
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
