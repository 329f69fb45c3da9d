//! Every connection of the process: registered before anything is decided about it, counted while
//! it is open, cut when it must go, recorded when it ends.
//!
//! A connection registers in the shard of its worker, so the lock is never contended on the way of
//! traffic. It carries no timer: idle and age limits are kept by a sweep of the control thread that
//! compares byte counts, and a cut wakes the connection's own task.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant, SystemTime};

use futures_util::task::AtomicWaker;
use slab::Slab;

use crate::metrics::ServiceMetrics;
use crate::reason::Reason;
use crate::record::ConnRecord;
use authorization::Authorized;

mod authorization;

pub use authorization::{Authorization, Judgement, Reauthorized};

/// Receives the record of each connection that ends.
pub trait RecordSink: Send + Sync + 'static {
    /// A connection has ended; `service` is absent when its name led to none. Called once per
    /// connection, on its worker; it must not block.
    fn finished(&self, record: &ConnRecord<'_>, service: Option<&ServiceMetrics>);
}

/// All open connections.
pub struct Registry {
    shards: Vec<Arc<Shard>>,
    shared: Arc<Shared>,
}

struct Shared {
    open: AtomicUsize,
    next: AtomicU64,
    /// `opened` and `idle_since` of the entries are microseconds since then.
    epoch: Instant,
    epoch_wall: SystemTime,
    sink: Box<dyn RecordSink>,
}

struct Shard {
    entries: Mutex<Slab<Arc<ConnEntry>>>,
    shared: Arc<Shared>,
}

/// What is known of one open connection.
pub struct ConnEntry {
    id: u64,
    listener: Arc<str>,
    peer: SocketAddr,
    opened_us: u64,
    up: AtomicU64,
    down: AtomicU64,
    spliced: AtomicBool,
    /// 0, or one more than the position of the reason in `Reason::ALL`.
    cut: AtomicU8,
    waker: AtomicWaker,
    swept_bytes: AtomicU64,
    idle_since_us: AtomicU64,
    route: OnceLock<ConnRoute>,
    /// Only where clients are judged.
    authorized: OnceLock<Box<Authorized>>,
}

/// Where a connection goes, once that is decided.
#[derive(Clone, Debug)]
pub struct ConnRoute {
    /// The name that decided, as the route table has it, or as the client sent it.
    pub sni: Arc<str>,
    /// First ALPN name of the client, cut to 64 bytes.
    pub alpn: Option<Box<str>>,
    /// Figures of the service.
    pub service: Arc<ServiceMetrics>,
    /// The kind of rule that matched.
    pub rule: &'static str,
    /// The endpoint that was dialled.
    pub endpoint: SocketAddr,
    /// Endpoints tried, this one included.
    pub attempts: u8,
    /// From the decision to the connection.
    pub connect: Duration,
}

/// What is known of a connection that ends before it has a route.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusal<'a> {
    /// The name that the client asked for.
    pub sni: Option<&'a str>,
    /// First ALPN name of the client.
    pub alpn: Option<&'a str>,
    /// Figures of the service, if the name has one.
    pub service: Option<&'a ServiceMetrics>,
    /// The kind of rule that matched.
    pub rule: Option<&'a str>,
    /// What was decided about the client; what the registration was authorized with comes first.
    pub authorization: Option<&'a Authorization>,
    /// The endpoint that was tried last.
    pub endpoint: Option<SocketAddr>,
    /// Endpoints tried.
    pub attempts: u8,
    /// Anything that helps to find the cause.
    pub detail: Option<&'a str>,
}

/// A registered connection; its owner ends it with [`finish`](Self::finish) or
/// [`refuse`](Self::refuse). Dropped without either it is recorded as [`Reason::Internal`].
pub struct ConnGuard {
    entry: Arc<ConnEntry>,
    shard: Arc<Shard>,
    key: usize,
    finished: bool,
}

/// A row of `/connections`.
#[derive(Clone, Debug)]
pub struct ConnView {
    /// Unique in this process.
    pub id: u64,
    /// Name of the listener.
    pub listener: Arc<str>,
    /// The client's address.
    pub peer: SocketAddr,
    /// Since it was accepted.
    pub age: Duration,
    /// Bytes from the client to the upstream.
    pub bytes_up: u64,
    /// Bytes from the upstream to the client.
    pub bytes_down: u64,
    /// Whether it has become bulk.
    pub spliced: bool,
    /// Absent while the hello is read or an endpoint is dialled.
    pub route: Option<ConnRoute>,
    /// Absent where clients are not judged, and until they are.
    pub authorization: Option<Arc<Authorization>>,
}

/// Limits that a sweep enforces; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepLimits {
    /// Time without a byte in either direction.
    pub idle: Duration,
    /// Time since the connection was accepted.
    pub age: Duration,
}

