//! What the lock of the pool protects.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::budget::Budget;
use super::super::failed::Failed;
use super::super::lease::{Lease, Link, Sender};
use super::super::places::{Bounds, PlaceId, Places, Want};
use super::super::site::Site;
use super::super::status::Protocol;
use super::{Pool, dial};
use crate::config::{ClientConfig, ClientLimits};

type Waiter = oneshot::Sender<Result<Lease, Failed>>;

pub(super) struct State {
    pub(super) places: Places,
    pub(super) budget: Budget,
    /// Whether requests share connections; `None` before the first connection.
    pub(super) multiplexed: Option<bool>,
    pub(super) has_connected: bool,
    /// The address that works, or is tried next.
    pub(super) site: usize,
    /// Reads in a row that this address did not answer.
    pub(super) silent: u8,
    /// Connections that ended and were not replaced yet.
    pub(super) lost: u64,
    /// Where connections are driven.
    pub(super) runtime: Option<Handle>,
    /// Whether a task looks after connections without work.
    pub(super) watched: bool,
    connections: HashMap<PlaceId, Connection>,
    reads: VecDeque<Waiter>,
    blocking: VecDeque<Waiter>,
    refusals: Vec<(Waiter, Result<Lease, Failed>)>,
    streams: usize,
    reserved: usize,
}

pub(super) struct Connection {
    link: Arc<Link>,
    /// `None` while one request has it.
    sender: Option<Sender>,
}

