//! What the control thread does from the start of the process until it is told to end: waits until
//! there is something to serve, listens, and follows documents, names, limits and signals.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway_runtime::access_log::AccessLog;
use gateway_runtime::listener::{Bound, Handler};
use gateway_runtime::metrics::NONE;
use gateway_runtime::process::{Signal, Signals};
use gateway_runtime::ready::Ready;
use gateway_runtime::registry::{Registry, SweepLimits};
use gateway_state::consul::SourceState;
use gateway_state::{Reader, Snapshot, Target};
use tokio::time::Instant;

use super::feed::FeedHandle;
use super::listeners::Listeners;
use super::{Failure, dialling};
pub(super) use activity::Activity;

mod activity;

use crate::parts::Parts;
use crate::reconcile::Reconciler;
use crate::role::{AppRole, SnapshotOf};
use crate::settings::Settings;

/// How long answers for names are gathered.
const BURST: Duration = Duration::from_millis(50);

pub(super) struct Control<'a, R: AppRole, H> {
    pub(super) settings: &'a Settings,
    pub(super) parts: &'a Arc<Parts<SnapshotOf<R>>>,
    pub(super) kept: &'a R::Kept,
    pub(super) registry: &'a Registry,
    pub(super) handle: &'a FeedHandle,
    pub(super) ready: &'a Ready,
    /// What the settings allow, and what is allowed now.
    pub(super) max_connections: (usize, Arc<AtomicUsize>),
    pub(super) listeners: Listeners<'a, H>,
    pub(super) reader: Reader<SnapshotOf<R>>,
    pub(super) reconciler: Reconciler,
    pub(super) activity: Activity,
}

/// What is left at the end.
pub(super) struct Ended<'a, H> {
    pub(super) listeners: Listeners<'a, H>,
    /// Why the process ends, if nobody told it to.
    pub(super) outcome: Result<(), Failure>,
}

/// Told to end, or not able to go on.
type Stop = Result<(), Failure>;

