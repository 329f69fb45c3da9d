//! What all watches of a client share.

use super::{AgentState, Asker, Chorus, Got, Listener, Sent, WatchConfig, print::Printer, reach::Reach};
use crate::{
    Client, Error, Query,
    error::{Cause, Class},
    query::Answer,
};
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// What all watches of a client share: the client itself, the word on whether the agent answers, and
/// counters. Clones share everything.
pub struct Agent<A: Asker = Client> {
    pub(super) shared: Arc<Shared<A>>,
}

pub(super) struct Shared<A> {
    pub(super) asker: A,
    pub(super) config: WatchConfig,
    pub(super) reach: watch::Sender<Reach>,
    pub(super) counters: Arc<AgentCounters>,
    /// Why it cannot be reached.
    pub(super) away: Locked<Option<Error>>,
    /// Changes whenever the agent may be another process than before.
    epoch: AtomicU64,
    pub(super) chorus: Arc<Chorus>,
    /// When the token was last seen to have a right.
    granted: Locked<Option<Instant>>,
    /// When everything was asked again because one had tried for all.
    pub(super) asked_again: Locked<Option<Instant>>,
    /// `major << 16 | minor`; 0: not known.
    version: AtomicU32,
    acls_off: AtomicBool,
    printer: Printer,
}

/// A mutex that a panic elsewhere does not close.
#[derive(Debug, Default)]
pub(crate) struct Locked<T>(Mutex<T>);

impl<T> Locked<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Its value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What watches count, for the metrics of whoever uses them.
#[derive(Debug, Default)]
pub struct AgentCounters {
    /// Reads sent, long polls included, probes not.
    pub queries: Count,
    /// Whole answers.
    pub answers: Count,
    /// Answers that changed a document.
    pub changes: Count,
    /// Failures of the connection: refused, reset, cut, too slow.
    pub transport_errors: Count,
    /// Any 5xx but 503.
    pub server_errors: Count,
    /// 429 and 503.
    pub busy: Count,
    /// 403, and answers that say less than before because the token may not read.
    pub denied: Count,
    /// "This version does not have it."
    pub unsupported: Count,
    /// 400, 405 and what else is a mistake of ours.
    pub mistakes: Count,
    /// Bodies that could not be used.
    pub rejected: Count,
    /// Answers kept back because their index went back.
    pub backwards: Count,
    /// Long polls that came back early with the same index.
    pub early_returns: Count,
    /// Reads given up because the agent was away for long meanwhile.
    pub abandoned: Count,
    /// Probes of an agent that did not answer.
    pub probes: Count,
    /// Times the agent went away.
    pub outages: Count,
    /// Times it came back.
    pub returns: Count,
}

impl AgentCounters {
    pub(crate) fn failure(&self, class: Class) {
        match class {
            Class::Transport => &self.transport_errors,
            Class::Server => &self.server_errors,
            Class::Busy => &self.busy,
            Class::Denied | Class::TokenUnknown => &self.denied,
            Class::Unsupported => &self.unsupported,
            Class::Mistake => &self.mistakes,
            Class::Rejected => &self.rejected,
        }
        .add(1);
    }
}

/// Why a read brought nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The whole agent was away meanwhile.
    Abandoned,
    /// The read failed. `away`: as everything does, because the agent cannot be reached.
    Failed { error: Error, away: bool },
}

