//! The reader.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustls_pki_types::UnixTime;

use super::state::Shared;
use crate::Error;
use crate::accept::Acceptor;
use crate::connect::{ConnectTarget, Connector};
use crate::error::NotReady;
use crate::leaf::{Leaf, LeafKey};
use crate::trust::TrustSet;

/// A reader. Cloning it and reading from it are cheap.
#[derive(Clone)]
pub struct CertWatch {
    pub(super) shared: Arc<Shared>,
}

impl CertWatch {
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Number of the state in use; another one means that something was published.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.state.load().generation
    }

    /// What accepts connections for a service, as it is now. Take a new one for each connection.
    ///
    /// # Errors
    ///
    /// What the service lacks. Answer such a connection like an unknown name.
    pub fn acceptor(&self, key: &LeafKey) -> Result<Acceptor, NotReady> {
        let state = self.shared.state.load();
        match state.services.get(key) {
            Some(service) => service.acceptor.clone(),
            None if state.trust.is_none() => Err(NotReady::NoRoots),
            None => Err(NotReady::NoLeaf),
        }
    }

    /// What connects to a target with the identity `key`. Make one when a route is compiled and keep it: it follows
    /// every change of leaf, roots and parameters, and its sessions are its own.
    ///
    /// # Errors
    ///
    /// [`Error::NothingExpected`] without an expected identity, [`Error::ServerName`] for a name that TLS cannot ask for.
    /// That there is no leaf or root yet is told when connecting.
    pub fn connector(&self, key: LeafKey, target: ConnectTarget) -> Result<Connector, Error> {
        Connector::new(Arc::clone(&self.shared), key, target)
    }

    /// The leaf of a service.
    #[must_use]
    pub fn leaf(&self, key: &LeafKey) -> Option<Arc<Leaf>> {
        self.shared.state.load().services.get(key).map(|service| Arc::clone(&service.leaf.value))
    }

    /// Every leaf, in order: for pages and alarms.
    #[must_use]
    pub fn leaves(&self) -> BTreeMap<LeafKey, Arc<Leaf>> {
        let state = self.shared.state.load();
        state
            .services
            .iter()
            .map(|(key, service)| (LeafKey::clone(key), Arc::clone(&service.leaf.value)))
            .collect()
    }

    /// The roots.
    #[must_use]
    pub fn trust(&self) -> Option<Arc<TrustSet>> {
        self.shared.state.load().trust.as_ref().map(|trust| Arc::clone(&trust.value))
    }

    /// The time by the clock that the store was given.
    #[must_use]
    pub fn now(&self) -> Option<UnixTime> {
        self.shared.common.time.current_time()
    }
}

impl fmt::Debug for CertWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertWatch").field("generation", &self.generation()).finish_non_exhaustive()
    }
}
