//! What a schedule shows of itself.

use super::{Entry, Mode, Schedule};
use crate::{
    planner::FamilyStatus,
    watch::{How, Row, state},
};
use std::{sync::Arc, time::Instant};

impl Schedule {
    pub(in crate::planner) fn status(&self, endpoint: &'static str, now: Instant) -> FamilyStatus {
        let there = || self.entries.iter().flatten().filter(|entry| !entry.gone);
        let waits = there().filter(|entry| !entry.idle && !entry.polling);
        let age = |entry: &Entry| now.saturating_duration_since(entry.live.answered.unwrap_or(entry.since));
        FamilyStatus {
            endpoint,
            mode: self.mode,
            reason: self.reason.clone(),
            names: there().count(),
            idle: there().filter(|entry| entry.idle).count(),
            failing: self.failing,
            round: self.period,
            oldest: waits.map(age).max(),
            reading: self.reading,
            blocking: self.holding,
            queued: there().filter(|entry| entry.queue.is_some()).count(),
            counts: self.counts,
        }
    }

    /// Up to so many names with their rows, whose path is still to be filled in; those that fail first.
    pub(in crate::planner) fn rows(&self, most: usize, now: Instant) -> Vec<(Arc<str>, Row)> {
        let there = |failing: bool| {
            self.entries.iter().flatten().filter(move |entry| !entry.gone && entry.failing == failing)
        };
        let row = |entry: &Entry| {
            let how = match self.mode {
                _ if entry.idle => How::Idle,
                Some(Mode::Block) => How::Block,
                _ => How::Sweep,
            };
            let inner = &entry.inner;
            let row = entry.live.row(String::new(), how, state(inner), inner.index(), now);
            (Arc::clone(&entry.name), row)
        };
        there(true).chain(there(false)).take(most).map(row).collect()
    }

    /// Places taken or free, and times and turns waited for.
    #[cfg(test)]
    pub(in crate::planner) fn sizes(&self) -> (usize, usize) {
        let queued = self.urgent.len() + self.fresh.len() + self.fast.len();
        (self.entries.len(), self.polls.len() + self.rounds.len() + queued)
    }

    #[cfg(test)]
    pub(in crate::planner) fn entry_size() -> usize {
        size_of::<Option<Entry>>()
    }
}
