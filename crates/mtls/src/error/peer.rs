//! What can be wrong with a certificate of the far end.

use std::sync::Arc;

use mesh_id::{SpiffeError, SpiffeId};
use rustls::{CertificateError, OtherError};

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
    ForeignTrustDomain(Box<SpiffeId>),
    /// It is an agent, a server or a certificate authority: nothing that sends or takes requests in a mesh.
    #[error("{0} is neither a service nor a mesh gateway")]
    NotAService(Box<SpiffeId>),
    /// It is a good certificate of somebody else than the one dialed.
    #[error("{found} answered, expected was {}", expected.join(" or "))]
    Unexpected {
        /// Who answered.
        found: Box<SpiffeId>,
        /// Who might have.
        expected: Arc<[String]>,
    },
    /// None of the names of an external service's certificate is the one that was asked for.
    #[error("no name of the certificate is {expected:?}; it has {found}")]
    NameMismatch {
        /// The name that was asked for.
        expected: Arc<str>,
        /// The first of those that it has, quoted, or that it has none.
        found: Box<str>,
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
