//! How the leaf of each linked service is followed, within a budget (identity 4.1).
//!
//! * Up to [`LeafConfig::held`] leaves have a long poll of their own: an agent answers when it has renewed one.
//! * Each further one is read in turn. When the active root changes, the agent renews all within 30 s or so, each at a
//!   moment of its own choice, and says nothing: those that are read in turn are read soon, and again until they are
//!   others than before.
//! * One with less than a tenth of its life left should have been renewed long ago: it is asked for without waiting,
//!   often, until it is.
//!
//! Nothing here asks: [`Changes`] says what is to be done. Time is passed in.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// How leaves are followed. Only for gateways that end TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafConfig {
    /// Leaves with a long poll of their own. Default 8; over HTTP/1.1 each costs a connection.
    pub held: usize,
    /// The others are read again in this time each, spread evenly. Default 5 min.
    pub every: Duration,
    /// After a change of the active root all of these are read within this time. Default 60 s.
    pub renew_within: Duration,
    /// How long leaves that are still the old ones are asked for so, before they are left to their turn. Default 10 min.
    pub renew_for: Duration,
    /// A leaf that is overdue is read so often. Default 30 s.
    pub overdue_every: Duration,
    /// Reads of leaves under way at a time. Default 8: an agent has to make a key and have it signed.
    pub reads: usize,
}

impl Default for LeafConfig {
    fn default() -> Self {
        Self {
            held: 8,
            every: Duration::from_secs(300),
            renew_within: Duration::from_secs(60),
            renew_for: Duration::from_secs(600),
            overdue_every: Duration::from_secs(30),
            reads: 8,
        }
    }
}

/// How a leaf is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a long poll of its own.
    Held,
    /// In turn.
    Turn,
    /// Without waiting, often.
    Overdue,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Long polls to begin.
    pub(super) hold: Vec<Arc<str>>,
    /// Long polls to give up.
    pub(super) release: Vec<Arc<str>>,
    /// Those that are read in turn are others than before.
    pub(super) turns: bool,
    /// Those that are overdue are.
    pub(super) overdue: bool,
    /// These are to be read within this time.
    pub(super) soon: Option<(Vec<Arc<str>>, Duration)>,
}

/// All leaves that are wanted.
#[derive(Debug)]
pub(super) struct Leaves {
    config: LeafConfig,
    known: BTreeMap<Arc<str>, Leaf>,
    root: Option<Box<str>>,
    renewal: Option<Renewal>,
    /// When the next of them becomes overdue, in seconds since 1970; 0: to be looked at now.
    judge_at: u64,
}

#[derive(Clone, Copy, Debug)]
struct Leaf {
    way: Way,
    /// When it becomes overdue, in seconds since 1970.
    alarm: Option<u64>,
}

/// Leaves that are still those of another root.
#[derive(Debug)]
struct Renewal {
    pending: BTreeSet<Arc<str>>,
    begun: Instant,
    /// When they are brought forward next.
    next: Instant,
}

impl Leaves {
    pub(super) fn new(config: LeafConfig) -> Self {
        Self { config, known: BTreeMap::new(), root: None, renewal: None, judge_at: 0 }
    }

    /// The services whose leaves are wanted from now on.
    pub(super) fn set(&mut self, wanted: &BTreeSet<Arc<str>>) -> Changes {
        let mut changes = Changes::default();
        let gone: Vec<_> = self.known.keys().filter(|name| !wanted.contains(*name)).cloned().collect();
        for name in gone {
            if let Some(leaf) = self.known.remove(&name) {
                changes.leave(&name, leaf.way);
            }
            if let Some(renewal) = &mut self.renewal {
                renewal.pending.remove(&name);
            }
        }
        for name in wanted {
            if !self.known.contains_key(name) {
                let way = self.way();
                self.known.insert(name.clone(), Leaf { way, alarm: None });
                changes.enter(name, way);
            }
        }
        self.fill(&mut changes);
        changes
    }

    /// A leaf came that is another than before, and good. It becomes overdue at `alarm`, in seconds since 1970.
    pub(super) fn received(&mut self, name: &str, alarm: u64) {
        if let Some(renewal) = &mut self.renewal {
            renewal.pending.remove(name);
        }
        if let Some(leaf) = self.known.get_mut(name) {
            leaf.alarm = Some(alarm);
            self.judge_at = 0;
        }
    }

    /// Which root signs now. The first one is no change.
    pub(super) fn root(&mut self, active: &str, now: Instant) {
        if self.root.as_deref() == Some(active) {
            return;
        }
        let first = self.root.replace(active.into()).is_none();
        let pending: BTreeSet<_> = self.names(Way::Turn).cloned().collect();
        if !first && !pending.is_empty() {
            self.renewal = Some(Renewal { pending, begun: now, next: now });
        }
    }

