//! One name.

use super::Slot;
use crate::watch::{Live, Loop, Sent};
use std::{sync::Arc, time::Instant};

/// What is known of a name, and what is under way for it.
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) inner: Loop,
    pub(super) live: Live,
    /// Since when the name is there.
    pub(super) since: Instant,
    /// Counts the lives of the name: an answer to a question of an earlier one is not for this one.
    pub(super) life: u32,
    /// Its place among what is due.
    pub(super) due: Option<(Place, Instant)>,
    pub(super) queue: Option<Queue>,
    pub(super) reading: bool,
    pub(super) polling: bool,
    /// To be read again as soon as that may be: asked for while a read was under way or too early.
    pub(super) again: bool,
    pub(super) idle: bool,
    pub(super) hot: bool,
    pub(super) gone: bool,
    pub(super) failing: bool,
    /// When the last read on demand began.
    pub(super) read_at: Option<Instant>,
    /// The agent of then, by its epoch.
    pub(super) epoch: u64,
    /// The last list of names that had it.
    pub(super) mark: u32,
}

/// What is due in which set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Polls,
    Rounds,
}

/// What is not due but urgent, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Urgent,
    Fresh,
    Fast,
    /// New and idle.
    Later,
}

impl Entry {
    pub(super) fn new(name: Arc<str>, inner: Loop, now: Instant) -> Self {
        Self {
            name,
            inner,
            live: Live::default(),
            since: now,
            life: 0,
            due: None,
            queue: None,
            reading: false,
            polling: false,
            again: false,
            idle: false,
            hot: true,
            gone: false,
            failing: false,
            read_at: None,
            epoch: 0,
            mark: 0,
        }
    }

    /// The name is back before its last read or long poll has run out.
    pub(super) fn renew(&mut self, inner: Loop, now: Instant) {
        self.inner = inner;
        self.live = Live::default();
        self.since = now;
        self.life = self.life.wrapping_add(1);
        self.again = false;
        self.idle = false;
        self.gone = false;
    }
}

/// A read to be sent.
#[derive(Clone, Debug)]
pub(in crate::planner) struct Job {
    pub(super) slot: Slot,
    pub(super) life: u32,
    pub(in crate::planner) name: Arc<str>,
    /// The agent of then, by its epoch.
    pub(super) epoch: u64,
    pub(in crate::planner) sent: Sent,
    pub(in crate::planner) work: Work,
}

/// What a job takes of the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::planner) enum Work {
    /// A long poll.
    Poll,
    /// A read that somebody waits for.
    Read,
    /// A read that is only its turn.
    Sweep,
}
