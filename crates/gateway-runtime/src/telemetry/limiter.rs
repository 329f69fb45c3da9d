//! Keeps a line that would be repeated many times a second to one per interval, and tells how many were left out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::Counter;

/// Says a line at most once per interval and key.
///
/// The number of keys is bounded, because keys may come from outside: above the bound, lines of new keys are left out
/// until an older key has expired.
#[derive(Debug)]
pub struct LineLimiter {
    every: Duration,
    max_keys: usize,
    suppressed: Counter,
    keys: Mutex<HashMap<Box<str>, Said>>,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    left_out: u64,
}

impl LineLimiter {
    /// One line per `every` and key, for up to `max_keys` keys. `suppressed` counts what is left out
    /// (`Metrics::log_suppressed`).
    #[must_use]
    pub fn new(every: Duration, max_keys: usize, suppressed: Counter) -> LineLimiter {
        LineLimiter { every, max_keys, suppressed, keys: Mutex::default() }
    }

    /// Whether to say the line of `key` now. `Some(n)`: yes, and `n` of its like were left out since the last one.
    pub fn allow(&self, key: &str, now: Instant) -> Option<u64> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = keys.get_mut(key) {
            if now.saturating_duration_since(said.at) >= self.every {
                said.at = now;
                return Some(std::mem::take(&mut said.left_out));
            }
            said.left_out += 1;
            self.suppressed.inc();
            return None;
        }
        if keys.len() >= self.max_keys {
            // What is owed a last word stays for `take_expired`.
            keys.retain(|_, said| said.left_out > 0 || now.saturating_duration_since(said.at) < self.every);
        }
        if keys.len() >= self.max_keys {
            self.suppressed.inc();
            return None;
        }
        keys.insert(key.into(), Said { at: now, left_out: 0 });
        Some(0)
    }

    /// The keys whose interval is over, with the number of lines left out if there were any; they are forgotten. Call it
    /// now and then, so that a burst that does not come back still gets its number.
    pub fn take_expired(&self, now: Instant) -> Vec<(Box<str>, u64)> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let expired = keys.extract_if(|_, said| now.saturating_duration_since(said.at) >= self.every);
        expired.filter(|(_, said)| said.left_out > 0).map(|(key, said)| (key, said.left_out)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    #[test]
    fn a_repeated_line_is_said_once_with_the_number_left_out() {
        let counter = Counter::default();
        let limiter = LineLimiter::new(EVERY, 4, counter.clone());
        let start = Instant::now();
        assert_eq!(limiter.allow("refused", start), Some(0));
        for second in 0..9 {
            assert_eq!(limiter.allow("refused", start + Duration::from_secs(second)), None);
        }
        assert_eq!(limiter.allow("other key", start), Some(0));
        assert_eq!(limiter.allow("refused", start + EVERY), Some(9));
        assert_eq!(limiter.allow("refused", start + 2 * EVERY), Some(0));
        assert_eq!(counter.get(), 9);
    }

    #[test]
    fn keys_are_bounded_and_come_free_again() {
        let counter = Counter::default();
        let limiter = LineLimiter::new(EVERY, 100, counter.clone());
        let start = Instant::now();
        let said = (0..10_000).filter(|key| limiter.allow(&key.to_string(), start).is_some()).count();
        assert_eq!(said, 100);
        assert_eq!(counter.get(), 9_900);
        assert_eq!(limiter.allow("new", start + EVERY), Some(0));
    }

    #[test]
    fn a_burst_that_does_not_come_back_gets_its_number() {
        let limiter = LineLimiter::new(EVERY, 4, Counter::default());
        let start = Instant::now();
        limiter.allow("once", start);
        limiter.allow("burst", start);
        limiter.allow("burst", start);
        limiter.allow("burst", start);
        assert_eq!(limiter.take_expired(start), []);
        assert_eq!(limiter.take_expired(start + EVERY), [("burst".into(), 2)]);
        assert_eq!(limiter.take_expired(start + EVERY), []);
    }
}