impl<A: Asker> Agent<A> {
    /// Watches of this client will share this.
    #[must_use]
    pub fn new(asker: A, config: WatchConfig) -> Self {
        let shared = Shared {
            asker,
            config,
            reach: watch::Sender::new(Reach::new(now())),
            counters: Arc::default(),
            away: Locked::default(),
            epoch: AtomicU64::new(0),
            chorus: Arc::default(),
            granted: Locked::default(),
            asked_again: Locked::default(),
            version: AtomicU32::new(0),
            acls_off: AtomicBool::new(false),
            printer: Printer::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Says which version of Consul answers, `None` if unknown. Until it is known the rules of the
    /// oldest count.
    pub fn set_version(&self, version: Option<(u16, u16)>) {
        let number = version.map_or(0, |(major, minor)| u32::from(major) << 16 | u32::from(minor));
        self.shared.version.store(number, Relaxed);
    }

    /// Whether the agent answers, and since when.
    #[must_use]
    pub fn state(&self) -> (AgentState, Duration) {
        let reach = *self.shared.reach.borrow();
        (reach.state, now().saturating_duration_since(reach.since))
    }

    /// Why it cannot be reached, while it cannot.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.shared.away.lock().clone()
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<AgentCounters> {
        &self.shared.counters
    }

    /// The timers and bounds.
    #[must_use]
    pub fn config(&self) -> &WatchConfig {
        &self.shared.config
    }

    /// Whoever sends the reads.
    #[must_use]
    pub fn asker(&self) -> &A {
        &self.shared.asker
    }

    /// A good answer came to a question that needs a right.
    pub(crate) fn granted(&self) {
        *self.shared.granted.lock() = Some(now());
    }

    /// Whether the token was not seen to have any right since then.
    pub(super) fn grants_nothing_since(&self, since: Instant) -> bool {
        self.shared.granted.lock().is_none_or(|granted| granted < since)
    }

    /// Who fails now.
    pub(crate) fn chorus(&self) -> &Arc<Chorus> {
        &self.shared.chorus
    }

    /// State, age and error for whoever must not keep the agent alive.
    pub(crate) fn view(&self) -> View {
        let shared = Arc::downgrade(&self.shared);
        Box::new(move || match shared.upgrade() {
            Some(shared) => {
                let agent = Self { shared };
                let (state, since) = agent.state();
                (state, since, agent.error().map(|error| error.to_string()))
            }
            None => (AgentState::Down, Duration::ZERO, Some("its watches have ended".to_owned())),
        })
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener::new(self.shared.reach.subscribe())
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.shared.epoch.load(Relaxed)
    }

    pub(super) fn renew_epoch(&self) {
        self.shared.epoch.fetch_add(1, Relaxed);
    }

    /// Says whether Consul's ACLs are known to be off: then a list is never shorter for want of a right.
    pub fn set_acls_off(&self, off: bool) {
        self.shared.acls_off.store(off, Relaxed);
    }

    pub(crate) fn acls_are_off(&self) -> bool {
        self.shared.acls_off.load(Relaxed)
    }

    /// Since 1.16 an endpoint says 403 where it used to say `[]`.
    pub(crate) fn denies_openly(&self) -> bool {
        self.shared.version.load(Relaxed) >= (1 << 16 | 16)
    }

    /// Nobody but the prober holds it.
    pub(super) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    pub(crate) fn look(&self, answer: &Answer) -> Got {
        Got::of(answer, &self.shared.printer)
    }

    /// One read, given up when the agent was away for long meanwhile. A failure of the connection
    /// waits until it is clear whether the whole agent is away.
    pub(crate) async fn ask<Q: Query>(
        &self,
        query: &Q,
        sent: &Sent,
        ear: &mut Listener,
    ) -> Result<Answer, Failure> {
        let counters = &self.shared.counters;
        counters.queries.add(1);
        let result = tokio::select! {
            biased;
            result = self.shared.asker.ask(query, &sent.ask, sent.wait) => result,
            () = ear.renewed() => {
                counters.abandoned.add(1);
                return Err(Failure::Abandoned);
            }
        };
        let error = match result {
            Ok(answer) => {
                self.answers();
                counters.answers.add(1);
                return Ok(answer);
            }
            Err(error) => error,
        };
        counters.failure(error.class());
        match &error.cause {
            // Its own files or budget: says nothing about the agent.
            Cause::Local(_) => {}
            Cause::Unreachable(_) | Cause::Cut(_) => {
                self.renew_epoch();
                return Err(self.settle(error, ear).await);
            }
            Cause::Timeout(_) => return Err(self.settle(error, ear).await),
            _ => self.answers(),
        }
        Err(Failure::Failed { error, away: false })
    }

    async fn settle(&self, error: Error, ear: &mut Listener) -> Failure {
        self.doubt();
        let away = ear.settled().await == AgentState::Down;
        Failure::Failed { error, away }
    }
}

impl<A: Asker> Clone for Agent<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<A: Asker> fmt::Debug for Agent<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("state", &self.state().0).finish_non_exhaustive()
    }
}

/// The state of an agent, how long it lasts, and why it cannot be reached.
pub(crate) type View = Box<dyn Fn() -> (AgentState, Duration, Option<String>) + Send + Sync>;

/// The time by tokio's clock, which tests may stop.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
