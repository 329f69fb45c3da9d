//! One query per name: the schedule, its lock, and the bell that wakes the runner.

use super::{FamilyStatus, Mode, schedule::Schedule};
use crate::{
    Error,
    watch::{Chorus, End, Locked, Row, Voice, now},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::Notify;

/// One query per name.
pub(super) struct Family {
    pub(super) endpoint: &'static str,
    pub(super) path: Box<dyn Fn(&str) -> String + Send + Sync>,
    pub(super) schedule: Locked<Schedule>,
    /// Rung when there may be something to start.
    pub(super) bell: Notify,
    /// Names long-polled, of all families.
    pub(super) blocked: Arc<AtomicUsize>,
    /// Those of this family among them.
    own: AtomicUsize,
    /// What the log says of names that fail.
    voices: Locked<Vec<Voice>>,
}

impl Family {
    pub(super) fn new(
        endpoint: &'static str,
        path: Box<dyn Fn(&str) -> String + Send + Sync>,
        schedule: Schedule,
        blocked: Arc<AtomicUsize>,
    ) -> Self {
        let (schedule, bell, own) = (Locked::new(schedule), Notify::new(), AtomicUsize::new(0));
        Self { endpoint, path, schedule, bell, blocked, own, voices: Locked::default() }
    }

    /// Changes the schedule and lets the runner look at it.
    pub(super) fn change<T>(&self, what: impl FnOnce(&mut Schedule) -> T) -> T {
        let result = what(&mut self.schedule.lock());
        self.bell.notify_one();
        result
    }

    /// Names of other families that are long-polled.
    pub(super) fn others(&self) -> usize {
        self.blocked.load(Relaxed).saturating_sub(self.own.load(Relaxed))
    }

    /// So many names of this family are long-polled from now on.
    pub(super) fn claim(&self, names: usize) {
        let before = self.own.swap(names, Relaxed);
        if names >= before {
            self.blocked.fetch_add(names - before, Relaxed);
        } else {
            self.blocked.fetch_sub(before - names, Relaxed);
        }
    }

    pub(super) fn status(&self) -> FamilyStatus {
        self.schedule.lock().status(self.endpoint, now())
    }

    pub(super) fn rows(&self, most: usize) -> Vec<Row> {
        // Only the names under the lock: the runner must not wait for texts to be made.
        let rows = self.schedule.lock().rows(most, now());
        rows.into_iter().map(|(name, row)| Row { path: (self.path)(&name), ..row }).collect()
    }

    /// A name fails. Says whether the log is to tell of it: nobody fails alike.
    pub(super) fn speak(&self, chorus: &Arc<Chorus>, error: &Error) -> bool {
        let words = error.words();
        let mut voices = self.voices.lock();
        if voices.iter().any(|voice| voice.words() == words) {
            return false;
        }
        let (voice, first) = chorus.join(&words);
        voices.push(voice);
        first
    }

    /// No name fails any more. Says whether the log is to tell of it: others do not fail alike either.
    pub(super) fn fall_silent(&self) -> bool {
        let voices = std::mem::take(&mut *self.voices.lock());
        let ends = voices.into_iter().map(Voice::end);
        ends.filter(|end| matches!(end, End::Last(_))).count() > 0
    }

    pub(super) fn log_mode(&self, mode: Mode, reason: &str) {
        tracing::info!(endpoint = self.endpoint, mode = mode.as_str(), reason, "way of following names");
    }
}
