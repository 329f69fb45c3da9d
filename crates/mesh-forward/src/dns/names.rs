//! The names in use: who needs them, and which task keeps each fresh.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::refresh::{Shared, keep_fresh};
use super::{Lookup, NameError, NameState, NameWatch, NamesConfig, NamesCounters, SystemLookup};

/// The longest name in text form: 253 characters and the dot of the root.
const MAX_NAME: usize = 254;

/// Keeps the addresses of host names fresh, for as long as somebody watches them.
///
/// Each name has a task, which ends when the last watch of the name is dropped, and in any case when
/// `Names` is.
///
/// ```no_run
/// # async fn example() {
/// use mesh_forward::dns::{Names, NamesConfig};
///
/// let names = Names::new(NamesConfig::default());
/// let mut gateway = names.watch("gw.ams2.example.net");
/// gateway.settled().await;
/// loop {
///     println!("{:?}, {:?} old", gateway.current(), gateway.state().age());
///     gateway.changed().await;
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Names {
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Names {
    /// Resolves by the system's configuration. The lookups run on the tokio runtime (with time and
    /// I/O) on which this is called; [`watch`](Self::watch) may be called from anywhere.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(config: NamesConfig) -> Self {
        Self::with_lookup(config, Arc::new(SystemLookup::new()))
    }

    /// Resolves by `lookup`; otherwise as [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn with_lookup(config: NamesConfig, lookup: Arc<dyn Lookup>) -> Self {
        let shared = Arc::new(Shared::new(config, lookup));
        let registry = Registry { counters: Arc::clone(&shared.counters), names: Mutex::default() };
        Self { registry: Arc::new(registry), shared, runtime: Handle::current() }
    }

    /// Declares a need for `host`; keep what is returned for as long as the need lasts.
    ///
    /// An IP address (an IPv6 one with or without brackets) is its own answer. A host that is no name,
    /// or one too many, gets a watch that says so and has no addresses.
    #[must_use]
    pub fn watch(&self, host: &str) -> NameWatch {
        let host: Arc<str> = host.to_ascii_lowercase().into();
        if let Some(address) = literal(&host) {
            return NameWatch::fixed(host, NameState::literal(address));
        }
        if host.is_empty() || host.len() > MAX_NAME {
            let error = NameError::Invalid(Arc::clone(&host));
            return NameWatch::fixed(host, NameState::hopeless(error));
        }
        let mut names = self.registry.lock();
        if let Some(entry) = names.get_mut(&host) {
            entry.watches += 1;
            return NameWatch::registered(host, entry.receiver.clone(), Arc::downgrade(&self.registry));
        }
        let limit = self.shared.config.max_names;
        if names.len() >= limit {
            drop(names);
            self.shared.counters.refused.fetch_add(1, Relaxed);
            tracing::warn!(%host, limit, "name refused: too many names are in use");
            return NameWatch::fixed(host, NameState::hopeless(NameError::TooManyNames { limit }));
        }
        let (sender, receiver) = watch::channel(NameState::default());
        let task = self.runtime.spawn(keep_fresh(Arc::clone(&host), sender, Arc::clone(&self.shared)));
        let entry = Entry { watches: 1, receiver: receiver.clone(), task: task.abort_handle() };
        names.insert(Arc::clone(&host), entry);
        self.shared.counters.names.store(names.len() as u64, Relaxed);
        NameWatch::registered(host, receiver, Arc::downgrade(&self.registry))
    }

    /// Every name in use with its state, sorted: for an admin page.
    #[must_use]
    pub fn states(&self) -> Vec<(Arc<str>, NameState)> {
        let names = self.registry.lock();
        let mut states: Vec<_> =
            names.iter().map(|(host, entry)| (Arc::clone(host), entry.receiver.borrow().clone())).collect();
        drop(names);
        states.sort_by(|a, b| a.0.cmp(&b.0));
        states
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<NamesCounters> {
        &self.shared.counters
    }
}

/// The names in use. Watches hold it weakly: it ends with [`Names`], and its entries with it.
#[derive(Debug)]
pub(super) struct Registry {
    counters: Arc<NamesCounters>,
    names: Mutex<HashMap<Arc<str>, Entry>>,
}

#[derive(Debug)]
struct Entry {
    watches: usize,
    receiver: watch::Receiver<NameState>,
    task: AbortHandle,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch of `host` is gone; with the last one the name is.
    pub(super) fn release(&self, host: &str) {
        let mut names = self.lock();
        if let Some(entry) = names.get_mut(host) {
            entry.watches -= 1;
            if entry.watches == 0 {
                names.remove(host);
                self.counters.names.store(names.len() as u64, Relaxed);
            }
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}
