//! What the process holds of certificates, published as one state.
//!
//! There is one writer ([`CertStore`]) and any number of readers ([`CertWatch`]). A reader takes the state without a
//! lock; a writer builds the next one aside and swaps it in, so that each handshake sees one state, whole.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::Error;
use crate::accept::Acceptor;
use crate::error::NotReady;
use crate::leaf::{Leaf, LeafKey};
use crate::sessions::{SessionLimits, SessionPool};
use crate::trust::{TrustSet, Trusts};
use state::ready;

mod state;
mod watch;

pub(crate) use state::{Common, Service, Shared, State, Versioned};
pub use state::{Generations, MeshTls};
pub use watch::CertWatch;

/// How a store works.
#[derive(Clone)]
pub struct StoreOptions {
    /// The clock. Default: the system's.
    pub time: Arc<dyn TimeProvider>,
    /// Bounds of the sessions that clients may resume.
    pub sessions: SessionLimits,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { time: Arc::new(DefaultTimeProvider), sessions: SessionLimits::default() }
    }
}

/// The writer.
///
/// ```
/// use mtls::{CertStore, LeafKey, MeshTls, StoreOptions};
///
/// let (mut store, watch) = CertStore::new(StoreOptions::default());
/// let published = store.update(|edit| edit.set_mesh_tls(MeshTls::default()))?;
/// assert!(!published.changed);
/// let web = LeafKey::new(mesh_id::ServiceName::parse("web")?);
/// assert!(watch.acceptor(&web).is_err(), "there is neither a root nor a leaf");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CertStore {
    shared: Arc<Shared>,
    next: u64,
}

/// What a call of [`CertStore::update`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Number of the state that is now in use.
    pub generation: u64,
    /// Whether it is another than before.
    pub changed: bool,
    /// Services whose server configuration was built anew: their sessions cannot be resumed.
    pub rebuilt: Vec<LeafKey>,
    /// Every service that cannot accept now, and why.
    pub not_ready: BTreeMap<LeafKey, NotReady>,
}

/// A set of changes that become visible together.
pub struct Edit<'a> {
    state: State,
    next: &'a mut u64,
    changed: bool,
}

impl CertStore {
    /// An empty store, and its reader.
    #[must_use]
    pub fn new(options: StoreOptions) -> (Self, CertWatch) {
        let sessions = Arc::new(SessionPool::new(options.sessions, Arc::clone(&options.time)));
        let state = ArcSwap::from_pointee(State::default());
        let common = Common { trust: ArcSwapOption::empty(), time: options.time, sessions };
        let shared = Arc::new(Shared { state, common: Arc::new(common) });
        let watch = CertWatch { shared: Arc::clone(&shared) };
        (Self { shared, next: 1 }, watch)
    }

    /// Another reader.
    #[must_use]
    pub fn watch(&self) -> CertWatch {
        CertWatch { shared: Arc::clone(&self.shared) }
    }