impl<'a, R: AppRole, H: Handler> Control<'a, R, H> {
    pub(super) async fn until_told(
        mut self,
        bound: Vec<(SocketAddr, Bound)>,
        signals: &mut Signals,
        access_log: &AccessLog,
    ) -> Ended<'a, H> {
        let outcome = match self.until_something_is_known(signals, access_log).await {
            Err(stop) => stop,
            Ok(()) => match self.listen(bound).await {
                Ok(()) => self.follow(signals, access_log).await,
                Err(failure) => Err(failure),
            },
        };
        Ended { listeners: self.listeners, outcome }
    }

    /// Files were read before; a Consul may be away for as long as it takes.
    async fn until_something_is_known(
        &mut self,
        signals: &mut Signals,
        access_log: &AccessLog,
    ) -> Result<(), Stop> {
        while self.reader.current().generation() == 0 {
            tokio::select! {
                signal = signals.next() => self.signal(signal, access_log)?,
                state = state_changed(self.handle) => self.note(state).map_err(Err)?,
                // Nobody will say more if the source is gone; signals still end the process.
                snapshot = self.reader.changed() => if snapshot.is_none() {
                    return Err(Err(Failure::Internal("the catalog is no longer followed".to_owned())));
                },
            }
        }
        if let Some(consul) = self.handle.consul() {
            self.note(consul.state()).map_err(Err)?;
        }
        Ok(())
    }

    async fn listen(&mut self, bound: Vec<(SocketAddr, Bound)>) -> Result<(), Failure> {
        let snapshot = self.reader.current();
        if snapshot.generation() == self.parts.live.load().snapshot().generation() {
            self.conditions();
        } else {
            self.apply(&snapshot);
        }
        // Names that answer in time are known before the first connection comes.
        let patience = self.settings.timers.connect;
        drop(tokio::time::timeout(patience, self.reconciler.names_settled()).await);
        self.reconciler.resolved(&self.parts.live);
        self.listeners.serve(bound)?;
        self.follow_own();
        Ok(())
    }

    /// Follows the catalog, names and limits until the first signal to end.
    async fn follow(&mut self, signals: &mut Signals, access_log: &AccessLog) -> Stop {
        let timers = &self.settings.timers;
        let limits = SweepLimits { idle: timers.idle, age: timers.max_age };
        let mut sweep = tokio::time::interval(timers.sweep);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut following, mut resolve_at) = (true, None);
        loop {
            tokio::select! {
                signal = signals.next() => if let Err(stop) = self.signal(signal, access_log) {
                    return stop;
                },
                snapshot = self.reader.changed(), if following => if let Some(snapshot) = snapshot {
                    self.apply(&snapshot);
                    self.follow_own();
                } else {
                    following = false;
                    tracing::error!("the catalog is no longer followed; what is in use stays. Please report this");
                },
                // What is in use goes on, whatever becomes of the source.
                state = state_changed(self.handle), if following => drop(self.note(state)),
                // Answers come in bursts: one pass for all.
                () = self.reconciler.names_changed(), if resolve_at.is_none() => {
                    resolve_at = Some(Instant::now() + BURST);
                }
                () = tokio::time::sleep_until(resolve_at.unwrap_or_else(Instant::now)), if resolve_at.is_some() => {
                    resolve_at = None;
                    self.reconciler.resolved(&self.parts.live);
                }
                _ = sweep.tick() => self.sweep(limits),
            }
        }
    }

    fn signal(&self, signal: Signal, access_log: &AccessLog) -> Result<(), Stop> {
        match signal {
            Signal::Reload => {
                tracing::info!("told to read files again");
                self.handle.reload();
                access_log.reopen();
                Ok(())
            }
            Signal::Drain | Signal::Now => Err(Ok(())),
        }
    }

    /// Takes over how the source is.
    fn note(&self, state: SourceState) -> Result<(), Failure> {
        let condition = match state {
            SourceState::Ready => Ok(()),
            SourceState::Waiting(why) | SourceState::Unready(why) => Err(why),
            SourceState::Refused(why) => {
                self.ready.set("consul", Err(why.clone()));
                return Err(Failure::Address(why));
            }
            other => Err(other.to_string()),
        };
        self.ready.set("consul", condition);
        Ok(())
    }

    fn apply(&mut self, snapshot: &Arc<SnapshotOf<R>>) {
        let before = Arc::clone(self.parts.live.load().snapshot());
        // Certificates first: whoever finds a service finds what it is served with.
        R::prepare(self.kept, snapshot);
        self.reconciler.apply(&self.parts.live, Arc::clone(snapshot));
        R::applied(self.kept, snapshot, self.registry);
        self.conditions();
        let live = self.parts.live.load();
        if !same_services(snapshot.targets(), before.targets()) {
            let services: HashSet<&str> =
                live.routes().iter().map(|route| &*route.target().service).collect();
            self.parts.metrics.forget_services(|service| service == NONE || services.contains(service));
        }
    }

    /// Takes over how the role's own conditions are.
    fn conditions(&self) {
        let live = self.parts.live.load();
        for name in R::CONDITIONS {
            self.ready.set(name, R::condition(name, live.snapshot()));
        }
    }

    /// Takes over what the gateway's own registration asks for.
    fn follow_own(&mut self) {
        let live = self.parts.live.load();
        let own = live.snapshot().own();
        if let Some(wanted) = &own.listeners {
            self.listeners.reconcile(wanted);
        }
        self.ready.set("listeners", self.listeners.state());
        let (settings, now) = &self.max_connections;
        let asked = own.max_connections.and_then(|asked| usize::try_from(asked).ok());
        now.store(asked.map_or(*settings, |asked| asked.min(*settings)), Ordering::Relaxed);
        if self.handle.consul().is_some() {
            let dialling = dialling::of(self.settings, own, self.listeners.addresses());
            if *self.parts.dialling.load_full() != dialling {
                self.parts.dialling.store(Arc::new(dialling));
            }
        }
    }

    fn sweep(&mut self, limits: SweepLimits) {
        self.registry.sweep(limits);
        for (line, suppressed) in self.parts.lines.take_expired(std::time::Instant::now()) {
            tracing::info!(line = &*line, suppressed, "lines like this were left out of the log");
        }
        if self.listeners.state().is_err() {
            self.follow_own();
        }
        if let Some(consul) = self.handle.consul() {
            consul.traffic(self.activity.since_last(&self.parts.live.load()));
        }
    }
}

/// Whether every label of metrics that there was is still in use.
fn same_services(now: &[Arc<Target>], before: &[Arc<Target>]) -> bool {
    now.len() == before.len()
        && now
            .iter()
            .zip(before)
            .all(|(now, before)| Arc::ptr_eq(now, before) || now.service == before.service)
}

/// Waits for the next state of a Consul; files have none.
async fn state_changed(handle: &FeedHandle) -> SourceState {
    match handle.consul() {
        Some(consul) => consul.state_changed().await,
        None => std::future::pending().await,
    }
}
