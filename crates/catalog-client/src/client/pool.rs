//! The connections to the agent, and who waits for one.
//!
//! [`Places`] decides, this module has the sockets. A request takes a connection, or waits in one of
//! two queues; those that do not block go first. Connections are made by tasks of their own, so that a
//! request that is dropped takes nothing with it. The lock is never held while anything waits or is
//! dropped.

mod dial;
mod state;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::counters::Counters;
use super::credentials::Credentials;
use super::failed::Failed;
use super::lease::{Lease, Link, Sender};
use super::places::{PlaceId, Want};
use super::rate::Rate;
use super::seldom::Seldom;
use super::site::Site;
use super::socket::Refusal;
use super::status::{Capacity, ClientStatus, Protocol};
use crate::config::{ClientConfig, Scheme};
use crate::error::Cause;
use state::{State, Work};

/// A connection that ends earlier than this without an answer "died at once".
const AT_ONCE: Duration = Duration::from_secs(1);

/// Reads in a row without any answer, after which another address is tried.
const SILENT: u8 = 2;

pub(super) struct Pool {
    pub(super) config: ClientConfig,
    pub(super) sites: Vec<Arc<Site>>,
    pub(super) credentials: Mutex<Arc<Credentials>>,
    pub(super) counters: Counters,
    state: Mutex<State>,
    rate: Mutex<Rate>,
    resets: Mutex<Rate>,
    rate_log: Seldom,
    budget_log: Seldom,
}

impl Pool {
    pub(super) fn new(config: ClientConfig, sites: Vec<Arc<Site>>, credentials: Credentials) -> Self {
        let limits = &config.limits;
        // Where all addresses are plain there is nothing to find out.
        let plain = config.addresses.iter().all(|address| address.scheme == Scheme::Http);
        Self {
            state: Mutex::new(State::new(limits, plain.then_some(false))),
            rate: Mutex::new(Rate::new(limits.queries_per_second, limits.burst)),
            resets: Mutex::new(Rate::new(limits.resets_per_second, limits.resets_per_second)),
            counters: Counters::default(),
            credentials: Mutex::new(Arc::new(credentials)),
            rate_log: Seldom::default(),
            budget_log: Seldom::default(),
            sites,
            config,
        }
    }

