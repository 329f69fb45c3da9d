//! What is started next.

use super::{
    Mode, Schedule, Slot,
    entry::{Job, Place, Queue, Work},
};
use crate::query::Ask;
use std::time::{Duration, Instant};

/// What the runner does next.
#[derive(Debug)]
pub(in crate::planner) enum Next {
    /// This one now.
    Go(Job),
    /// Nothing before then, unless something changes.
    At(Instant),
    /// Nothing until something changes.
    Wait,
}

/// How long polls wait for first reads.
const FRESH_FIRST: Duration = Duration::from_secs(1);

impl Schedule {
    /// What is started next. Whoever gets a job must [`finish`](Self::finish) it.
    pub(in crate::planner) fn next(&mut self, now: Instant, epoch: u64) -> Next {
        self.begin_fast_round(now);
        self.turn = (self.turn + 1) % 4;
        let job = if self.turn == 0 {
            self.due(now, epoch).or_else(|| self.queued(now, epoch))
        } else {
            self.queued(now, epoch).or_else(|| self.due(now, epoch))
        };
        match job {
            Some(job) => Next::Go(job),
            None => self.soonest(now).map_or(Next::Wait, Next::At),
        }
    }

    /// When something may be started without anything having ended.
    fn soonest(&self, now: Instant) -> Option<Instant> {
        let first = |set: &std::collections::BTreeSet<(Instant, Slot)>| set.first().map(|(at, _)| *at);
        let polls = first(&self.polls).map(|at| self.poll_from(at)).filter(|at| *at > now || self.may_read());
        let rounds = first(&self.rounds).filter(|_| self.may_sweep());
        let fast = self.fast_begun.filter(|_| self.fast_wanted).map(|begun| begun + self.fast_pause);
        let fast = fast.filter(|at| *at > now);
        [polls, rounds, fast].into_iter().flatten().min().map(|at| at.max(now))
    }

    /// When a poll that is due at this time may begin: first all names are read once, because that is
    /// what a gateway at its start waits for, and a poll is as much work for the agent as a read.
    fn poll_from(&self, at: Instant) -> Instant {
        if self.fresh.is_empty() { at } else { at + FRESH_FIRST }
    }

    fn may_read(&self) -> bool {
        self.reading < self.config.reads.max(1)
    }

    fn may_sweep(&self) -> bool {
        self.may_read() && self.sweeping < self.config.sweep_reads.max(1)
    }

    fn queued(&mut self, now: Instant, epoch: u64) -> Option<Job> {
        if !self.may_read() {
            return None;
        }
        for queue in [Queue::Urgent, Queue::Fresh, Queue::Fast, Queue::Later] {
            while let Some(slot) = self.line(queue).pop_front() {
                let waits = |entry: &&mut super::Entry| entry.queue == Some(queue) && !entry.gone;
                let Some(entry) = self.entry(slot).filter(waits) else { continue };
                entry.queue = None;
                if queue == Queue::Urgent {
                    entry.read_at = Some(now);
                }
                if entry.reading {
                    entry.again = true;
                    continue;
                }
                let count = match queue {
                    Queue::Urgent => &mut self.counts.reads_now,
                    Queue::Fresh | Queue::Later => &mut self.counts.first_reads,
                    Queue::Fast => &mut self.counts.fast_reads,
                };
                *count += 1;
                return self.start(now, epoch, slot, Work::Read);
            }
        }
        None
    }

    fn line(&mut self, queue: Queue) -> &mut std::collections::VecDeque<Slot> {
        match queue {
            Queue::Urgent => &mut self.urgent,
            Queue::Fresh => &mut self.fresh,
            Queue::Fast => &mut self.fast,
            Queue::Later => &mut self.later,
        }
    }

    fn due(&mut self, now: Instant, epoch: u64) -> Option<Job> {
        if let Some((_, slot)) = self.polls.first().copied().filter(|(at, _)| self.poll_from(*at) <= now)
            && let Some(job) = self.poll(now, epoch, slot)
        {
            return Some(job);
        }
        let (_, slot) = self.rounds.first().copied().filter(|(at, _)| *at <= now && self.may_sweep())?;
        self.counts.sweep_reads += 1;
        let idle = self.entry(slot).is_some_and(|entry| entry.idle);
        if !idle {
            self.swept += 1;
            if self.swept >= self.active {
                self.swept = 0;
                self.counts.rounds += 1;
            }
        }
        self.start(now, epoch, slot, Work::Sweep)
    }

