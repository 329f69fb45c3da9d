//! How many connections the agent lets us have (consul-api 4.1, table rows 24 and 25). Pure.
//!
//! The setting is what we may have; the agent's limit holds for everybody at our IP. A connection that
//! it refuses for their number halves the budget; every while without another it grows by an eighth of
//! the setting again.

use std::time::Duration;
use tokio::time::Instant;

/// Fewer are never tried: one to wait on, one to read on.
const LEAST: usize = 2;

#[derive(Debug)]
pub(super) struct Budget {
    configured: usize,
    now: usize,
    /// When it was lowered last, or grew last.
    step: Option<Instant>,
    lowered: Option<Instant>,
    died_at_once: u8,
}

impl Budget {
    pub(super) fn new(configured: usize) -> Self {
        Self { configured, now: configured, step: None, lowered: None, died_at_once: 0 }
    }

    /// The setting.
    pub(super) fn configured(&self) -> usize {
        self.configured
    }

    /// Connections allowed now.
    pub(super) fn most(&self) -> usize {
        self.now
    }

    /// The reserve fits the budget: never more than half of it.
    pub(super) fn reserved(&self, configured: usize) -> usize {
        configured.min(self.now / 2)
    }

    /// The agent refused a connection for their number, while `open` others were there. Connections
    /// that were being made when the budget was lowered last do not lower it again, nor does one above
    /// it. `true` if it is lower now.
    pub(super) fn refused(&mut self, dialled: Instant, now: Instant, open: usize) -> bool {
        self.died_at_once = 0;
        if open > self.now || self.lowered.is_some_and(|lowered| dialled <= lowered) {
            return false;
        }
        let before = self.now;
        self.now = (self.now / 2).max(LEAST.min(self.configured));
        self.lowered = Some(now);
        self.step = Some(now);
        self.now < before
    }

    /// A connection died at once while others live; the second in a row is a refusal.
    pub(super) fn died_at_once(&mut self, dialled: Instant, now: Instant, open: usize) -> bool {
        self.died_at_once = self.died_at_once.saturating_add(1);
        self.died_at_once >= 2 && self.refused(dialled, now, open)
    }

    /// A new connection brought an answer.
    pub(super) fn answered(&mut self) {
        self.died_at_once = 0;
    }

    /// Whether it has the size of the setting.
    pub(super) fn is_whole(&self) -> bool {
        self.now == self.configured
    }

    /// Grows again, as time goes by. `true` if it has its full size again now.
    pub(super) fn recover(&mut self, now: Instant, period: Duration) -> bool {
        let Some(step) = self.step else { return false };
        let steps = now.saturating_duration_since(step).as_nanos() / period.as_nanos().max(1);
        if steps == 0 {
            return false;
        }
        let grown = (self.configured / 8).max(1).saturating_mul(usize::try_from(steps).unwrap_or(usize::MAX));
        self.now = self.now.saturating_add(grown).min(self.configured);
        let whole = self.now == self.configured;
        self.step = if whole { None } else { Some(now) };
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use std::time::Duration;
    use tokio::time::Instant;

    const PERIOD: Duration = Duration::from_secs(10);

    #[test]
    fn a_refusal_halves_it_once_for_all_that_were_being_made() {
        let (mut budget, start) = (Budget::new(64), Instant::now());
        let later = start + Duration::from_secs(1);
        assert!(budget.refused(start, later, 9));
        assert!(!budget.refused(start, later, 9), "dialled before the budget was lowered");
        assert_eq!(budget.most(), 32);
        assert!(budget.refused(later + Duration::from_millis(1), later + Duration::from_secs(1), 32));
        assert_eq!((budget.most(), budget.reserved(8)), (16, 8));
        let end = later + Duration::from_secs(2);
        assert!(!budget.refused(end, end, 17), "more are open than it allows: it is low enough");
    }

    #[test]
    fn two_that_die_at_once_in_a_row_are_a_refusal() {
        let (mut budget, start) = (Budget::new(64), Instant::now());
        assert!(!budget.died_at_once(start, start, 9));
        budget.answered();
        assert!(!budget.died_at_once(start, start, 9));
        assert!(budget.died_at_once(start, start, 9));
        assert_eq!(budget.most(), 32);
    }

    #[test]
    fn it_never_falls_below_two_and_grows_back_by_eighths() {
        let (mut budget, start) = (Budget::new(64), Instant::now());
        for second in 0..10 {
            let now = start + Duration::from_secs(second);
            budget.refused(now, now, 1);
        }
        assert_eq!((budget.most(), budget.reserved(8)), (2, 1));
        let last = start + Duration::from_secs(9);
        assert!(!budget.recover(last + Duration::from_secs(9), PERIOD));
        assert_eq!(budget.most(), 2);
        assert!(!budget.recover(last + PERIOD, PERIOD));
        assert_eq!(budget.most(), 10);
        assert!(budget.recover(last + PERIOD * 8, PERIOD));
        assert_eq!(budget.most(), 64);
        assert!(!budget.recover(last + PERIOD * 9, PERIOD), "told once");
    }
}
