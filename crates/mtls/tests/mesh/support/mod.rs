//! A mesh in memory: authorities, a clock, a store, and far ends that may do anything.

mod far_end;
mod pki;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mtls::{
    Acceptor, CertStore, CertWatch, Leaf, LeafKey, SessionLimits, StoreOptions, TimeProvider, TrustBundle,
    TrustSet, Trusts, UnixTime,
};

pub(crate) use far_end::{BOTH, Client, Met, OnFirstRead, Server, exchange, meet, meet_as, meet_server};
pub(crate) use pki::{Ca, Issued, Spec, TD, id, leaf_uri, root_validity};

/// The moment at which tests begin: January 2027.
pub(crate) const T0: u64 = 1_800_000_000;
pub(crate) const HOUR: u64 = 3600;

pub(crate) fn at(second: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(second))
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn new(second: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(second)))
    }

    pub(crate) fn set(&self, second: u64) {
        self.0.store(second, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> UnixTime {
        at(self.0.load(Ordering::SeqCst))
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}

pub(crate) fn key(service: &str) -> LeafKey {
    LeafKey::new(mesh_id::ServiceName::parse(service).unwrap())
}

pub(crate) fn bundle(trust_domain: &str, roots: &[&Ca], now: UnixTime) -> TrustBundle {
    let trust_domain = mesh_id::TrustDomain::parse(trust_domain).unwrap();
    TrustBundle::build(trust_domain, roots.iter().map(|ca| ca.pem()), now).unwrap()
}

/// The gateway's side: a store with its clock.
pub(crate) struct Mesh {
    pub(crate) clock: Arc<Clock>,
    pub(crate) store: CertStore,
    pub(crate) watch: CertWatch,
}

impl Mesh {
    /// A mesh that trusts `roots`, with a leaf of `web` under the first of them.
    pub(crate) fn new(roots: &[&Ca]) -> Self {
        let mut mesh = Self::empty(T0);
        mesh.trust(roots);
        mesh.leaf("web", &roots.first().unwrap().leaf("web"));
        mesh
    }

    pub(crate) fn empty(second: u64) -> Self {
        Self::with_sessions(second, SessionLimits::default())
    }

    pub(crate) fn with_sessions(second: u64, sessions: SessionLimits) -> Self {
        let clock = Clock::new(second);
        let time: Arc<dyn TimeProvider> = Arc::clone(&clock) as Arc<dyn TimeProvider>;
        let (store, watch) = CertStore::new(StoreOptions { time, sessions });
        Self { clock, store, watch }
    }

    pub(crate) fn trust(&mut self, roots: &[&Ca]) {
        self.trust_set(TrustSet::new(bundle(TD, roots, self.clock.now())));
    }

    pub(crate) fn trust_set(&mut self, trust: TrustSet) {
        self.store.update(|edit| edit.set_trust(trust)).unwrap();
    }

    pub(crate) fn leaf(&mut self, service: &str, issued: &Issued) {
        self.leaf_trusting(service, issued, Trusts::OwnOnly);
    }

    pub(crate) fn leaf_trusting(&mut self, service: &str, issued: &Issued, trusts: Trusts) {
        let leaf = issued.load(&id(&issued.uri), self.clock.now());
        self.store.update(|edit| edit.set_leaf(key(service), leaf, trusts)).unwrap();
    }

    pub(crate) fn acceptor(&self) -> Acceptor {
        self.watch.acceptor(&key("web")).unwrap()
    }

    /// A client presents `identity` to `web`: who it is found to be, or the reason why it is refused.
    pub(crate) async fn verdict(&self, identity: &Issued) -> Result<String, String> {
        let client = Client::new(Some(identity));
        match meet(&self.acceptor(), &client).await.accepted {
            Ok(accepted) => Ok(accepted.peer.id().to_string()),
            Err(error) => Err(error.reason().to_owned()),
        }
    }
}

impl Issued {
    pub(crate) fn load(&self, expected: &mesh_id::SpiffeId, now: UnixTime) -> Leaf {
        Leaf::build(self.chain_pem.as_bytes(), self.key_pem.as_bytes(), expected, now).unwrap()
    }
}