    /// Looks at the clocks: `clock` is in seconds since 1970.
    pub(super) fn tick(&mut self, now: Instant, clock: u64) -> Changes {
        let mut changes = Changes::default();
        self.judge(clock, &mut changes);
        let half = self.config.renew_within / 2;
        if let Some(renewal) = self.renewal.as_mut().filter(|renewal| renewal.next <= now) {
            if renewal.pending.is_empty() {
                self.renewal = None;
            } else if now.saturating_duration_since(renewal.begun) >= self.config.renew_for {
                tracing::warn!(
                    leaves = renewal.pending.len(),
                    "the root changed, and the agent has not renewed these leaves; they are read in turn"
                );
                self.renewal = None;
            } else {
                // The agent renews within the first half: whoever was read too early is read in the second.
                let rounds = now.saturating_duration_since(renewal.begun) >= self.config.renew_within;
                let within = if rounds { self.config.renew_within } else { half };
                renewal.next = now + within;
                changes.soon = Some((renewal.pending.iter().cloned().collect(), within));
            }
        }
        changes
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.renewal.as_ref().map(|renewal| renewal.next)
    }

    /// Those that are followed so.
    pub(super) fn names(&self, way: Way) -> impl Iterator<Item = &Arc<str>> {
        self.known.iter().filter(move |(_, leaf)| leaf.way == way).map(|(name, _)| name)
    }

    /// The way of one more.
    fn way(&self) -> Way {
        if self.names(Way::Held).count() < self.config.held { Way::Held } else { Way::Turn }
    }

    /// Long polls that have become free go to those that were there first.
    fn fill(&mut self, changes: &mut Changes) {
        while self.way() == Way::Held {
            let Some(name) = self.names(Way::Turn).next().cloned() else { return };
            self.turn_to(&name, Way::Held, changes);
        }
    }

    /// Those that have become overdue, and those that are so no more.
    fn judge(&mut self, clock: u64, changes: &mut Changes) {
        if clock < self.judge_at {
            return;
        }
        let late = |leaf: &Leaf| leaf.alarm.is_some_and(|alarm| alarm <= clock);
        let turned = |leaf: &Leaf| late(leaf) != (leaf.way == Way::Overdue);
        let turned: Vec<_> = self
            .known
            .iter()
            .filter(|(_, leaf)| turned(leaf))
            .map(|(name, leaf)| (name.clone(), late(leaf)))
            .collect();
        for (name, late) in turned {
            let way = if late { Way::Overdue } else { self.way() };
            self.turn_to(&name, way, changes);
        }
        self.fill(changes);
        let alarms = self.known.values().filter_map(|leaf| leaf.alarm);
        self.judge_at = alarms.filter(|alarm| *alarm > clock).min().unwrap_or(u64::MAX);
    }

    fn turn_to(&mut self, name: &Arc<str>, way: Way, changes: &mut Changes) {
        let Some(leaf) = self.known.get_mut(name) else { return };
        changes.leave(name, std::mem::replace(&mut leaf.way, way));
        changes.enter(name, way);
    }
}

impl Changes {
    fn leave(&mut self, name: &Arc<str>, way: Way) {
        match way {
            // Begun and given up in one step is nothing.
            Way::Held if self.hold.contains(name) => self.hold.retain(|one| one != name),
            Way::Held => self.release.push(name.clone()),
            Way::Turn => self.turns = true,
            Way::Overdue => self.overdue = true,
        }
    }

