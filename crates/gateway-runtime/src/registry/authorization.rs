//! By whose word a connection is open: kept with its registration, so that it can be judged again
//! when the rules change.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{ConnEntry, Registry};
use crate::reason::Reason;
use crate::record::Verdict;

/// What was decided about the client of a connection.
#[derive(Clone)]
pub struct Authorization {
    /// Who it is, by its verified certificate.
    pub source: Arc<str>,
    /// What was decided.
    pub verdict: Verdict,
    /// What decided, in words.
    pub intention: Arc<str>,
    /// Whatever is needed to judge it again, such as the permit.
    pub proof: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, verdict, intention, proof: _ } = self;
        f.debug_struct("Authorization")
            .field("source", source)
            .field("verdict", verdict)
            .field("intention", intention)
            .finish_non_exhaustive()
    }
}

/// What becomes of an open connection.
#[derive(Debug)]
pub enum Judgement {
    /// Nothing has changed for it.
    Keep,
    /// It stays, by another word.
    Change(Authorization),
    /// It is cut now; the record names this authorization.
    Cut(Reason, Authorization),
    /// It stays for so long at most, counted from the first time that this is said; then it is cut for
    /// this reason, by the next [`Registry::sweep`].
    Expire(Duration, Reason),
}

/// What [`Registry::reauthorize`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reauthorized {
    /// Connections that stay by another word.
    pub changed: usize,
    /// Connections that were cut.
    pub cut: usize,
    /// Connections that have begun to expire.
    pub expiring: usize,
}

/// The authorization of one connection.
pub(super) struct Authorized {
    current: Mutex<Arc<Authorization>>,
    /// 0, or the microseconds of the registry's clock from which on it is cut.
    expires_us: AtomicU64,
    /// Why, once it expires: the position of the reason in `Reason::ALL`.
    expires_for: AtomicU64,
}

impl Authorized {
    pub(super) fn new(authorization: Authorization) -> Self {
        Self {
            current: Mutex::new(Arc::new(authorization)),
            expires_us: AtomicU64::new(0),
            expires_for: AtomicU64::new(0),
        }
    }

    pub(super) fn current(&self) -> Arc<Authorization> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, authorization: Authorization) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(authorization);
    }

    /// The reason, once its time has passed.
    pub(super) fn expired(&self, now_us: u64) -> Option<Reason> {
        let at = self.expires_us.load(Ordering::Acquire);
        if at == 0 || now_us < at {
            return None;
        }
        let index = usize::try_from(self.expires_for.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        Reason::ALL.get(index).copied()
    }

    /// Begins to expire; `false` if it did already.
    fn expire(&self, at_us: u64, reason: Reason) -> bool {
        self.expires_for.store(reason.index() as u64, Ordering::Relaxed);
        self.expires_us.compare_exchange(0, at_us.max(1), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn stay(&self) {
        self.expires_us.store(0, Ordering::Release);
    }
}

impl Registry {
    /// Has every connection with an [`Authorization`] judged again, and does what is said. Call it after
    /// the new rules were published.
    ///
    /// No connection slips through: one that gets its authorization later than this call looks at it
    /// must compare what it was judged by with what is published, after
    /// [`ConnGuard::authorize`](super::ConnGuard::authorize) has returned.
    pub fn reauthorize(&self, mut judge: impl FnMut(&Authorization) -> Judgement) -> Reauthorized {
        let mut done = Reauthorized::default();
        for shard in &self.shards {
            // Judged outside the lock: workers register and leave meanwhile.
            let entries: Vec<Arc<ConnEntry>> = {
                let entries = shard.lock();
                let judged = |(_, entry): &(usize, &Arc<ConnEntry>)| entry.authorized.get().is_some();
                entries.iter().filter(judged).map(|(_, entry)| Arc::clone(entry)).collect()
            };
            let now = self.shared.now_us();
            for entry in &entries {
                let Some(authorized) = entry.authorized.get() else { continue };
                match judge(&authorized.current()) {
                    Judgement::Keep => authorized.stay(),
                    Judgement::Change(authorization) => {
                        authorized.stay();
                        authorized.set(authorization);
                        done.changed += 1;
                    }
                    Judgement::Cut(reason, authorization) => {
                        authorized.set(authorization);
                        done.cut += usize::from(entry.cut(reason));
                    }
                    Judgement::Expire(after, reason) => {
                        let after = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
                        let begins = authorized.expire(now.saturating_add(after), reason);
                        done.expiring += usize::from(begins);
                    }
                }
            }
        }
        done
    }
}
