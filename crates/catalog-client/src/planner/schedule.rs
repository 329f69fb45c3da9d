//! Which name is due, and how it is asked. Pure: time and random numbers are passed in.
//!
//! * A new name is read at once, before all that is only due; an idle one after those that are not.
//! * In turn, each name has a *phase*: its place in the round, the same in each. Phases come from the
//!   golden ratio, so that they stay spread however names come and go.
//! * There is one set of times for long polls and one for reads in turn, and no timer per name.
//! * Every fourth start belongs to what is due, whatever else is urgent: no name starves.
//! * A name that goes while its long poll is under way keeps its place until the poll has run out;
//!   coming back meanwhile it finds it again. So names that flap cost no more than those that stay.

mod checked;
mod entry;
mod outcome;
mod pick;
mod place;
mod show;

use super::{Mode, PlanConfig, ScheduleCounts, mode};
use crate::watch::{Loop, Nature};
use checked::Checked;
use entry::{Entry, Queue};
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) use entry::Job;
pub(super) use outcome::Failed;
pub(super) use pick::Next;

/// Where an entry stands.
type Slot = u32;

/// All names of a family.
pub(super) struct Schedule {
    config: Arc<PlanConfig>,
    nature: Nature,
    start: Instant,
    mode: Option<Mode>,
    reason: String,
    by_name: HashMap<Arc<str>, Slot>,
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    /// Names that are read.
    there: usize,
    /// Names among them that are not idle.
    active: usize,
    /// `None`: all that are not idle.
    hot: Option<HashSet<Arc<str>>>,
    urgent: VecDeque<Slot>,
    fresh: VecDeque<Slot>,
    later: VecDeque<Slot>,
    fast: VecDeque<Slot>,
    polls: BTreeSet<(Instant, Slot)>,
    rounds: BTreeSet<(Instant, Slot)>,
    period: Duration,
    idle_period: Duration,
    reading: usize,
    sweeping: usize,
    holding: usize,
    /// Long polls that may be held.
    room: usize,
    fast_wanted: bool,
    fast_begun: Option<Instant>,
    /// Until the next fast round, by what the last one cost.
    fast_pause: Duration,
    /// What first reads may lean on.
    checked: Checked,
    turn: u8,
    mark: u32,
    failing: usize,
    /// A failure has been written into the log, and that all is well again has not.
    said: bool,
    swept: usize,
    counts: ScheduleCounts,
}

impl Schedule {
    pub(super) fn new(config: Arc<PlanConfig>, nature: Nature, start: Instant) -> Self {
        let period = config.rounds.period(0);
        Self {
            idle_period: period * config.rounds.idle,
            config,
            nature,
            start,
            mode: None,
            reason: String::new(),
            by_name: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            there: 0,
            active: 0,
            hot: None,
            urgent: VecDeque::new(),
            fresh: VecDeque::new(),
            later: VecDeque::new(),
            fast: VecDeque::new(),
            polls: BTreeSet::new(),
            rounds: BTreeSet::new(),
            period,
            reading: 0,
            sweeping: 0,
            holding: 0,
            room: usize::MAX,
            fast_wanted: false,
            fast_begun: None,
            fast_pause: Duration::ZERO,
            checked: Checked::default(),
            turn: 0,
            mark: 0,
            failing: 0,
            said: false,
            swept: 0,
            counts: ScheduleCounts::default(),
        }
    }

    /// The names from now on. New ones are read at once, hot ones first; those that are not named are
    /// forgotten with all that is known of them. Says how many are too many.
    pub(super) fn set_names(&mut self, now: Instant, names: impl IntoIterator<Item = Arc<str>>) -> usize {
        let mark = self.mark.wrapping_add(1);
        self.mark = mark;
        let mut refused = 0;
        let mut new = Vec::new();
        for name in names {
            let found = self.by_name.get(&name).copied();
            if let Some(entry) = found.and_then(|slot| self.entry(slot)).filter(|entry| !entry.gone) {
                entry.mark = mark;
                continue;
            }
            new.push((name, found));
        }
        self.remove_unmarked();
        for (name, found) in new {
            if self.there >= self.config.max_names {
                refused += 1;
            } else {
                // Named twice, it is there by now.
                self.add(now, name, found);
            }
        }
        self.counts.refused += refused as u64;
        self.count_changed(now);
        refused
    }

