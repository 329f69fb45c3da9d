//! At most so many lines a second, over all workers, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Counts events in windows of one second that begin with `epoch`.
#[derive(Debug)]
pub(super) struct PerSecond {
    limit: u32,
    epoch: Instant,
    /// The window in the upper half, the events that asked in it in the lower.
    state: AtomicU64,
}

/// The answer to one event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) allowed: bool,
    /// Set for the first event after a window that left some out: how many.
    pub(super) left_out_before: Option<u64>,
}

impl PerSecond {
    /// A limit of 0 lets everything through.
    pub(super) fn new(limit: u32, epoch: Instant) -> PerSecond {
        PerSecond { limit, epoch, state: AtomicU64::new(0) }
    }

    pub(super) fn take(&self, now: Instant) -> Verdict {
        if self.limit == 0 {
            return Verdict { allowed: true, left_out_before: None };
        }
        let window = now.saturating_duration_since(self.epoch).as_secs() & u64::from(u32::MAX);
        let next = |state: u64| {
            let asked = if state >> 32 < window { 0 } else { state & u64::from(u32::MAX) };
            // A late event of an earlier window counts in the newest one.
            let window = window.max(state >> 32);
            Some(window << 32 | (asked + 1).min(u64::from(u32::MAX)))
        };
        let before = match self.state.fetch_update(Relaxed, Relaxed, next) {
            Ok(before) | Err(before) => before,
        };
        let asked_before = before & u64::from(u32::MAX);
        let limit = u64::from(self.limit);
        if before >> 32 < window {
            let left_out = asked_before.saturating_sub(limit);
            return Verdict { allowed: true, left_out_before: (left_out > 0).then_some(left_out) };
        }
        Verdict { allowed: asked_before < limit, left_out_before: None }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_second_has_its_own_share() {
        let start = Instant::now();
        let rate = PerSecond::new(3, start);
        let allowed = |at: Duration| (0..10).filter(|_| rate.take(start + at).allowed).count();
        assert_eq!(allowed(Duration::from_millis(0)), 3);
        assert_eq!(allowed(Duration::from_millis(999)), 0);
        let first = rate.take(start + Duration::from_secs(1));
        assert_eq!(first, Verdict { allowed: true, left_out_before: Some(17) });
        assert_eq!(allowed(Duration::from_millis(1_500)), 2);
        assert_eq!(allowed(Duration::from_secs(60)), 3);
    }

    #[test]
    fn time_that_seems_to_go_back_gives_nothing_away() {
        let start = Instant::now();
        let rate = PerSecond::new(1, start);
        assert!(rate.take(start + Duration::from_secs(5)).allowed);
        assert!(!rate.take(start + Duration::from_secs(4)).allowed);
    }

    #[test]
    fn zero_is_no_limit() {
        let start = Instant::now();
        let rate = PerSecond::new(0, start);
        assert!((0..1000).all(|_| rate.take(start).allowed));
    }
}
