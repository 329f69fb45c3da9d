//! From a snapshot to the certificates that connections are accepted with.

use std::collections::HashSet;
use std::sync::Arc;

use gateway_state::terminating::{LeafState, TerminatingSnapshot};
use mtls::{CertStore, CertWatch, LeafKey, MeshTls, TrustBundle, TrustSet, Trusts};

/// The writer of the certificates, and what it has put in place.
#[derive(Debug)]
pub(super) struct Installed {
    store: CertStore,
    roots: Option<Arc<TrustBundle>>,
    tls: Option<Arc<MeshTls>>,
    leaves: HashSet<LeafKey>,
}

impl Installed {
    pub(super) fn new(store: CertStore) -> Self {
        Self { store, roots: None, tls: None, leaves: HashSet::new() }
    }

    /// Puts what a snapshot has in place, all of it at once. Everything in it was verified; a connection
    /// that is open keeps what it was accepted with.
    pub(super) fn follow(&mut self, snapshot: &TerminatingSnapshot) {
        let ready: HashSet<LeafKey> = snapshot
            .services
            .iter()
            .filter(|service| matches!(service.leaf, LeafState::Ready(_)))
            .map(|service| service.leaf_key.clone())
            .collect();
        let new_roots = snapshot
            .roots
            .as_ref()
            .filter(|roots| self.roots.as_ref().is_none_or(|installed| !Arc::ptr_eq(installed, roots)));
        let new_tls = self.tls.as_ref().is_none_or(|installed| !Arc::ptr_eq(installed, &snapshot.tls));
        let gone: Vec<_> = self.leaves.difference(&ready).cloned().collect();
        let done = self.store.update(|edit| {
            if let Some(roots) = new_roots {
                edit.set_trust(TrustSet::new((**roots).clone()));
            }
            if new_tls {
                edit.set_mesh_tls((*snapshot.tls).clone());
            }
            gone.iter().for_each(|key| edit.remove_leaf(key));
            for service in &*snapshot.services {
                if let LeafState::Ready(leaf) = &service.leaf {
                    edit.set_leaf(service.leaf_key.clone(), (**leaf).clone(), Trusts::OwnOnly);
                }
            }
        });
        match done {
            Ok(published) => {
                self.roots = snapshot.roots.clone().or_else(|| self.roots.take());
                self.tls = Some(Arc::clone(&snapshot.tls));
                self.leaves = ready;
                if !published.rebuilt.is_empty() {
                    let services = published.rebuilt.len();
                    tracing::info!(services, "certificates or roots are new; open connections stay");
                }
            }
            // Nothing was published: what was in use before stays in use.
            Err(error) => tracing::error!(%error, "the new certificates are not used"),
        }
    }
}

/// Seconds until each leaf ends, by service.
pub(super) fn expiries(certificates: &CertWatch) -> Vec<(String, i64)> {
    let now = certificates.now().map_or(0, |now| now.as_secs());
    let seconds = |secs: u64| i64::try_from(secs).unwrap_or(i64::MAX);
    let leaves = certificates.leaves();
    let of = |leaf: &mtls::Leaf| seconds(leaf.validity().not_after.as_secs()) - seconds(now);
    leaves.iter().map(|(key, leaf)| (key.to_string(), of(leaf))).collect()
}
