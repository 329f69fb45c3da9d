//! What was asked, when, and by how many at a time: what budgets and herds are judged by.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::secret::Secret;

/// One request, as far as it has come.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Whether it waits for an index or a hash.
    pub blocking: bool,
    /// Whether it was sent with HTTP/2.
    pub http2: bool,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// When it came.
    pub at: Instant,
    /// When its answer was ready, or its client gone; `None` while it waits.
    pub end: Option<Instant>,
    /// The status of its answer; `None` without one.
    pub status: Option<u16>,
    /// Its `User-Agent`.
    pub user_agent: String,
    pub(super) token: Option<Secret>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The token that it had.
    pub fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.0.as_str())
    }

    /// Its body as JSON; `null` without one.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Numbers of one moment, and the highest so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// Now.
    pub now: usize,
    /// At most, since the start or the last [`Replay::forget`](super::Replay::forget).
    pub peak: usize,
    /// In all, since then.
    pub total: usize,
}

impl Level {
    fn up(&mut self) {
        self.now += 1;
        self.total += 1;
        self.peak = self.peak.max(self.now);
    }

    fn down(&mut self) {
        self.now -= 1;
    }
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    asked: Vec<Asked>,
    /// Requests that came before the first of `asked`.
    forgotten: usize,
    pub(super) connections: Level,
    next_connection: usize,
    pub(super) held: Level,
    /// Connections sent away because of the limit.
    pub(super) turned_away: usize,
}

pub(super) type Shared = Arc<Mutex<Journal>>;

pub(super) fn lock(journal: &Shared) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    pub(super) fn asked(&self) -> &[Asked] {
        &self.asked
    }

    pub(super) fn begin(&mut self, asked: Asked) -> usize {
        self.asked.push(asked);
        self.forgotten + self.asked.len() - 1
    }

    pub(super) fn end(&mut self, number: usize, status: Option<u16>) {
        let Some(at) = number.checked_sub(self.forgotten) else { return };
        if let Some(asked) = self.asked.get_mut(at) {
            (asked.end, asked.status) = (Some(Instant::now()), status);
        }
    }

    pub(super) fn forget(&mut self) {
        self.forgotten += self.asked.len();
        self.asked.clear();
        self.turned_away = 0;
        for level in [&mut self.connections, &mut self.held] {
            (level.peak, level.total) = (level.now, 0);
        }
    }

    /// The most requests in any `window`, of those that `wanted` accepts.
    pub(super) fn busiest(&self, window: Duration, wanted: impl Fn(&Asked) -> bool) -> usize {
        let times: Vec<_> = self.asked.iter().filter(|asked| wanted(asked)).map(|asked| asked.at).collect();
        let mut from = 0;
        let mut most = 0;
        for (at, time) in times.iter().enumerate() {
            while *time - times[from] >= window {
                from += 1;
            }
            most = most.max(at - from + 1);
        }
        most
    }
}

/// A connection that is open: counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Open {
    journal: Shared,
    pub(super) number: usize,
}

impl Open {
    /// `None` when there are `limit` of them already.
    pub(super) fn new(journal: &Shared, limit: Option<usize>) -> Option<Self> {
        let mut inner = lock(journal);
        if limit.is_some_and(|limit| inner.connections.now >= limit) {
            inner.turned_away += 1;
            return None;
        }
        inner.connections.up();
        let number = inner.next_connection;
        inner.next_connection += 1;
        drop(inner);
        Some(Open { journal: journal.clone(), number })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.journal).connections.down();
    }
}

/// A long poll that is held: counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Held(Shared);

impl Held {
    pub(super) fn new(journal: &Shared) -> Self {
        lock(journal).held.up();
        Held(journal.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.0).held.down();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_window_is_found_wherever_it_lies() {
        let start = Instant::now();
        let at = |ms: u64| Asked {
            method: "GET".to_owned(),
            target: "/v1/x".to_owned(),
            blocking: false,
            http2: false,
            connection: 0,
            at: start + Duration::from_millis(ms),
            end: None,
            status: None,
            user_agent: String::new(),
            token: None,
            body: Vec::new(),
        };
        let asked = [0, 900, 950, 1000, 1899, 1900, 5000].map(at).to_vec();
        let journal = Journal { asked, ..Journal::default() };
        assert_eq!(journal.busiest(Duration::from_secs(1), |_| true), 4);
        assert_eq!(journal.busiest(Duration::from_millis(1), |_| true), 1);
        assert_eq!(journal.busiest(Duration::from_secs(1), |_| false), 0);
    }
}
