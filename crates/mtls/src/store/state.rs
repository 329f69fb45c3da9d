//! The state that is published: made once, never changed.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::time_provider::TimeProvider;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::accept::Acceptor;
use crate::error::{HandshakeError, NotReady, PeerError};
use crate::leaf::{Leaf, LeafKey};
use crate::sessions::SessionPool;
use crate::trust::{Expect, TrustSet, Trusts};
use crate::{Peer, TlsParameters};

/// Which version of each part is in use. Numbers grow with each change of content and mean nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Generations {
    /// Of the leaf.
    pub leaf: u64,
    /// Of the roots, our own and the peers'.
    pub trust: u64,
    /// Of the TLS parameters.
    pub parameters: u64,
}

/// TLS parameters of both directions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeshTls {
    /// Of connections accepted with a mesh identity.
    pub incoming: TlsParameters,
    /// Of connections dialed into the mesh.
    pub outgoing: TlsParameters,
}

/// A part of the state with the number of its version.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<T> {
    pub(crate) value: Arc<T>,
    pub(crate) generation: u64,
}

impl<T: Default> Default for Versioned<T> {
    fn default() -> Self {
        Self { value: Arc::default(), generation: 0 }
    }
}

/// All of it. Never changed once published.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) generation: u64,
    pub(crate) trust: Option<Versioned<TrustSet>>,
    pub(crate) tls: Versioned<MeshTls>,
    /// Keys are shared, since each new state copies the table.
    pub(crate) services: HashMap<Arc<LeafKey>, Arc<Service>>,
}

/// One service of the state.
pub(crate) struct Service {
    pub(crate) leaf: Versioned<Leaf>,
    pub(crate) trusts: Trusts,
    pub(crate) acceptor: Result<Acceptor, NotReady>,
}

impl State {
    /// The roots and the leaf to connect with.
    pub(crate) fn identity(
        &self,
        key: &LeafKey,
    ) -> Result<(&Versioned<TrustSet>, &Versioned<Leaf>), NotReady> {
        let trust = self.trust.as_ref().ok_or(NotReady::NoRoots)?;
        let leaf = &self.services.get(key).ok_or(NotReady::NoLeaf)?.leaf;
        ready(trust, leaf)?;
        Ok((trust, leaf))
    }
}

/// A leaf of another trust domain would be refused by everybody who knows these roots.
pub(super) fn ready(trust: &Versioned<TrustSet>, leaf: &Versioned<Leaf>) -> Result<(), NotReady> {
    if leaf.value.id().trust_domain() == trust.value.own().trust_domain() {
        Ok(())
    } else {
        Err(NotReady::OtherTrustDomain)
    }
}

/// What writer, readers and connectors have in common.
pub(crate) struct Shared {
    pub(crate) state: ArcSwap<State>,
    pub(crate) common: Arc<Common>,
}

/// What acceptors have in common. They are part of the state, so they cannot hold what holds the state.
pub(crate) struct Common {
    /// The roots of the newest state, or of the one that is about to be published.
    pub(crate) trust: ArcSwapOption<Versioned<TrustSet>>,
    pub(crate) time: Arc<dyn TimeProvider>,
    pub(crate) sessions: Arc<SessionPool>,
}

impl Common {
    pub(crate) fn now(&self) -> Result<UnixTime, HandshakeError> {
        self.time
            .current_time()
            .ok_or_else(|| HandshakeError::Internal("the clock cannot be read".to_owned()))
    }

    /// Who `chain` belongs to by the newest roots, if those are others than of generation `known`: roots that change while
    /// a handshake is under way count, too.
    pub(crate) fn verify_if_changed(
        &self,
        known: u64,
        expect: &Expect,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<Peer>, PeerError> {
        match &*self.trust.load() {
            Some(current) if current.generation != known => {
                current.value.verify(expect, chain, now).map(Some)
            }
            _ => Ok(None),
        }
    }
}
