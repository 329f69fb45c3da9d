//! How far a quorum check reaches.
//!
//! A server that has just become the leader may answer from a state that it is still replaying (consul-api
//! 2.9), so a first read asks for a quorum check. That costs the leader three times the read itself, and a
//! gateway at its start has a thousand of them. A server that was killed, has been started again and was
//! elected needs longer than a second for it; so for half a second one check speaks for the reads after it.

use std::time::{Duration, Instant};

/// The last check, and those under way.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// When the read that was checked began, and the agent of then, by its epoch.
    last: Option<(Instant, u64)>,
    under_way: usize,
    /// The agent answers by other servers than the leader, whatever it is asked (`discovery_max_stale`).
    off: bool,
}

impl Checked {
    /// Whether a read that begins now may ask the leader without another check. From half of the time on
    /// there is one read that renews it.
    pub(super) fn reaches(&self, now: Instant, epoch: u64, reach: Duration) -> bool {
        let Some((at, of)) = self.last.filter(|_| !self.off) else { return false };
        let age = now.saturating_duration_since(at);
        of == epoch && (age < reach / 2 || (age < reach && self.under_way > 0))
    }

    /// A read that is to be checked begins.
    pub(super) fn begins(&mut self) {
        self.under_way += 1;
    }

    /// It was answered.
    pub(super) fn answered(&mut self, began: Instant, epoch: u64) {
        if self.last.is_none_or(|(at, of)| of != epoch || at < began) {
            self.last = Some((began, epoch));
        }
    }

    /// It is over, whatever came of it.
    pub(super) fn ends(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// The leader was asked and another answered.
    pub(super) fn is_of_no_use(&mut self) {
        self.off = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: Duration = Duration::from_millis(500);

    #[test]
    fn it_reaches_for_a_time_and_is_renewed_by_one() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut checked = Checked::default();
        assert!(!checked.reaches(at(0), 1, REACH), "nothing was checked yet");
        checked.begins();
        checked.answered(at(0), 1);
        checked.ends();
        assert!(checked.reaches(at(249), 1, REACH));
        assert!(!checked.reaches(at(250), 1, REACH), "the first after half of it renews it");
        checked.begins();
        assert!(checked.reaches(at(499), 1, REACH), "the others go on meanwhile");
        assert!(!checked.reaches(at(500), 1, REACH), "but not for longer");
        checked.answered(at(250), 1);
        checked.ends();
        assert!(checked.reaches(at(499), 1, REACH) && !checked.reaches(at(500), 1, REACH));
        checked.answered(at(100), 1);
        assert!(checked.reaches(at(499), 1, REACH), "a late answer to an earlier one takes nothing away");
    }

    #[test]
    fn another_agent_and_one_that_lets_others_answer_end_it() {
        let start = Instant::now();
        let mut checked = Checked::default();
        checked.answered(start, 1);
        assert!(checked.reaches(start, 1, REACH) && !checked.reaches(start, 2, REACH));
        assert!(!checked.reaches(start, 1, Duration::ZERO), "it is switched off");
        checked.is_of_no_use();
        assert!(!checked.reaches(start, 1, REACH));
        checked.answered(start, 1);
        assert!(!checked.reaches(start, 1, REACH), "for good");
    }
}