    /// Makes changes and publishes them at once. What is equal to what is in use changes nothing, so that sessions
    /// live on. Services that nothing changed for keep their configuration and sessions; a change of roots or of the
    /// incoming parameters builds those of all services anew, which takes some microseconds for each.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] if rustls refuses a configuration; then nothing is published.
    pub fn update(&mut self, change: impl FnOnce(&mut Edit<'_>)) -> Result<Published, Error> {
        let old = self.shared.state.load_full();
        let copy = State {
            generation: old.generation,
            trust: old.trust.clone(),
            tls: old.tls.clone(),
            services: old.services.clone(),
        };
        let mut edit = Edit { state: copy, next: &mut self.next, changed: false };
        change(&mut edit);
        let Edit { state: mut new, changed, .. } = edit;
        let mut rebuilt = Vec::new();
        if changed {
            for (key, service) in &mut new.services {
                let before = old.services.get(key);
                if let Some(next) = rebuild(&self.shared.common, key, service, before, &new.trust, &new.tls)?
                {
                    *service = Arc::new(next);
                    rebuilt.push(LeafKey::clone(key));
                }
            }
            rebuilt.sort();
            new.generation += 1;
        }
        let not_ready = new
            .services
            .iter()
            .filter_map(|(key, service)| {
                Some((LeafKey::clone(key), service.acceptor.as_ref().err().copied()?))
            })
            .collect();
        let generation = new.generation;
        if changed {
            let live: HashSet<u64> =
                new.services.values().filter_map(|one| Some(one.acceptor.as_ref().ok()?.scope())).collect();
            // The roots first: who still holds an acceptor of the old state verifies with them, too.
            self.shared.common.trust.store(new.trust.clone().map(Arc::new));
            self.shared.state.store(Arc::new(new));
            self.shared.common.sessions.retain(&live);
        }
        Ok(Published { generation, changed, rebuilt, not_ready })
    }
}

/// The service with a new configuration, or `None` if the one it has is right.
fn rebuild(
    common: &Arc<Common>,
    key: &LeafKey,
    service: &Service,
    before: Option<&Arc<Service>>,
    trust: &Option<Versioned<TrustSet>>,
    tls: &Versioned<MeshTls>,
) -> Result<Option<Service>, Error> {
    let leaf = &service.leaf;
    let wanted = match trust {
        None => Err(NotReady::NoRoots),
        Some(trust) => ready(trust, leaf).map(|()| trust),
    };
    let same_service = before.is_some_and(|before| before.trusts == service.trusts);
    let acceptor = match (wanted, &service.acceptor) {
        (Err(why), Err(known)) if why == *known => return Ok(None),
        (Err(why), _) => Err(why),
        (Ok(trust), existing) => {
            let generations =
                Generations { leaf: leaf.generation, trust: trust.generation, parameters: tls.generation };
            if same_service && existing.as_ref().is_ok_and(|one| one.generations() == generations) {
                return Ok(None);
            }
            let sessions = common.sessions.scope();
            Ok(Acceptor::build(common, key, leaf, trust, tls, service.trusts, sessions)?)
        }
    };
    Ok(Some(Service { leaf: leaf.clone(), trusts: service.trusts, acceptor }))
}

impl Edit<'_> {
    /// Sets the roots. Sessions of other roots cannot be resumed from now on.
    pub fn set_trust(&mut self, trust: TrustSet) {
        if self.state.trust.as_ref().is_none_or(|old| old.value.fingerprint() != trust.fingerprint()) {
            self.state.trust = Some(Versioned { value: Arc::new(trust), generation: *self.next });
            self.step();
        }
    }

    /// Sets the leaf of a service, and whose certificates it accepts.
    pub fn set_leaf(&mut self, key: LeafKey, leaf: Leaf, trusts: Trusts) {
        let old = self.state.services.get(&key);
        let same_leaf = old.is_some_and(|old| old.leaf.value.fingerprint() == leaf.fingerprint());
        if same_leaf && old.is_some_and(|old| old.trusts == trusts) {
            return;
        }
        let leaf = match old {
            Some(old) if same_leaf => old.leaf.clone(),
            _ => Versioned { value: Arc::new(leaf), generation: *self.next },
        };
        let acceptor = Err(NotReady::NoRoots);
        self.state.services.insert(Arc::new(key), Arc::new(Service { leaf, trusts, acceptor }));
        self.step();
    }

    /// Forgets a service. Connections that it has go on.
    pub fn remove_leaf(&mut self, key: &LeafKey) {
        self.changed |= self.state.services.remove(key).is_some();
    }

    /// Sets the TLS parameters of the mesh.
    pub fn set_mesh_tls(&mut self, tls: MeshTls) {
        if *self.state.tls.value != tls {
            self.state.tls = Versioned { value: Arc::new(tls), generation: *self.next };
            self.step();
        }
    }

    fn step(&mut self) {
        *self.next += 1;
        self.changed = true;
    }
}

impl fmt::Debug for CertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStore").field("generation", &self.watch().generation()).finish_non_exhaustive()
    }
}