impl State {
    pub(super) fn new(limits: &ClientLimits, multiplexed: Option<bool>) -> Self {
        Self {
            places: Places::new(),
            budget: Budget::new(limits.connections),
            multiplexed,
            has_connected: false,
            site: 0,
            silent: 0,
            lost: 0,
            runtime: None,
            watched: false,
            connections: HashMap::new(),
            reads: VecDeque::new(),
            blocking: VecDeque::new(),
            refusals: Vec::new(),
            streams: limits.streams,
            reserved: limits.reserved,
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        let connections = self.budget.most();
        Bounds {
            configured: self.budget.configured(),
            connections,
            reserved: self.budget.reserved(self.reserved),
            streams: self.streams,
        }
    }

    /// See [`Budget::refused`].
    pub(super) fn refused(&mut self, dialled: Instant, now: Instant) -> bool {
        self.budget.refused(dialled, now, self.places.counts().open)
    }

    /// See [`Budget::died_at_once`].
    pub(super) fn died_at_once(&mut self, dialled: Instant, now: Instant) -> bool {
        self.budget.died_at_once(dialled, now, self.places.counts().open)
    }

    /// A connection, if one has room now and nobody of the same kind waits for it.
    pub(super) fn take(&mut self, pool: &Arc<Pool>, want: Want) -> Option<Lease> {
        let queue = if want == Want::Read { &self.reads } else { &self.blocking };
        if queue.is_empty() { self.take_any(pool, want) } else { None }
    }

    fn take_any(&mut self, pool: &Arc<Pool>, want: Want) -> Option<Lease> {
        let bounds = self.bounds();
        loop {
            let id = self.places.take(want, &bounds)?;
            let connection = self.connections.get_mut(&id);
            let sender = connection.and_then(|connection| {
                let sender = match &connection.sender {
                    Some(Sender::Http2(sender)) => Some(Sender::Http2(sender.clone())),
                    _ => connection.sender.take(),
                };
                Some((Arc::clone(&connection.link), sender.filter(|sender| !sender.is_closed())?))
            });
            match sender {
                Some((link, sender)) => return Some(Lease::new(Arc::clone(pool), link, want, sender)),
                // It has ended; its task will say so in a moment.
                None => {
                    self.places.release(id, want, false, Instant::now());
                    self.places.closed(id);
                }
            }
        }
    }

    pub(super) fn wait(&mut self, want: Want, waiter: Waiter) {
        let queue = if want == Want::Read { &mut self.reads } else { &mut self.blocking };
        queue.push_back(waiter);
    }

    /// How many wait, at most: some may have given up.
    fn waiting(&self) -> usize {
        self.reads.len() + self.blocking.len()
    }

    /// How many wait.
    pub(super) fn count_waiting(&self) -> usize {
        self.reads.iter().chain(&self.blocking).filter(|waiter| !waiter.is_closed()).count()
    }

    /// Whether more wait than the connections being made will serve: the last of them must wait for
    /// others to end.
    pub(super) fn is_limited(&self) -> bool {
        let dialling = self.places.counts().dialling;
        match self.multiplexed {
            None => false,
            Some(false) => self.waiting() > dialling,
            Some(true) => self.waiting() > dialling.saturating_mul(self.streams),
        }
    }

    /// Gives connections to those who wait, and says what else is to be done without the lock.
    pub(super) fn pump(&mut self, pool: &Arc<Pool>) -> Work {
        let mut work = Work::default();
        for want in [Want::Read, Want::Blocking] {
            while self.has_waiter(want) {
                let Some(lease) = self.take_any(pool, want) else { break };
                let queue = if want == Want::Read { &mut self.reads } else { &mut self.blocking };
                match queue.pop_front() {
                    Some(waiter) => work.outcomes.push((waiter, Ok(lease))),
                    None => work.unused.push(lease),
                }
            }
        }
        if self.waiting() > 0 && self.runtime.is_some() {
            let bounds = self.bounds();
            let missing =
                self.places.missing(self.reads.len(), self.blocking.len(), self.multiplexed, &bounds);
            work.dials.extend((0..missing).map(|_| self.places.dial()));
            work.runtime = self.runtime.clone();
            work.watch = !work.dials.is_empty() && !std::mem::replace(&mut self.watched, true);
        }
        work.outcomes.append(&mut self.refusals);
        work
    }

    /// Whether somebody waits still; those who gave up are forgotten.
    fn has_waiter(&mut self, want: Want) -> bool {
        let queue = if want == Want::Read { &mut self.reads } else { &mut self.blocking };
        while queue.front().is_some_and(oneshot::Sender::is_closed) {
            queue.pop_front();
        }
        !queue.is_empty()
    }

    /// No address could be reached. Whoever waited for that connection is told; if there is no other,
    /// that is everybody.
    pub(super) fn refuse(&mut self, failed: &Failed) {
        let counts = self.places.counts();
        let everybody = self.multiplexed != Some(false) || counts.open == counts.dialling;
        let mut number = if everybody { self.waiting() } else { 1 };
        for queue in [&mut self.reads, &mut self.blocking] {
            while number > 0
                && let Some(waiter) = queue.pop_front()
            {
                number -= 1;
                self.refusals.push((waiter, Err(failed.clone())));
            }
        }
    }

    pub(super) fn connected(&mut self, link: &Arc<Link>, sender: Sender, now: Instant) {
        let multiplexed = link.protocol == Protocol::Http2;
        self.multiplexed = Some(multiplexed);
        self.has_connected = true;
        self.places.connected(link.id, multiplexed, now);
        self.connections.insert(link.id, Connection { link: Arc::clone(link), sender: Some(sender) });
    }

    pub(super) fn release(&mut self, link: &Link, want: Want, keep: Option<Sender>, now: Instant) {
        self.places.release(link.id, want, keep.is_some(), now);
        if let (Some(Sender::Http1(sender)), Some(connection)) = (keep, self.connections.get_mut(&link.id)) {
            connection.sender = Some(Sender::Http1(sender));
        }
    }

    /// Connections to be closed because they have had no work for long, or are too many.
    pub(super) fn expire(&mut self, now: Instant, config: &ClientConfig) -> Vec<Connection> {
        let expired = self.places.expire(now, config.timers.idle, config.limits.idle);
        expired.iter().filter_map(|id| self.connections.remove(id)).collect()
    }

    /// Nothing new is to be sent there: its connections are given up, those without work now, the others
    /// when their requests end.
    pub(super) fn leave(&mut self, site: &Arc<Site>) -> Vec<Connection> {
        let left: Vec<PlaceId> = self
            .connections
            .iter()
            .filter(|(_, connection)| Arc::ptr_eq(&connection.link.site, site))
            .map(|(id, _)| *id)
            .collect();
        left.iter()
            .filter_map(|id| {
                self.places.retire(*id);
                self.connections.remove(id)
            })
            .collect()
    }

    pub(super) fn closed(&mut self, id: PlaceId) -> Option<Connection> {
        self.places.closed(id);
        self.connections.remove(&id)
    }

    /// Whether we still wanted to use it.
    pub(super) fn is_known(&self, id: PlaceId) -> bool {
        self.connections.contains_key(&id)
    }

    /// Whether another connection works.
    pub(super) fn others_live(&self, id: PlaceId) -> bool {
        self.connections.values().map(|connection| &connection.link).any(|link| {
            link.id != id && link.answered.load(Ordering::Relaxed) && !link.given_up.load(Ordering::Relaxed)
        })
    }

    /// Whether the task that looks after this has anything to do; it ends otherwise.
    pub(super) fn is_alive(&mut self) -> bool {
        self.watched = !self.places.is_empty() || self.waiting() > 0 || !self.budget.is_whole();
        self.watched
    }
}

/// What is to be done without the lock.
#[derive(Default)]
pub(super) struct Work {
    outcomes: Vec<(Waiter, Result<Lease, Failed>)>,
    unused: Vec<Lease>,
    dials: Vec<PlaceId>,
    runtime: Option<Handle>,
    watch: bool,
}

impl Work {
    pub(super) fn run(self, pool: &Arc<Pool>) {
        for (waiter, outcome) in self.outcomes {
            // Who has gone meanwhile gives the connection back by dropping it.
            drop(waiter.send(outcome));
        }
        drop(self.unused);
        let Some(runtime) = self.runtime else { return };
        for id in self.dials {
            runtime.spawn(dial::run(dial::Attempt::new(pool, id)));
        }
        if self.watch {
            runtime.spawn(dial::watch(Arc::downgrade(pool), pool.config.timers.clone()));
        }
    }
}
