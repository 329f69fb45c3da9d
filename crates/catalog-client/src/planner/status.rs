//! What a plan shows of itself, to any thread.

use super::{Mode, family::Family};
use crate::watch::{AgentCounters, AgentState, Locked, Row, Shown, View};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// A plan as an admin page and metrics see it. Clones share everything; any thread may ask.
#[derive(Clone)]
pub struct PlanStatus {
    pub(super) shared: Arc<Registry>,
}

/// What status and planner share.
pub(super) struct Registry {
    pub(super) watches: Locked<BTreeMap<u64, Watched>>,
    pub(super) families: Locked<BTreeMap<u64, Arc<Family>>>,
    pub(super) counters: Arc<AgentCounters>,
    pub(super) agent: View,
    pub(super) queued: Box<dyn Fn() -> usize + Send + Sync>,
}

/// A watch with a task of its own.
pub(super) struct Watched {
    pub(super) shown: Shown,
    pub(super) end: Arc<tokio::sync::Notify>,
    pub(super) wakes: Arc<Locked<Vec<Arc<Family>>>>,
}

/// A family at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyStatus {
    /// The endpoint: `health/connect`.
    pub endpoint: &'static str,
    /// How it is followed; `None` before the protocol is known.
    pub mode: Option<Mode>,
    /// Why.
    pub reason: String,
    /// Names that are read.
    pub names: usize,
    /// Names among them that were empty.
    pub idle: usize,
    /// Names that fail now.
    pub failing: usize,
    /// Time of a round of the names that are not idle.
    pub round: Duration,
    /// Age of the oldest answer about a name that is neither idle nor long-polled now; of one without
    /// answer, since it is known.
    pub oldest: Option<Duration>,
    /// Reads under way.
    pub reading: usize,
    /// Long polls under way, those of names that are gone included.
    pub blocking: usize,
    /// Names that wait for their first read, for one on demand, or in a fast round.
    pub queued: usize,
    /// Since the start.
    pub counts: ScheduleCounts,
}

/// What a family counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleCounts {
    /// Long polls begun.
    pub polls: u64,
    /// First reads of names.
    pub first_reads: u64,
    /// Reads on demand.
    pub reads_now: u64,
    /// Reads in turn.
    pub sweep_reads: u64,
    /// Reads of fast rounds.
    pub fast_reads: u64,
    /// Fast rounds begun.
    pub fast_rounds: u64,
    /// Whole rounds of all names that are not idle.
    pub rounds: u64,
    /// Times the mode changed, the first choice included.
    pub mode_changes: u64,
    /// Names refused because there were too many.
    pub refused: u64,
    /// Long polls put off because the budget was taken.
    pub capped: u64,
}

impl PlanStatus {
    /// Whether the agent answers, since when, and why not.
    #[must_use]
    pub fn agent(&self) -> (AgentState, Duration, Option<String>) {
        (self.shared.agent)()
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> &AgentCounters {
        &self.shared.counters
    }

    /// Events that wait to be taken.
    #[must_use]
    pub fn queued_events(&self) -> usize {
        (self.shared.queued)()
    }

    /// Each family, in the order of their making.
    #[must_use]
    pub fn families(&self) -> Vec<FamilyStatus> {
        let families: Vec<_> = self.shared.families.lock().values().cloned().collect();
        families.iter().map(|family| family.status()).collect()
    }

    /// Each watch, and up to `names` names of each family, those that fail first.
    #[must_use]
    pub fn rows(&self, names: usize) -> Vec<Row> {
        let mut rows: Vec<_> = self.shared.watches.lock().values().map(|watch| watch.shown.row()).collect();
        let families: Vec<_> = self.shared.families.lock().values().cloned().collect();
        for family in families {
            rows.extend(family.rows(names));
        }
        rows
    }
}

impl fmt::Debug for PlanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanStatus").field("families", &self.families()).finish_non_exhaustive()
    }
}
