//! How a source that reads a Consul is, told to whoever runs it.

use super::super::source::SourceStatus;
use crate::snapshot::Snapshot;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Whether what a source has published may be served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceState {
    /// Not enough is known yet; the text says what is missing.
    Waiting(String),
    /// Everything needed is known.
    Ready,
    /// What is known goes on serving, but others should not be sent here; the text says why.
    Unready(String),
    /// Consul refuses this gateway; it cannot run. The text has Consul's words and the way out.
    Refused(String),
}

/// What the traffic shows: services are by their label, which is their name in Consul.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Services with connections.
    pub used: Vec<Arc<str>>,
    /// Services whose endpoints could not be reached.
    pub failing: Vec<Arc<str>>,
}

/// Figures of a source, written by it and read by whoever holds a handle.
#[derive(Debug, Default)]
pub(super) struct Counters {
    generation: AtomicU64,
    published: AtomicU64,
    with_problems: AtomicU64,
    compiled: AtomicU64,
    rejected: AtomicU64,
}

impl Counters {
    /// A snapshot was published; `new_problem`: one that the one before did not have.
    pub(super) fn published(&self, snapshot: &impl Snapshot, new_problem: bool) {
        self.generation.store(snapshot.generation(), Relaxed);
        self.compiled.fetch_add(snapshot.compiled(), Relaxed);
        self.rejected.store(snapshot.rejected().len() as u64, Relaxed);
        let counter = if new_problem { &self.with_problems } else { &self.published };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn status(&self) -> SourceStatus {
        SourceStatus {
            generation: self.generation.load(Relaxed),
            reloads_ok: self.published.load(Relaxed),
            reloads_failed: self.with_problems.load(Relaxed),
            compiled_total: self.compiled.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
        }
    }
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Waiting(why) | Self::Unready(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}