    /// A new name is read first in any case; that it is hot only decides before whom.
    fn add(&mut self, now: Instant, name: Arc<str>, found: Option<Slot>) {
        let hot = self.hot.as_ref().is_none_or(|hot| hot.contains(&name));
        let found = found.or_else(|| self.by_name.get(&name).copied());
        let slot = match found {
            Some(slot) => {
                let (mark, nature) = (self.mark, self.nature);
                let Some(entry) = self.entry(slot) else { return };
                if !entry.gone {
                    entry.mark = mark;
                    return;
                }
                entry.renew(Loop::new(nature), now);
                entry.mark = mark;
                entry.hot = hot;
                slot
            }
            None => {
                let mut entry = Entry::new(Arc::clone(&name), Loop::new(self.nature), now);
                entry.mark = self.mark;
                entry.hot = hot;
                let slot = self.store(entry);
                self.by_name.insert(name, slot);
                slot
            }
        };
        self.there += 1;
        self.active += 1;
        self.enqueue(slot, Queue::Fresh, hot);
    }

    fn store(&mut self, entry: Entry) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = Some(entry);
            return slot;
        }
        self.entries.push(Some(entry));
        // The number of names is bounded far below.
        Slot::try_from(self.entries.len() - 1).unwrap_or(Slot::MAX)
    }

    fn remove_unmarked(&mut self) {
        let mark = self.mark;
        let gone: Vec<Slot> = (0..)
            .zip(&self.entries)
            .filter(|(_, entry)| entry.as_ref().is_some_and(|entry| !entry.gone && entry.mark != mark))
            .map(|(slot, _)| slot)
            .collect();
        for slot in gone {
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: Slot) {
        self.unplace(slot);
        let Some(entry) = self.entry(slot) else { return };
        entry.gone = true;
        let (idle, failing) = (entry.idle, std::mem::take(&mut entry.failing));
        // What is queued is skipped when its turn comes.
        entry.queue = None;
        self.there -= 1;
        self.active -= usize::from(!idle);
        self.failing -= usize::from(failing);
        self.bury(slot);
    }

    /// Frees the place of a name that is gone, once nothing of it is under way.
    fn bury(&mut self, slot: Slot) {
        if self.entry(slot).is_some_and(|entry| entry.gone && !entry.reading && !entry.polling)
            && let Some(entry) = self.entries[slot as usize].take()
        {
            self.by_name.remove(&entry.name);
            self.free.push(slot);
        }
    }

    /// Marks a name as one whose answer was empty, or no longer.
    pub(super) fn set_idle(&mut self, now: Instant, name: &str, idle: bool) {
        let Some(slot) = self.find(name) else { return };
        let Some(entry) = self.entry(slot).filter(|entry| entry.idle != idle) else { return };
        entry.idle = idle;
        if idle {
            self.active -= 1;
        } else {
            self.active += 1;
        }
        let waits = self.entry(slot).and_then(|entry| entry.queue);
        match waits {
            // Nobody calls it: it lets others go first.
            Some(Queue::Fresh) if idle => self.enqueue(slot, Queue::Later, false),
            Some(Queue::Later) if !idle => self.enqueue(slot, Queue::Fresh, false),
            _ => {}
        }
        self.unplace(slot);
        self.count_changed(now);
        self.place(now, slot);
    }

    /// Says which names have traffic; `None`: all that are not idle.
    pub(super) fn set_hot(&mut self, hot: Option<HashSet<Arc<str>>>) {
        for entry in self.entries.iter_mut().flatten() {
            entry.hot = hot.as_ref().is_none_or(|hot| hot.contains(&entry.name));
        }
        self.hot = hot;
    }

    /// Chooses the mode again. Says when it is another, and why.
    pub(super) fn consider(&mut self, now: Instant, load: &mode::Load) -> Option<(Mode, &str)> {
        let load = mode::Load { names: self.active, ..*load };
        self.room = load.capacity.blocking.saturating_sub(load.watches + load.others);
        let choice = mode::choose(self.mode, &load, &self.config)?;
        let mode = choice.mode;
        if self.mode == Some(mode) {
            return None;
        }
        self.mode = Some(mode);
        self.reason = choice.reason();
        self.counts.mode_changes += 1;
        self.place_all(now);
        Some((mode, &self.reason))
    }

    /// How many names there are.
    pub(super) fn names(&self) -> usize {
        self.there
    }

    /// How many there may be.
    pub(super) fn max_names(&self) -> usize {
        self.config.max_names
    }

    /// Whether names wait for their turn: then what wakes nearby is news for them.
    pub(super) fn is_read_in_turn(&self) -> bool {
        self.mode != Some(Mode::Block)
    }

    /// Names that are long-polled, or will be.
    pub(super) fn blocked(&self) -> usize {
        if self.mode == Some(Mode::Block) { self.active } else { 0 }
    }

    fn find(&self, name: &str) -> Option<Slot> {
        let slot = *self.by_name.get(name)?;
        self.entries.get(slot as usize)?.as_ref().filter(|entry| !entry.gone).map(|_| slot)
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }
}
