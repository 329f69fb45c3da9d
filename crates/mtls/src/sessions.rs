//! Sessions that clients may resume: one pool for the process, one scope for each state of a service.
//!
//! A scope belongs to one service, one leaf, one set of roots and one choice of parameters. When any of these changes
//! there is a new scope, and what is in the old one cannot be reached any more. So a session never outlives the trust
//! that it began under.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::StoresServerSessions;
use rustls::time_provider::TimeProvider;

#[cfg(test)]
mod tests;

/// Locks are held for some hundred nanoseconds; a few of them are enough for every core.
const SHARDS: usize = 8;
/// What a session costs besides its own bytes, about: two map entries and a key.
const OVERHEAD: usize = 160;
/// A longer session holds a chain that is no honest one.
const MAX_SESSION_BYTES: usize = 16 * 1024;

/// How many sessions are kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Memory of all sessions together, in bytes; the oldest go first. Default 16 MiB, which is about 14,000.
    pub total_bytes: usize,
    /// Of these, what one service may take. Default 4 MiB.
    pub service_bytes: usize,
    /// How long a session may be resumed. Default and maximum one hour.
    pub lifetime: Duration,
}

impl SessionLimits {
    /// Longest time for which a session may be resumed.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(3600);
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { total_bytes: 16 << 20, service_bytes: 4 << 20, lifetime: Self::MAX_LIFETIME }
    }
}

/// All sessions of the process.
pub(crate) struct SessionPool {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    limits: SessionLimits,
    time: Arc<dyn TimeProvider>,
    scopes: AtomicU64,
}

type Key = (u64, Box<[u8]>);

#[derive(Default)]
struct Shard {
    sessions: HashMap<Key, Session>,
    /// From the oldest on. May name what is gone already; the number tells apart what was stored again.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    bytes_of: HashMap<u64, usize>,
    stored: u64,
}

struct Session {
    value: Vec<u8>,
    /// Second from which on it may not be resumed.
    ends: u64,
    number: u64,
}

impl SessionPool {
    pub(crate) fn new(limits: SessionLimits, time: Arc<dyn TimeProvider>) -> Self {
        let lifetime = limits.lifetime.min(SessionLimits::MAX_LIFETIME);
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            limits: SessionLimits { lifetime, ..limits },
            time,
            scopes: AtomicU64::new(0),
        }
    }

    /// A new, empty scope.
    pub(crate) fn scope(self: &Arc<Self>) -> Arc<SessionScope> {
        Arc::new(SessionScope { pool: Arc::clone(self), number: self.scopes.fetch_add(1, Ordering::Relaxed) })
    }

    /// Frees the memory of every scope that is not among `live`. What is freed could not be reached before either.
    pub(crate) fn retain(&self, live: &HashSet<u64>) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.order.retain(|((scope, _), _)| live.contains(scope));
            shard.sessions.retain(|(scope, _), _| live.contains(scope));
            shard.bytes_of.retain(|scope, _| live.contains(scope));
            shard.bytes = shard.bytes_of.values().sum();
        }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        // `SHARDS` is not zero, so there always is one.
        let index = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        let [first, ..] = &self.shards;
        lock(self.shards.get(index).unwrap_or(first))
    }

    fn now(&self) -> Option<u64> {
        self.time.current_time().map(|now| now.as_secs())
    }
}

/// Nothing panics while a shard is locked; and a half-stored session is no danger, it is resumed or not found.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn remove(&mut self, key: &Key) -> Option<Session> {
        let session = self.sessions.remove(key)?;
        let cost = cost(&session.value);
        self.bytes -= cost;
        if let Entry::Occupied(mut of) = self.bytes_of.entry(key.0) {
            *of.get_mut() -= cost;
            if *of.get() == 0 {
                of.remove();
            }
        }
        Some(session)
    }

    /// Removes the oldest session, of `scope` or of all. `false` when there is none.
    fn evict(&mut self, scope: Option<u64>) -> bool {
        while let Some(at) = self.order.iter().position(|((of, _), _)| scope.is_none_or(|scope| *of == scope))
        {
            let Some((key, number)) = self.order.remove(at) else { return false };
            if self.sessions.get(&key).is_some_and(|session| session.number == number) {
                self.remove(&key);
                return true;
            }
        }
        false
    }

    fn drop_ended(&mut self, now: u64) {
        while let Some((key, number)) = self.order.front() {
            match self.sessions.get(key) {
                Some(session) if session.number == *number && session.ends > now => return,
                Some(session) if session.number == *number => {
                    let key = key.clone();
                    self.remove(&key);
                }
                _ => {}
            }
            self.order.pop_front();
        }
    }

    fn insert(&mut self, key: Key, value: Vec<u8>, ends: u64) {
        self.remove(&key);
        self.stored += 1;
        let number = self.stored;
        self.bytes += cost(&value);
        *self.bytes_of.entry(key.0).or_default() += cost(&value);
        self.order.push_back((key.clone(), number));
        self.sessions.insert(key, Session { value, ends, number });
        if self.order.len() > 2 * self.sessions.len() + 64 {
            // Resumed sessions leave their place in the order behind.
            let sessions = &self.sessions;
            let lives = |key: &Key, number: u64| sessions.get(key).is_some_and(|one| one.number == number);
            self.order.retain(|(key, number)| lives(key, *number));
        }
    }
}

fn cost(value: &[u8]) -> usize {
    value.len() + OVERHEAD
}

/// The sessions of one state of one service.
pub(crate) struct SessionScope {
    pool: Arc<SessionPool>,
    number: u64,
}

impl SessionScope {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Debug for SessionScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionScope").field(&self.number).finish()
    }
}

impl StoresServerSessions for SessionScope {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let limits = &self.pool.limits;
        let Some(now) = self.pool.now() else { return false };
        let (total, own) = (limits.total_bytes / SHARDS, limits.service_bytes / SHARDS);
        let cost = cost(&value);
        if value.len() > MAX_SESSION_BYTES || cost > total.min(own) || limits.lifetime.is_zero() {
            return false;
        }
        let key = (self.number, key.into_boxed_slice());
        let mut shard = self.pool.shard(&key);
        shard.drop_ended(now);
        while shard.bytes_of.get(&self.number).is_some_and(|used| used + cost > own) {
            if !shard.evict(Some(self.number)) {
                return false;
            }
        }
        while shard.bytes + cost > total {
            if !shard.evict(None) {
                return false;
            }
        }
        shard.insert(key, value, now.saturating_add(limits.lifetime.as_secs()));
        true
    }

    /// For TLS 1.2, which may resume a session more than once.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let now = self.pool.now()?;
        let key = (self.number, key.into());
        let shard = self.pool.shard(&key);
        shard.sessions.get(&key).filter(|session| now < session.ends).map(|session| session.value.clone())
    }

    /// For TLS 1.3, where a ticket works once.
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let now = self.pool.now()?;
        let key = (self.number, key.into());
        let mut shard = self.pool.shard(&key);
        shard.remove(&key).filter(|session| now < session.ends).map(|session| session.value)
    }

    fn can_cache(&self) -> bool {
        !self.pool.limits.lifetime.is_zero()
    }
}
