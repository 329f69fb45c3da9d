//! Instants as numbers, so that an atomic can hold them.
//!
//! The standard library gives no number for an [`Instant`]. The first instant that the process shows
//! us is the origin, and earlier ones are negative: which one it was cannot be seen from outside. One
//! origin for all sets keeps it out of each of ten thousand sets.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// A point in time, in nanoseconds from the origin (292 years either way).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticks(i64);

impl Ticks {
    /// Before every instant.
    pub(crate) const NEVER: Ticks = Ticks(i64::MIN);

    pub(crate) fn of(instant: Instant) -> Self {
        let origin = *ORIGIN.get_or_init(|| instant);
        match instant.checked_duration_since(origin) {
            Some(after) => Self(nanos(after)),
            None => Self(-nanos(origin.duration_since(instant))),
        }
    }

    pub(crate) fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    pub(crate) fn raw(self) -> i64 {
        self.0
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_and_later_instants_keep_their_distance() {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        let later = Ticks::of(now + hour);
        let first = Ticks::of(now);
        assert_eq!(later.since(first), hour);
        assert_eq!(first.since(later), Duration::ZERO);
        assert_eq!(first.after(hour), later);
        if let Some(before) = now.checked_sub(Duration::from_secs(5)) {
            assert_eq!(first.since(Ticks::of(before)), Duration::from_secs(5));
        }
        assert!(Ticks::NEVER < first);
    }
}
