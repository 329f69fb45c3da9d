//! When a name is due.

use super::{
    Mode, Schedule, Slot,
    entry::{Place, Queue},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Reads a second that a return of the agent begins with: 1,000 hot names are read within 0.5 s.
const HOT_PER_SECOND: u32 = 2000;

/// Names a second that change their way, or come back after those that are hot.
const NAMES_PER_SECOND: u32 = 1000;

impl Schedule {
    /// Gives a name its next time, after a read or when its way has changed.
    pub(super) fn place(&mut self, now: Instant, slot: Slot) {
        self.unplace(slot);
        let blocks = self.mode == Some(Mode::Block);
        let config = Arc::clone(&self.config);
        let Some(entry) = self.entry(slot).filter(|entry| !entry.gone && entry.queue.is_none()) else {
            return;
        };
        if blocks && !entry.idle {
            if !entry.polling && !entry.reading {
                let at = entry.inner.due(&config.watch).unwrap_or(now).max(now);
                self.put(slot, Place::Polls, at);
            }
            return;
        }
        if entry.reading || entry.polling {
            return;
        }
        let earliest = entry.inner.due_in_turn().unwrap_or(now).max(now);
        let wanted = entry.again.then(|| entry.read_at.map_or(now, |at| at + config.read_now_every));
        let (idle, doubt) = (entry.idle, entry.inner.is_in_doubt());
        let retry = config.retries && entry.inner.failing().is_some();
        let at = if doubt || retry { now } else { self.next_phase(now, slot, idle) };
        self.put(slot, Place::Rounds, wanted.map_or(at, |wanted| wanted.min(at)).max(earliest));
    }

    /// Places all anew, because the mode is another: what is long-polled from now on begins spread.
    pub(super) fn place_all(&mut self, now: Instant) {
        let spread = (Duration::from_secs(1) * u32::try_from(self.active).unwrap_or(u32::MAX)
            / NAMES_PER_SECOND)
            .min(self.config.watch.resume_over);
        for slot in self.slots() {
            self.place(now, slot);
            let due = self.entry(slot).and_then(|entry| entry.due);
            if let Some((Place::Polls, at)) = due {
                self.put(slot, Place::Polls, at.max(now + spread.mul_f64(phase(slot))));
            }
        }
    }

    /// The agent is back: hot names first and at once, the others spread.
    pub(in crate::planner) fn resume(&mut self, now: Instant) {
        let all = u32::try_from(self.by_name.len()).unwrap_or(u32::MAX);
        let spread = self.config.watch.resume_over.max(Duration::from_secs(1) * all / NAMES_PER_SECOND);
        let mut hot = 0;
        for slot in self.slots() {
            self.unplace(slot);
            let blocks = self.mode == Some(Mode::Block);
            let Some(entry) = self.entry(slot).filter(|entry| !entry.gone) else { continue };
            let first = entry.hot && !entry.idle;
            let delay = if first {
                hot += 1;
                Duration::from_secs(1) * (hot - 1) / HOT_PER_SECOND
            } else {
                spread.mul_f64(0.1 + 0.9 * phase(slot))
            };
            entry.inner.resume(now + delay);
            if entry.queue.is_some() || entry.reading || entry.polling {
                // A read under way is given up, or answers: it finds its time when it ends.
                continue;
            }
            let place = if blocks && !entry.idle { Place::Polls } else { Place::Rounds };
            self.put(slot, place, now + delay);
        }
    }

    /// Brings the turns of these names forward, spread evenly over a time. One that is being read just now is
    /// read again: its answer may be of before whatever made them all worth reading.
    pub(in crate::planner) fn read_within(&mut self, now: Instant, names: &[Arc<str>], within: Duration) {
        let step = within / u32::try_from(names.len()).unwrap_or(u32::MAX).max(1);
        let mut at = now;
        for name in names {
            let Some(slot) = self.find(name) else { continue };
            let Some(entry) = self.entry(slot) else { continue };
            let earliest = entry.inner.due_in_turn().unwrap_or(now);
            match entry.due {
                _ if entry.reading => entry.again = true,
                Some((Place::Rounds, due)) => self.put(slot, Place::Rounds, at.max(earliest).min(due)),
                // It is long-polled, or first in line anyway.
                _ => {}
            }
            at += step;
        }
    }

    /// The next time of a name in its round.
    fn next_phase(&self, now: Instant, slot: Slot, idle: bool) -> Instant {
        let period = if idle { self.idle_period } else { self.period };
        let length = period.as_secs_f64().max(0.001);
        let passed = now.saturating_duration_since(self.start).as_secs_f64() / length;
        let place = phase(slot);
        let mut round = (passed - place).floor() + 1.0;
        // A read at its own phase must not find the same phase again through rounding.
        if round + place - passed < 0.001 {
            round += 1.0;
        }
        now + period.mul_f64((round + place - passed).clamp(0.0, 1.001))
    }

    /// The number of names is another: the rounds may be.
    pub(super) fn count_changed(&mut self, now: Instant) {
        let rounds = &self.config.rounds;
        let period = rounds.period(self.active);
        let idle_period = rounds.period(self.there) * rounds.idle.max(1);
        if (period, idle_period) == (self.period, self.idle_period) {
            return;
        }
        (self.period, self.idle_period) = (period, idle_period);
        let placed: Vec<(Instant, Slot)> = self.rounds.iter().copied().collect();
        for (at, slot) in placed {
            let Some(idle) = self.entry(slot).map(|entry| entry.idle) else { continue };
            // Never later than it was: whoever makes the number waver must not keep a name from its turn.
            let at = at.min(self.next_phase(now, slot, idle));
            self.put(slot, Place::Rounds, at);
        }
    }

    pub(super) fn put(&mut self, slot: Slot, place: Place, at: Instant) {
        self.unplace(slot);
        match place {
            Place::Polls => self.polls.insert((at, slot)),
            Place::Rounds => self.rounds.insert((at, slot)),
        };
        if let Some(entry) = self.entry(slot) {
            entry.due = Some((place, at));
        }
    }

    pub(super) fn unplace(&mut self, slot: Slot) {
        let Some((place, at)) = self.entry(slot).and_then(|entry| entry.due.take()) else { return };
        match place {
            Place::Polls => self.polls.remove(&(at, slot)),
            Place::Rounds => self.rounds.remove(&(at, slot)),
        };
    }

    pub(super) fn enqueue(&mut self, slot: Slot, queue: Queue, first: bool) {
        self.unplace(slot);
        let Some(entry) = self.entry(slot) else { return };
        entry.queue = Some(queue);
        let line = match queue {
            Queue::Urgent => &mut self.urgent,
            Queue::Fresh => &mut self.fresh,
            Queue::Fast => &mut self.fast,
            Queue::Later => &mut self.later,
        };
        // Of what is new the hot ones come first; among themselves in no order.
        if first && queue == Queue::Fresh && self.hot.is_some() {
            line.push_front(slot);
        } else {
            line.push_back(slot);
        }
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        (0..).zip(&self.entries).filter(|(_, entry)| entry.is_some()).map(|(slot, _)| slot).collect()
    }
}

/// The place of a slot in any round, from 0 up to 1: multiples of the golden ratio leave no gap and no
/// crowd, however many there are.
fn phase(slot: Slot) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    (f64::from(slot) * GOLDEN).fract()
}
