//! What name resolution counts, for the metrics of whoever uses it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters and gauges of [`Names`](super::Names). Read them with any ordering; they only move.
#[derive(Debug, Default)]
pub struct NamesCounters {
    /// Lookups that gave at least one address.
    pub answered: AtomicU64,
    /// Lookups that said the name does not exist or has no address.
    pub not_found: AtomicU64,
    /// Lookups that took longer than they may.
    pub timed_out: AtomicU64,
    /// Lookups that failed otherwise.
    pub failed: AtomicU64,
    /// Answers that changed the addresses of a name, first answers included.
    pub changes: AtomicU64,
    /// Watches refused because there were too many names.
    pub refused: AtomicU64,
    /// Addresses left out because an answer had too many.
    pub addresses_cut: AtomicU64,
    /// Addresses left out because names may not stand for them.
    pub guarded: AtomicU64,
    /// Gauge: names being kept fresh.
    pub names: AtomicU64,
    /// Gauge: lookups under way.
    pub running: AtomicU64,
}

/// Counts one in a gauge for as long as it lives, also when its task is cut short.
pub(super) struct Gauged<'a>(&'a AtomicU64);

impl<'a> Gauged<'a> {
    pub(super) fn new(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauged<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
