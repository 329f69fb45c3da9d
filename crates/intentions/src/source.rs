//! Who calls.

use mesh_id::SpiffeId;

/// The caller of a connection or of a request. The identities must have been verified: they come from a certificate
/// whose chain ends in a trusted root, with exactly one SPIFFE URI.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The holder of the certificate itself.
    Direct(&'a SpiffeId),
    /// A request that came with an `x-forwarded-client-cert` header. Whether it is believed is decided by the check: only
    /// when `gateway` is a mesh gateway of the own trust domain and partition, on an HTTP service, and only for sources
    /// of a peer. In all other cases this is the same as [`Source::Direct`] of `gateway`.
    ViaGateway {
        /// The holder of the certificate.
        gateway: &'a SpiffeId,
        /// What [`xfcc::origin`](crate::xfcc::origin) found; `None` when it found nothing that is an identity.
        origin: Option<&'a SpiffeId>,
    },
}

impl<'a> Source<'a> {
    /// The holder of the certificate.
    #[must_use]
    pub fn certificate(&self) -> &'a SpiffeId {
        match self {
            Self::Direct(id) | Self::ViaGateway { gateway: id, .. } => id,
        }
    }
}