    pub(super) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&locked(&self.credentials))
    }

    /// Waits for the limit of queries per second.
    pub(super) async fn admit(&self) -> Result<(), Failed> {
        let (limits, longest) = (&self.config.limits, self.config.timers.place);
        let wait = locked(&self.rate).take(Instant::now(), longest);
        if wait == Some(Duration::ZERO) {
            return Ok(());
        }
        self.counters.rate_capped.add(1);
        if self.rate_log.due(Instant::now()) {
            tracing::warn!(
                limit = limits.queries_per_second,
                "more queries per second than the limit: they wait"
            );
        }
        match wait {
            Some(wait) => {
                Box::pin(tokio::time::sleep(wait)).await;
                Ok(())
            }
            None => Err(Failed::new(Cause::Local(format!(
                "not sent: {} queries per second are the limit, and more than {longest:?} of them wait",
                limits.queries_per_second
            )))),
        }
    }

    /// A connection for one request, now or as soon as there is one.
    pub(super) async fn lease(self: &Arc<Self>, want: Want) -> Result<Lease, Failed> {
        let free = self.state().take(self, want);
        match free {
            Some(lease) => Ok(lease),
            None => Box::pin(self.queue(want)).await,
        }
    }

    async fn queue(self: &Arc<Self>, want: Want) -> Result<Lease, Failed> {
        let (sender, receiver) = oneshot::channel();
        let (limited, most, work) = {
            let mut state = self.state();
            state.runtime = Some(Handle::current());
            state.wait(want, sender);
            let work = state.pump(self);
            (state.is_limited(), state.budget.most(), work)
        };
        work.run(self);
        if limited {
            self.counters.budget_limited.add(1);
            if self.budget_log.due(Instant::now()) {
                tracing::warn!(connections = most, "all connections to Consul are taken: requests wait");
            }
        }
        let longest = self.config.timers.place;
        match timeout(longest, receiver).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failed::new(Cause::Local("the client is being dropped".into()))),
            Err(_) => Err(Failed::new(Cause::Local(format!(
                "no connection was free within {longest:?}; {} are the limit",
                self.state().budget.most()
            )))),
        }
    }

    /// A request has ended; `keep` is its connection, if it can be used again.
    pub(super) fn release(self: &Arc<Self>, link: &Link, want: Want, keep: Option<Sender>) {
        let surplus = self.change(|state, now| {
            state.release(link, want, keep, now);
            state.expire(now, &self.config)
        });
        drop(surplus);
    }

    /// The reader of a blocking read has gone; its connection is busy until the answer comes.
    pub(super) fn park(self: &Arc<Self>, id: PlaceId) {
        self.change(|state, _| state.places.park(id));
    }

    /// The agent refused a connection for their number.
    pub(super) fn refused(self: &Arc<Self>, dialled: Instant) {
        self.change(|state, now| {
            let lower = state.refused(dialled, now);
            self.lowered(lower, state);
        });
    }

    /// A new connection brought an answer.
    pub(super) fn first_answer(&self) {
        self.state().budget.answered();
    }

    /// The agent answered: it is not silent.
    pub(super) fn answered(&self) {
        if self.sites.len() > 1 {
            self.state().silent = 0;
        }
    }

    /// The agent took a request that it answers at once, and said nothing in time. Twice in a row, it is
    /// as good as unreachable: its host still takes connections, but it may be stopped.
    pub(super) fn silent(self: &Arc<Self>, site: &Arc<Site>) {
        if self.sites.len() < 2 {
            return;
        }
        let idle = self.change(|state, _| {
            let current = self.sites.get(state.site).is_some_and(|current| Arc::ptr_eq(current, site));
            state.silent += u8::from(current);
            if state.silent < SILENT {
                return Vec::new();
            }
            state.silent = 0;
            state.site = (state.site + 1) % self.sites.len();
            tracing::info!(agent = %site.shown, "Consul says nothing there: another address is tried");
            state.leave(site)
        });
        drop(idle);
    }

    /// Waiting time until a stream may be reset.
    pub(super) fn reset_in(&self, longest: Duration) -> Option<Duration> {
        locked(&self.resets).take(Instant::now(), longest)
    }

    fn connected(self: &Arc<Self>, link: &Arc<Link>, site: usize, sender: Sender) {
        self.counters.connections.add(1);
        self.change(|state, now| {
            if state.lost > 0 {
                state.lost -= 1;
                self.counters.reconnects.add(1);
            }
            if state.site != site {
                tracing::info!(agent = %link.site.shown, "another address of Consul is used now");
                state.site = site;
            }
            state.connected(link, sender, now);
        });
    }

    fn not_connected(self: &Arc<Self>, id: PlaceId, dialled: Instant, refusal: &Refusal) {
        tracing::debug!(reason = refusal.text, "Consul cannot be reached");
        self.change(|state, now| {
            state.places.closed(id);
            if refusal.died && state.others_live(id) {
                let lower = state.died_at_once(dialled, now);
                self.lowered(lower, state);
            }
            // All addresses were tried.
            state.site = 0;
            let site = self.sites.first().filter(|_| self.sites.len() == 1).cloned();
            state.refuse(&Failed { agent: site, ..Failed::new(Cause::Unreachable(refusal.text.clone())) });
        });
    }

    fn closed(self: &Arc<Self>, link: &Link) {
        let handle = self.change(|state, now| {
            let (answered, given_up) =
                (link.answered.load(Ordering::Relaxed), link.given_up.load(Ordering::Relaxed));
            if answered && !given_up && state.is_known(link.id) {
                state.lost += 1;
            }
            let at_once = now.saturating_duration_since(link.dialled) < AT_ONCE;
            // One that we closed for want of work, perhaps before its first, says nothing about the agent.
            let died = !answered && !given_up && state.is_known(link.id);
            if died && state.others_live(link.id) {
                let lower = if link.is_refused() {
                    state.refused(link.dialled, now)
                } else {
                    at_once && state.died_at_once(link.dialled, now)
                };
                self.lowered(lower, state);
            }
            state.closed(link.id)
        });
        drop(handle);
    }

    fn lowered(&self, lower: bool, state: &State) {
        if lower {
            self.counters.budget_lowered.add(1);
            tracing::warn!(
                connections = state.budget.most(),
                "Consul refuses connections for their number (limits.http_max_conns_per_client): fewer are used"
            );
        }
    }

    /// Closes connections without work, lets the budget recover. `false` when nothing is left to do.
    fn tick(self: &Arc<Self>) -> bool {
        let (surplus, alive) = self.change(|state, now| {
            if state.budget.recover(now, self.config.timers.recovery) {
                tracing::info!(connections = state.budget.most(), "the budget of connections is whole again");
            }
            (state.expire(now, &self.config), state.is_alive())
        });
        drop(surplus);
        alive
    }

    /// Changes the state, and does what follows from it without the lock.
    fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let (outcome, work): (T, Work) = {
            let mut state = self.state();
            let outcome = change(&mut state, Instant::now());
            let work = state.pump(self);
            (outcome, work)
        };
        work.run(self);
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    pub(super) fn status(&self) -> ClientStatus {
        let state = self.state();
        let counts = state.places.counts();
        ClientStatus {
            address: self.sites.get(state.site).map(|site| site.shown.to_string()).unwrap_or_default(),
            protocol: state
                .multiplexed
                .filter(|_| state.has_connected)
                .map(|multiplexed| if multiplexed { Protocol::Http2 } else { Protocol::Http1 }),
            open: counts.open,
            parked: counts.parked,
            most: state.budget.most(),
            streams: counts.streams,
            in_flight: counts.in_flight,
            waiting: state.count_waiting(),
            totals: self.counters.totals(),
        }
    }

    pub(super) fn capacity(&self) -> Capacity {
        let limits = &self.config.limits;
        let state = self.state();
        let bounds = state.bounds();
        let held = state.places.counts().blocking;
        let reads = match state.multiplexed {
            Some(true) => bounds.room() - bounds.streams,
            // What blocking reads do not hold, half of it: connections come and go.
            _ => bounds.connections.saturating_sub(held.max(bounds.connections / 2)).max(bounds.reserved),
        };
        let per_connection = if state.multiplexed == Some(true) { bounds.streams } else { 1 };
        Capacity {
            multiplexed: state.multiplexed,
            blocking: bounds.blocking().saturating_mul(per_connection),
            reads: reads.clamp(1, limits.reads),
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under a lock can leave half a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