    fn poll(&mut self, now: Instant, epoch: u64, slot: Slot) -> Option<Job> {
        let entry = self.entry(slot)?;
        if entry.epoch != epoch {
            entry.inner.forget();
        }
        if !entry.inner.will_wait() {
            // A round without index is a read as any other.
            return if self.may_read() { self.start(now, epoch, slot, Work::Read) } else { None };
        }
        if self.holding >= self.room.max(1) {
            // Polls of names that are gone still hold their places.
            self.counts.capped += 1;
            self.put(slot, Place::Polls, now + self.config.watch.round_every);
            return None;
        }
        self.counts.polls += 1;
        self.start(now, epoch, slot, Work::Poll)
    }

    fn start(&mut self, now: Instant, epoch: u64, slot: Slot, work: Work) -> Option<Job> {
        self.unplace(slot);
        let blocks = self.mode == Some(Mode::Block);
        let config = std::sync::Arc::clone(&self.config);
        let entry = self.entry(slot)?;
        if std::mem::replace(&mut entry.epoch, epoch) != epoch {
            entry.inner.forget();
        }
        let mut sent = match work {
            Work::Poll => entry.inner.send(now, &config.watch),
            Work::Read if blocks && !entry.idle && !entry.inner.will_wait() => {
                entry.inner.send(now, &config.watch)
            }
            Work::Read | Work::Sweep if config.any_server => entry.inner.send_in_turn(now, &config.watch),
            Work::Read | Work::Sweep => entry.inner.send_to_leader(now, &config.watch),
        };
        let first = sent.ask == Ask::Now && entry.inner.is_new();
        match work {
            Work::Poll => entry.polling = true,
            Work::Read | Work::Sweep => {
                entry.reading = true;
                entry.again = false;
            }
        }
        let (life, name) = (entry.life, std::sync::Arc::clone(&entry.name));
        if first && self.checked.reaches(now, epoch, config.check_reaches) {
            sent.ask = Ask::Leader;
        } else if sent.ask == Ask::Now {
            self.checked.begins();
        }
        let job = Job { slot, life, name, epoch, sent, work };
        match work {
            Work::Poll => self.holding += 1,
            Work::Read => self.reading += 1,
            Work::Sweep => {
                self.reading += 1;
                self.sweeping += 1;
            }
        }
        Some(job)
    }

    /// Wants a name read at once, or as soon as it may be. A long poll that works says more.
    pub(in crate::planner) fn read_now(&mut self, now: Instant, name: &str) {
        let pause = self.config.read_now_every;
        let Some(slot) = self.find(name) else { return };
        let Some(entry) = self.entry(slot).filter(|entry| !entry.polling && entry.queue.is_none()) else {
            return;
        };
        let early = entry.read_at.is_some_and(|at| now.saturating_duration_since(at) < pause);
        let backs_off = entry.inner.due_in_turn().is_some_and(|at| at > now);
        if entry.reading || early || backs_off {
            entry.again = true;
            if !entry.reading {
                self.place(now, slot);
            }
            return;
        }
        self.enqueue(slot, Queue::Urgent, false);
    }

    /// Wants all hot names read soon.
    pub(in crate::planner) fn fast_round(&mut self) {
        self.fast_wanted = true;
    }

    fn begin_fast_round(&mut self, now: Instant) {
        let pause = self.fast_pause;
        let early = self.fast_begun.is_some_and(|begun| now.saturating_duration_since(begun) < pause);
        if !self.fast_wanted || early || !self.fast.is_empty() {
            return;
        }
        self.fast_wanted = false;
        self.fast_begun = Some(now);
        let free = |entry: &super::Entry| {
            let busy = entry.gone || entry.idle || entry.polling || entry.reading || entry.queue.is_some();
            entry.hot && !busy && entry.inner.due_in_turn().is_none_or(|at| at <= now)
        };
        let mut slots: Vec<_> = (0..)
            .zip(&self.entries)
            .filter_map(|(slot, entry)| Some((slot, entry.as_ref().filter(|entry| free(entry))?)))
            .map(|(slot, entry)| (std::cmp::Reverse(entry.live.changed), slot))
            .collect();
        // What changed last is the likeliest to have changed again.
        slots.sort_unstable();
        self.counts.fast_rounds += u64::from(!slots.is_empty());
        self.fast_pause = self.config.fast_pause(slots.len());
        for (_, slot) in slots {
            self.enqueue(slot, Queue::Fast, false);
        }
    }
}
