//! A limit of events per second, as a bucket that is described by one instant. Pure.

use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    burst: Duration,
    /// When the bucket is full again.
    full: Option<Instant>,
}

impl Rate {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, burst: interval.saturating_mul(burst.saturating_sub(1)), full: None }
    }

    /// Takes one; the answer is how long to wait before it may happen. `None`, and nothing is taken, if
    /// that is longer than `longest`.
    pub(super) fn take(&mut self, now: Instant, longest: Duration) -> Option<Duration> {
        let full = self.full.filter(|full| *full > now).unwrap_or(now);
        let wait = full.saturating_duration_since(now).saturating_sub(self.burst);
        if wait > longest {
            return None;
        }
        self.full = Some(full + self.interval);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn a_burst_passes_and_the_rest_is_spread() {
        let (mut rate, now) = (Rate::new(10, 3), Instant::now());
        let longest = Duration::from_secs(60);
        let waits: Vec<u128> = (0..6).map(|_| rate.take(now, longest).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        let later = now + Duration::from_secs(10);
        assert_eq!(rate.take(later, longest).unwrap(), Duration::ZERO);
    }

    #[test]
    fn what_would_wait_too_long_takes_nothing() {
        let (mut rate, now) = (Rate::new(10, 1), Instant::now());
        assert_eq!(rate.take(now, Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(rate.take(now, Duration::from_millis(99)), None);
        assert_eq!(rate.take(now, Duration::from_millis(100)), Some(Duration::from_millis(100)));
    }
}
