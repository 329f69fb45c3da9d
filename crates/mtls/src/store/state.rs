//! The state that is published: made once, never changed.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::time_provider::TimeProvider;

use crate::TlsParameters;
use crate::accept::Acceptor;
use crate::error::NotReady;
use crate::leaf::{Leaf, LeafKey};
use crate::sessions::SessionPool;
use crate::trust::{TrustSet, Trusts};

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

/// What writer, readers and everything made of the state have in common.
pub(crate) struct Shared {
    pub(crate) state: ArcSwap<State>,
    pub(crate) time: Arc<dyn TimeProvider>,
    pub(crate) sessions: Arc<SessionPool>,
}