impl Registry {
    /// A registry for so many workers.
    #[must_use]
    pub fn new(workers: usize, sink: Box<dyn RecordSink>) -> Self {
        let shared = Arc::new(Shared {
            open: AtomicUsize::new(0),
            next: AtomicU64::new(1),
            epoch: Instant::now(),
            epoch_wall: SystemTime::now(),
            sink,
        });
        let shard = || Arc::new(Shard { entries: Mutex::default(), shared: Arc::clone(&shared) });
        Self { shards: (0..workers.max(1)).map(|_| shard()).collect(), shared }
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Registers a connection with the shard of `worker`.
    #[must_use]
    pub fn register(&self, worker: usize, listener: &Arc<str>, peer: SocketAddr) -> Option<ConnGuard> {
        let shard = self.shards.get(worker.checked_rem(self.shards.len())?)?;
        let now = self.shared.now_us();
        let entry = Arc::new(ConnEntry {
            id: self.shared.next.fetch_add(1, Ordering::Relaxed),
            listener: Arc::clone(listener),
            peer,
            opened_us: now,
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            spliced: AtomicBool::new(false),
            cut: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            swept_bytes: AtomicU64::new(0),
            idle_since_us: AtomicU64::new(now),
            route: OnceLock::new(),
            authorized: OnceLock::new(),
        });
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        let key = shard.lock().insert(Arc::clone(&entry));
        Some(ConnGuard { entry, shard: Arc::clone(shard), key, finished: false })
    }

    /// Cuts what has been idle or open for too long, or has expired. Call it a few times per limit.
    ///
    /// Returns how many connections were cut.
    pub fn sweep(&self, limits: SweepLimits) -> usize {
        let now = self.shared.now_us();
        let over = |since: u64, limit: Duration| {
            !limit.is_zero() && u128::from(now.saturating_sub(since)) >= limit.as_micros()
        };
        self.cut_where(|entry| {
            let bytes = entry.up.load(Ordering::Relaxed).wrapping_add(entry.down.load(Ordering::Relaxed));
            if entry.swept_bytes.swap(bytes, Ordering::Relaxed) != bytes {
                entry.idle_since_us.store(now, Ordering::Relaxed);
            }
            if let Some(reason) = entry.authorized.get().and_then(|authorized| authorized.expired(now)) {
                Some(reason)
            } else if over(entry.opened_us, limits.age) {
                Some(Reason::MaxAge)
            // Before there is a route, the deadlines of the hello and of the dial apply.
            } else if entry.route.get().is_some()
                && over(entry.idle_since_us.load(Ordering::Relaxed), limits.idle)
            {
                Some(Reason::IdleLimit)
            } else {
                None
            }
        })
    }

    /// Cuts every connection. Returns how many.
    pub fn cut_all(&self, reason: Reason) -> usize {
        self.cut_where(|_| Some(reason))
    }

    /// The connections that are open now, at most `most` of them, oldest of each worker first.
    #[must_use]
    pub fn view(&self, most: usize) -> Vec<ConnView> {
        let now = self.shared.now_us();
        let mut rows = Vec::new();
        for shard in &self.shards {
            let left = most.saturating_sub(rows.len());
            let entries = shard.lock();
            rows.extend(entries.iter().take(left).map(|(_, entry)| entry.view(now)));
        }
        rows
    }

    fn cut_where(&self, mut judge: impl FnMut(&ConnEntry) -> Option<Reason>) -> usize {
        let mut cut = Vec::new();
        for shard in &self.shards {
            for (_, entry) in shard.lock().iter() {
                if let Some(reason) = judge(entry) {
                    cut.push((Arc::clone(entry), reason));
                }
            }
        }
        // Outside the lock: a woken task ends itself, and takes the lock to leave.
        cut.iter().filter(|(entry, reason)| entry.cut(*reason)).count()
    }
}

impl Shared {
    fn now_us(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Slab<Arc<ConnEntry>>> {
        // Insertion and removal cannot leave a slab half-changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnEntry {
    /// So many bytes went from the client to the upstream.
    pub fn count_up(&self, bytes: u64) {
        self.up.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes went from the upstream to the client.
    pub fn count_down(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The connection has become bulk.
    pub fn mark_spliced(&self) {
        self.spliced.store(true, Ordering::Relaxed);
    }

    /// Why the connection has been cut, if it has.
    #[must_use]
    pub fn cut_reason(&self) -> Option<Reason> {
        let index = usize::from(self.cut.load(Ordering::Acquire)).checked_sub(1)?;
        Reason::ALL.get(index).copied()
    }

    /// Whether the connection has been cut; if not, the task of `cx` is woken when it is.
    pub fn poll_cut(&self, cx: &Context<'_>) -> bool {
        if self.cut.load(Ordering::Acquire) != 0 {
            return true;
        }
        self.waker.register(cx.waker());
        self.cut.load(Ordering::Acquire) != 0
    }

    /// The first reason stays.
    fn cut(&self, reason: Reason) -> bool {
        let index = Reason::ALL.iter().position(|r| *r == reason).and_then(|at| u8::try_from(at + 1).ok());
        let won = self.cut.compare_exchange(0, index.unwrap_or(u8::MAX), Ordering::AcqRel, Ordering::Acquire);
        self.waker.wake();
        won.is_ok()
    }

    fn view(&self, now: u64) -> ConnView {
        ConnView {
            id: self.id,
            listener: Arc::clone(&self.listener),
            peer: self.peer,
            age: Duration::from_micros(now.saturating_sub(self.opened_us)),
            bytes_up: self.up.load(Ordering::Relaxed),
            bytes_down: self.down.load(Ordering::Relaxed),
            spliced: self.spliced.load(Ordering::Relaxed),
            route: self.route.get().cloned(),
            authorization: self.authorization(),
        }
    }

    /// By whose word it is open, where clients are judged.
    #[must_use]
    pub fn authorization(&self) -> Option<Arc<Authorization>> {
        self.authorized.get().map(|authorized| authorized.current())
    }
}

impl ConnGuard {
    /// What is known of the connection.
    #[must_use]
    pub fn entry(&self) -> &ConnEntry {
        &self.entry
    }

    /// Notes where the connection goes, once.
    pub fn set_route(&self, route: ConnRoute) {
        route.service.opened();
        if self.entry.route.set(route).is_err() {
            tracing::error!(id = self.entry.id, "a connection was routed twice");
        }
        self.entry.idle_since_us.store(self.shard.shared.now_us(), Ordering::Relaxed);
    }

    /// Notes by whose word the connection is open, before it is connected anywhere.
    ///
    /// When it returns, every [`Registry::reauthorize`] that has not yet begun will see it, and what was
    /// published before one that has not seen it can be read: compare, and judge again.
    pub fn authorize(&self, authorization: Authorization) {
        match self.entry.authorized.get() {
            Some(authorized) => authorized.set(authorization),
            None => {
                // Who judges again takes the same lock, so one of the two comes first for sure.
                let _order = self.shard.lock();
                drop(self.entry.authorized.set(Box::new(Authorized::new(authorization))));
            }
        }
    }

    /// Ends a connection that has a route. What comes after the first call is ignored.
    pub fn finish(&mut self, reason: Reason) {
        self.finish_with(reason, None);
    }

    /// The same with what the reason's word cannot say.
    pub fn finish_with(&mut self, reason: Reason, detail: Option<&str>) {
        if !self.finished {
            self.end(reason, Refusal { detail, ..Refusal::default() });
        }
    }

    /// Ends a connection that never got as far as a route.
    pub fn refuse(mut self, reason: Reason, refusal: Refusal<'_>) {
        self.end(reason, refusal);
    }

    fn end(&mut self, reason: Reason, refusal: Refusal<'_>) {
        self.finished = true;
        self.shard.lock().try_remove(self.key);
        let shared = &self.shard.shared;
        shared.open.fetch_sub(1, Ordering::Relaxed);
        let entry = &self.entry;
        let route = entry.route.get();
        let authorization = entry.authorization();
        // A refusal is later than what it was authorized with: the rules may have changed in between.
        let authorization = refusal.authorization.or(authorization.as_deref());
        let duration = Duration::from_micros(shared.now_us().saturating_sub(entry.opened_us));
        let record = ConnRecord {
            id: entry.id,
            listener: &entry.listener,
            peer: entry.peer,
            sni: route.map_or(refusal.sni, |route| Some(&route.sni)),
            alpn: route.map_or(refusal.alpn, |route| route.alpn.as_deref()),
            service: route.map_or(refusal.service, |route| Some(&route.service)).map(ServiceMetrics::name),
            rule: route.map_or(refusal.rule, |route| Some(route.rule)),
            source: authorization.map(|it| &*it.source),
            verdict: authorization.map(|it| it.verdict),
            intention: authorization.map(|it| &*it.intention),
            endpoint: route.map_or(refusal.endpoint, |route| Some(route.endpoint)),
            attempts: route.map_or(refusal.attempts, |route| route.attempts),
            opened: shared.epoch_wall + Duration::from_micros(entry.opened_us),
            duration,
            connect: route.map(|route| route.connect),
            bytes_up: entry.up.load(Ordering::Relaxed),
            bytes_down: entry.down.load(Ordering::Relaxed),
            spliced: entry.spliced.load(Ordering::Relaxed),
            reason,
            detail: refusal.detail,
        };
        shared.sink.finished(&record, route.map_or(refusal.service, |route| Some(&route.service)));
    }
}

impl Drop for ConnGuard {
    fn drop(&mut self) {
        if !self.finished {
            // Its task was dropped: it panicked, or the runtime ended under it.
            let reason = self.entry.cut_reason().unwrap_or(Reason::Internal);
            self.end(reason, Refusal::default());
        }
    }
}
