//! What can be wrong, and whose fault it is.
//!
//! [`Error`] speaks of our own side: documents, certificates, keys and settings. [`PeerError`] speaks of the far end's
//! certificate. [`HandshakeError`] says why there is no connection.
//!
//! Every variant has a word (`reason()`): snake case, stable, for metric labels and logs.

use std::fmt;
use std::time::Duration;

use mesh_id::TrustDomain;

use crate::bundle::LeftOut;

mod handshake;
mod peer;

pub use handshake::{HandshakeError, NotReady};
pub use peer::{IdentityError, PeerError};

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
