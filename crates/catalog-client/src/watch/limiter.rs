//! How often a watch may ask.

use super::WatchConfig;
use std::time::{Duration, Instant};

/// Two buckets of tokens. A round that brings nothing new takes from the small one (burst 3, one a
/// second), so that an agent that answers at once for ever is not asked for ever. A change takes from
/// the large one, so that it passes at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limiter {
    /// When the small bucket is full again.
    rounds: Option<Instant>,
    /// When the large bucket is full again.
    changes: Option<Instant>,
    last: Option<Instant>,
    slow: bool,
}

impl Limiter {
    /// From when on a round may begin; `None`: at any time.
    pub(super) fn due(&self, config: &WatchConfig) -> Option<Instant> {
        let from = |full: Option<Instant>, burst: u32, every: Duration| {
            full.and_then(|full| full.checked_sub(every * burst.saturating_sub(1)))
        };
        let rounds = from(self.rounds, config.burst, config.round_every);
        let changes = from(self.changes, config.change_burst, config.change_every);
        let slow = self.last.filter(|_| self.slow).map(|last| last + config.slow_every);
        rounds.max(changes).max(slow)
    }

    /// A round begins.
    pub(super) fn take(&mut self, now: Instant, config: &WatchConfig) {
        self.rounds = Some(self.rounds.map_or(now, |full| full.max(now)) + config.round_every);
        self.last = Some(now);
    }

    /// The round brought a change: it costs nothing in the small bucket.
    pub(super) fn changed(&mut self, now: Instant, config: &WatchConfig) {
        self.rounds = self.rounds.and_then(|full| full.checked_sub(config.round_every));
        self.changes = Some(self.changes.map_or(now, |full| full.max(now)) + config.change_every);
        self.slow = false;
    }

    /// Whether one round in [`WatchConfig::slow_every`] is enough.
    pub(super) fn slow_down(&mut self, slow: bool) {
        self.slow = slow;
    }
}

/// The pause after the `times`-th failure in a row, counted from 1.
pub(super) fn pause(first: Duration, most: Duration, times: u32, random: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(times.saturating_sub(1));
    first.saturating_mul(doubled).min(most).mul_f64(0.5 + 0.5 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_never_less_than_half() {
        let (first, most) = (Duration::from_secs(1), Duration::from_secs(60));
        let at = |times, random| pause(first, most, times, random).as_secs_f64();
        assert_eq!(
            [at(1, 1.0), at(2, 1.0), at(6, 1.0), at(7, 1.0), at(90, 1.0)],
            [1.0, 2.0, 32.0, 60.0, 60.0]
        );
        assert_eq!([at(1, 0.0), at(90, 0.0)], [0.5, 30.0]);
    }
}
