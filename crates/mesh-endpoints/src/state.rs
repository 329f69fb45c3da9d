//! What is counted for one address, kept across updates for as long as the address stays.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::Ejection;
use crate::clock::Ticks;

/// The counters of one address. Picks hold it, so it outlives the address's place in the set.
///
/// All accesses are relaxed: each number stands alone, none publishes other data.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) address: SocketAddr,
    /// End of the last ejection in [`Ticks`], past or future; [`Ticks::NEVER`] if there was none.
    ejected_until: AtomicI64,
    /// Connections open or being opened.
    active: AtomicU32,
    /// Failed connects since the last success or ejection.
    consecutive: AtomicU32,
    /// Failed connects ever; wraps.
    failures: AtomicU32,
    /// The n of "n times base"; see [`Ejection`].
    times: AtomicU32,
}

impl State {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            ejected_until: AtomicI64::new(Ticks::NEVER.raw()),
            active: AtomicU32::new(0),
            consecutive: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            times: AtomicU32::new(0),
        }
    }

    pub(crate) fn begin(&self) {
        self.active.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self) {
        self.active.fetch_sub(1, Relaxed);
    }

    pub(crate) fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    pub(crate) fn consecutive(&self) -> u32 {
        self.consecutive.load(Relaxed)
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    pub(crate) fn succeeded(&self) {
        // Read first: a busy endpoint's line stays shared between the cores.
        if self.consecutive.load(Relaxed) != 0 {
            self.consecutive.store(0, Relaxed);
        }
    }

    /// Counts a failed connect; true if there are now enough in a row to eject.
    ///
    /// While it is ejected, failures say nothing new: they come from connects begun before, or from a
    /// set in which all are ejected. They do not count towards the next ejection.
    pub(crate) fn failed(&self, now: Instant, rules: &Ejection) -> bool {
        self.failures.fetch_add(1, Relaxed);
        if self.is_ejected(now) {
            return false;
        }
        let before = self.consecutive.fetch_add(1, Relaxed);
        rules.is_on() && before.saturating_add(1) >= rules.consecutive_failures
    }

    pub(crate) fn is_ejected(&self, now: Instant) -> bool {
        let until = self.ejected_until();
        // The common case needs no arithmetic with `now`.
        until != Ticks::NEVER && until > Ticks::of(now)
    }

    /// Time until it comes back, if it is out.
    pub(crate) fn ejected_for(&self, now: Instant) -> Option<Duration> {
        self.is_ejected(now).then(|| self.ejected_until().since(Ticks::of(now)))
    }

    /// Leaves it out from `now` on and says for how long. The caller holds the set's lock.
    pub(crate) fn eject(&self, now: Instant, rules: &Ejection) -> Duration {
        let now = Ticks::of(now);
        let longest = rules.max.max(rules.base);
        let times = self.times_left(now, rules).saturating_add(1);
        let duration = rules.base.saturating_mul(times).min(longest);
        // No higher than what reaches the longest time, or it would take for ever to come down.
        let ceiling =
            u32::try_from(longest.as_nanos().div_ceil(rules.base.as_nanos().max(1))).unwrap_or(u32::MAX);
        self.times.store(times.min(ceiling), Relaxed);
        self.consecutive.store(0, Relaxed);
        self.ejected_until.store(now.after(duration).raw(), Relaxed);
        duration
    }

    /// Back at once and without a past.
    pub(crate) fn forgive(&self) {
        self.times.store(0, Relaxed);
        self.ejected_until.store(Ticks::NEVER.raw(), Relaxed);
    }

    fn ejected_until(&self) -> Ticks {
        Ticks::from_raw(self.ejected_until.load(Relaxed))
    }

    fn times_left(&self, now: Ticks, rules: &Ejection) -> u32 {
        let until = self.ejected_until();
        if until == Ticks::NEVER {
            return 0;
        }
        let served = now.since(until).as_nanos() / rules.base.as_nanos().max(1);
        self.times.load(Relaxed).saturating_sub(u32::try_from(served).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Ejection = Ejection {
        consecutive_failures: 2,
        base: Duration::from_secs(30),
        max: Duration::from_secs(100),
        max_percent: 10,
    };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn ejections_grow_to_the_maximum_and_decay_with_good_time() {
        let state = State::new(([10, 0, 0, 1], 80).into());
        let mut now = Instant::now();
        for expected in [30, 60, 90, 100, 100, 100] {
            assert_eq!(state.eject(now, &RULES), seconds(expected));
            assert_eq!(state.ejected_for(now), Some(seconds(expected)));
            now += seconds(expected);
            assert!(!state.is_ejected(now), "back when the time is over, not later");
        }
        // n is 4 (100 s are reached with it). Three bases of good time leave 1, so the next is 2.
        now += seconds(90);
        assert_eq!(state.eject(now, &RULES), seconds(60));
        now += seconds(60 + 3600);
        assert_eq!(state.eject(now, &RULES), seconds(30));
    }

    #[test]
    fn failures_in_a_row_count_and_a_success_starts_again() {
        let state = State::new(([10, 0, 0, 1], 80).into());
        let now = Instant::now();
        assert!(!state.failed(now, &RULES));
        state.succeeded();
        assert!(!state.failed(now, &RULES));
        assert!(state.failed(now, &RULES));
        state.eject(now, &RULES);
        assert!(!state.failed(now, &RULES), "failures while it is out do not count");
        assert_eq!((state.consecutive(), state.failures()), (0, 4));
    }

    #[test]
    fn a_base_longer_than_the_maximum_wins() {
        let rules = Ejection { max: seconds(1), ..RULES };
        assert_eq!(State::new(([10, 0, 0, 1], 80).into()).eject(Instant::now(), &rules), seconds(30));
    }
}