    fn enter(&mut self, name: &Arc<str>, way: Way) {
        match way {
            Way::Held => self.hold.push(name.clone()),
            Way::Turn => self.turns = true,
            Way::Overdue => self.overdue = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn set(names: std::ops::Range<usize>) -> BTreeSet<Arc<str>> {
        names.map(|n| Arc::from(format!("s{n:03}"))).collect()
    }

    fn counts(leaves: &Leaves) -> [usize; 3] {
        [Way::Held, Way::Turn, Way::Overdue].map(|way| leaves.names(way).count())
    }

    fn begun(n: usize) -> Leaves {
        let mut leaves = Leaves::new(LeafConfig::default());
        leaves.set(&set(0..n));
        leaves.root("old", Instant::now());
        for name in set(0..n) {
            leaves.received(&name, 1000);
        }
        assert_eq!(leaves.tick(Instant::now(), 100), Changes::default());
        leaves
    }

    #[test]
    fn eight_are_held_and_the_others_read_in_turn() {
        let mut leaves = Leaves::new(LeafConfig::default());
        let changes = leaves.set(&set(0..8));
        assert_eq!((changes.hold.len(), changes.turns), (8, false));
        let changes = leaves.set(&set(0..20));
        assert_eq!((changes.hold.len(), changes.turns), (0, true));
        assert_eq!(counts(&leaves), [8, 12, 0]);
        assert_eq!(leaves.set(&set(0..20)), Changes::default(), "nothing new");
        // Three that are held go: three others get their places.
        let changes = leaves.set(&set(3..20));
        assert_eq!((changes.release.len(), changes.hold.len(), changes.turns), (3, 3, true));
        assert_eq!(counts(&leaves), [8, 9, 0]);
        let changes = leaves.set(&BTreeSet::new());
        assert_eq!((changes.release.len(), changes.hold.len()), (8, 0));
        assert_eq!(counts(&leaves), [0, 0, 0]);
    }

    #[test]
    fn a_new_root_has_all_that_are_in_turn_read_until_they_are_new() {
        let (mut leaves, start) = (begun(108), Instant::now());
        assert_eq!(leaves.tick(start, 100), Changes::default());
        leaves.root("old", start);
        assert_eq!(leaves.due(), None, "the same root");
        leaves.root("new", start);
        assert_eq!(leaves.due(), Some(start));
        let (names, within) = leaves.tick(start, 100).soon.unwrap();
        assert_eq!((names.len(), within), (100, 30 * SECOND));
        assert_eq!(leaves.tick(start + 29 * SECOND, 100).soon, None);
        // Sixty were read after the agent had renewed them.
        for name in &names[..60] {
            leaves.received(name, 2000);
        }
        let (rest, within) = leaves.tick(start + 30 * SECOND, 100).soon.unwrap();
        assert_eq!((rest.as_slice(), within), (&names[60..], 30 * SECOND), "all within a minute");
        for name in &rest[1..] {
            leaves.received(name, 2000);
        }
        // One whose signing is held up: asked for every minute, and at last left to its turn.
        let (rest, within) = leaves.tick(start + 60 * SECOND, 100).soon.unwrap();
        assert_eq!((rest.len(), within), (1, 60 * SECOND));
        for minute in 2..10 {
            assert!(leaves.tick(start + minute * 60 * SECOND, 100).soon.is_some(), "{minute}");
        }
        assert_eq!(leaves.tick(start + 600 * SECOND, 100).soon, None);
        assert_eq!(leaves.due(), None);
        leaves.root("newer", start + 700 * SECOND);
        assert_eq!(leaves.tick(start + 700 * SECOND, 100).soon.unwrap().0.len(), 100);
    }

    #[test]
    fn eight_need_nothing_when_the_root_changes() {
        let (mut leaves, now) = (begun(8), Instant::now());
        leaves.root("new", now);
        assert_eq!((leaves.due(), leaves.tick(now, 100).soon), (None, None));
    }

    #[test]
    fn one_that_should_have_been_renewed_is_asked_for_without_waiting() {
        let (mut leaves, now) = (begun(10), Instant::now());
        let held: Arc<str> = leaves.names(Way::Held).next().unwrap().clone();
        leaves.received(&held, 500);
        assert_eq!(leaves.tick(now, 499), Changes::default());
        let changes = leaves.tick(now, 500);
        assert_eq!(changes.release, std::slice::from_ref(&held));
        assert!(changes.overdue && changes.turns && changes.hold.len() == 1, "{changes:?}");
        assert_eq!(counts(&leaves), [8, 1, 1]);
        // The same old one again: still overdue.
        leaves.received(&held, 500);
        assert_eq!(leaves.tick(now, 501), Changes::default());
        leaves.received(&held, 900);
        let changes = leaves.tick(now, 501);
        assert!(changes.overdue && changes.turns && changes.hold.is_empty(), "{changes:?}");
        assert_eq!(counts(&leaves), [8, 2, 0]);
    }

    #[test]
    fn all_may_be_overdue_and_one_may_come_so() {
        let (mut leaves, now) = (begun(10), Instant::now());
        let changes = leaves.tick(now, 5000);
        assert_eq!((changes.release.len(), changes.hold.len()), (8, 0), "{changes:?}");
        assert_eq!(counts(&leaves), [0, 0, 10]);
        for name in set(0..10) {
            leaves.received(&name, 9000);
        }
        assert_eq!(leaves.tick(now, 5001).hold.len(), 8);
        assert_eq!(counts(&leaves), [8, 2, 0]);
        leaves.set(&set(0..11));
        leaves.received("s010", 4999);
        leaves.received("nobody", 1);
        assert!(leaves.tick(now, 5002).overdue);
        assert_eq!(counts(&leaves), [8, 2, 1]);
    }

    #[test]
    fn what_is_gone_is_not_renewed() {
        let (mut leaves, now) = (begun(12), Instant::now());
        leaves.root("new", now);
        leaves.set(&set(0..8));
        assert_eq!(leaves.tick(now, 100).soon, None);
        assert_eq!(leaves.due(), None);
    }
}
