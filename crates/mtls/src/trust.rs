//! Whom this mesh believes: its own roots and those of its peers, each for its own trust domain only.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use mesh_id::{SpiffeId, TrustDomain};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::anchors::Side;
use crate::bundle::Fingerprint;
use crate::certificate::Parsed;
use crate::peer::{Peer, PeerKind};
use crate::{Error, PeerError, TrustBundle};

/// The bundle of our own trust domain, and those of peered clusters.
///
/// A certificate is verified with the roots of its own trust domain and no others: a peer's CA cannot speak for us, nor
/// ours for a peer.
#[derive(Debug, Clone)]
pub struct TrustSet {
    own: TrustBundle,
    peers: BTreeMap<TrustDomain, TrustBundle>,
    fingerprint: Fingerprint,
}

/// Whose certificates are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Trusts {
    /// Those of our own trust domain.
    #[default]
    OwnOnly,
    /// Those of peered clusters too: on what is exported to them as TCP.
    OwnAndPeers,
}

impl TrustSet {
    /// Our own roots alone.
    #[must_use]
    pub fn new(own: TrustBundle) -> Self {
        let mut set = Self { fingerprint: own.fingerprint(), own, peers: BTreeMap::new() };
        set.fingerprint = set.digest();
        set
    }

    /// Adds the roots of a peered cluster.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateTrustDomain`] for our own trust domain, and for one that is there already.
    pub fn with_peer(mut self, peer: TrustBundle) -> Result<Self, Error> {
        let name = peer.trust_domain().clone();
        if name == *self.own.trust_domain() || self.peers.contains_key(&name) {
            return Err(Error::DuplicateTrustDomain(name));
        }
        self.peers.insert(name, peer);
        self.fingerprint = self.digest();
        Ok(self)
    }

    /// Our own roots.
    #[must_use]
    pub fn own(&self) -> &TrustBundle {
        &self.own
    }

    /// The peers' roots.
    pub fn peers(&self) -> impl Iterator<Item = &TrustBundle> {
        self.peers.values()
    }

    /// The same roots for the same trust domains, of which the same hold, have the same fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// When a root of any bundle begins or ends next, see [`TrustBundle::next_change`].
    #[must_use]
    pub fn next_change(&self, now: UnixTime) -> Option<UnixTime> {
        let all = std::iter::once(&self.own).chain(self.peers.values());
        all.filter_map(|bundle| bundle.next_change(now)).min()
    }

    fn digest(&self) -> Fingerprint {
        let mut context = digest::Context::new(&digest::SHA256);
        for bundle in std::iter::once(&self.own).chain(self.peers.values()) {
            context.update(bundle.trust_domain().as_str().as_bytes());
            // No host name has it, so names and fingerprints cannot run into each other.
            context.update(&[0]);
            context.update(bundle.fingerprint().as_bytes());
        }
        Fingerprint::of(context.finish())
    }

    fn bundle(&self, id: &SpiffeId, trusts: Trusts) -> Result<&TrustBundle, PeerError> {
        let name = id.trust_domain();
        if name == self.own.trust_domain() {
            return Ok(&self.own);
        }
        let peer = match trusts {
            Trusts::OwnOnly => None,
            Trusts::OwnAndPeers => self.peers.get(name),
        };
        peer.ok_or_else(|| PeerError::ForeignTrustDomain(Box::new(id.clone())))
    }
}

/// What is asked of a far end besides a chain.
#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// As a server: any service or mesh gateway.
    AnyService(Trusts),
    /// As a client: one of these URIs, to the letter.
    OneOf(Arc<[String]>),
}

impl Expect {
    fn side(&self) -> Side {
        match self {
            Self::AnyService(_) => Side::Client,
            Self::OneOf(_) => Side::Server,
        }
    }
}

impl TrustSet {
    /// Who `certificates` (the end entity first) belong to. Their names are looked at before anything is computed, so
    /// that a stranger costs little; nothing of it is believed before the chain is verified.
    pub(crate) fn verify(
        &self,
        expect: &Expect,
        certificates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Peer, PeerError> {
        let (end_entity, intermediates) = certificates.split_first().ok_or(PeerError::NoCertificate)?;
        self.verify_parts(expect, end_entity, intermediates, now)
    }

    pub(crate) fn verify_parts(
        &self,
        expect: &Expect,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Peer, PeerError> {
        let (peer, bundle) = self.identify(expect, end_entity)?;
        bundle.verify(expect.side(), end_entity, intermediates, now)?;
        Ok(peer)
    }

    /// Whether certificates that were verified with these very roots still are good at `now`: nothing but time can have
    /// changed that.
    pub(crate) fn verify_again(
        &self,
        expect: &Expect,
        certificates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Peer, PeerError> {
        let (end_entity, intermediates) = certificates.split_first().ok_or(PeerError::NoCertificate)?;
        let (peer, bundle) = self.identify(expect, end_entity)?;
        if !peer.validity.contains(now) {
            let ended = peer.validity.not_after.as_secs() < now.as_secs();
            return Err(if ended { PeerError::Expired } else { PeerError::NotYetValid });
        }
        let holds = |der: &CertificateDer<'_>| Parsed::new(der).is_ok_and(|one| one.validity().contains(now));
        if bundle.is_as_built(now) && intermediates.iter().all(holds) {
            return Ok(peer);
        }
        // A certificate that has ended may be one that the path does not need.
        bundle.verify(expect.side(), end_entity, intermediates, now)?;
        Ok(peer)
    }

    fn identify(
        &self,
        expect: &Expect,
        end_entity: &CertificateDer<'_>,
    ) -> Result<(Peer, &TrustBundle), PeerError> {
        let parsed = Parsed::new(end_entity)?;
        let (id, uri) = parsed.identity()?;
        let bundle = match expect {
            Expect::AnyService(trusts) => self.bundle(&id, *trusts)?,
            Expect::OneOf(expected) if expected.iter().any(|one| one == uri) => {
                self.bundle(&id, Trusts::OwnAndPeers)?
            }
            Expect::OneOf(expected) => {
                return Err(PeerError::Unexpected { found: Box::new(id), expected: Arc::clone(expected) });
            }
        };
        let kind = PeerKind::of(&id).ok_or_else(|| PeerError::NotAService(Box::new(id.clone())))?;
        let own = id.trust_domain() == self.own.trust_domain();
        let peer = Peer { kind, own, serial: parsed.serial(), validity: parsed.validity(), id };
        Ok((peer, bundle))
    }
}
