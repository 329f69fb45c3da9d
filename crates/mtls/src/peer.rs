//! Who is at the far end.

use mesh_id::SpiffeId;
use rustls_pki_types::UnixTime;

use crate::certificate::{SerialNumber, Validity};

/// The verified holder of the far end's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub(crate) id: SpiffeId,
    pub(crate) kind: PeerKind,
    pub(crate) own: bool,
    pub(crate) serial: SerialNumber,
    pub(crate) validity: Validity,
}

/// What the far end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerKind {
    /// A service, also an ingress or terminating gateway.
    Service,
    /// A mesh gateway: it speaks for others, and only if it is of our own trust domain.
    MeshGateway,
}

impl PeerKind {
    pub(crate) fn of(id: &SpiffeId) -> Option<Self> {
        match id {
            SpiffeId::Service { .. } => Some(Self::Service),
            SpiffeId::MeshGateway { .. } => Some(Self::MeshGateway),
            SpiffeId::Agent { .. } | SpiffeId::Server { .. } | SpiffeId::Signing { .. } => None,
        }
    }
}

impl Peer {
    /// Its identity: the only URI in its certificate, and written there exactly as the id writes itself. So the decoded
    /// elements may be compared, too.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Service or mesh gateway.
    #[must_use]
    pub fn kind(&self) -> PeerKind {
        self.kind
    }

    /// Whether it is of our own trust domain, and not of a peered cluster's.
    #[must_use]
    pub fn is_of_own_trust_domain(&self) -> bool {
        self.own
    }

    /// Number of its certificate.
    #[must_use]
    pub fn serial(&self) -> &SerialNumber {
        &self.serial
    }

    /// Last second of its certificate.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.validity.not_after
    }
}
