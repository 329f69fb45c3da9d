//! The bounds and rounds of a plan.

use super::Mode;
use crate::watch::WatchConfig;
use std::time::Duration;

/// The bounds and rounds of a plan. The defaults are those of consul-api 4.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanConfig {
    /// Timers of the watches.
    pub watch: WatchConfig,
    /// Events that may wait to be taken; whoever has one more waits. Default 1,024.
    pub events: usize,
    /// Reads of a family under way at a time, long polls not counted. Default 32.
    pub reads: usize,
    /// Reads among them that are only their turn. Default 8.
    pub sweep_reads: usize,
    /// Most names that are long-polled over HTTP/1.1, all families together. Default 40.
    pub block_up: usize,
    /// Once there were more, so few there must be until they are again. Default 30.
    pub block_down: usize,
    /// The mode of every family; `None`: chosen by number and protocol, which is the default.
    pub mode: Option<Mode>,
    /// A name is read on demand at most once in this time. Default 1 s.
    pub read_now_every: Duration,
    /// From a fast round of 500 names or more to the next; after fewer in proportion, so that the few
    /// that have traffic are read after each change. Default 2 s.
    pub fast_every: Duration,
    /// Where names are long-polled each, a list of 1,000 names or more that wakes without news wakes at
    /// most once in this time; a shorter one in proportion. Default 2 s.
    pub quiet_every: Duration,
    /// So many of such wakes may follow each other at once before that. Default 3.
    pub quiet_burst: u32,
    /// How long a quorum check speaks for first reads that begin after it. Default 500 ms, less than any
    /// server needs to be killed, started again and elected; 0: each first read is checked.
    pub check_reaches: Duration,
    /// How often each name is read in turn.
    pub rounds: Rounds,
    /// Names of a family; those beyond are not read, counted and logged. Default 20,000.
    pub max_names: usize,
    /// Whether any server may answer reads in turn, be it that it lags a little. `false`: the leader, each time, for what
    /// must not be missed once it was seen that it was written. Default `true`.
    pub any_server: bool,
    /// Whether a name whose read in turn has failed is read again as soon as its pause is over (1 s, doubled up to
    /// 60 s). `false`: when its turn comes, which is soon enough where rounds are short. Default `false`.
    pub retries: bool,
}

impl PlanConfig {
    /// How long a list of so many names that brought nothing new may rest: what lists cost together
    /// stays the same, however long they are.
    pub(super) fn quiet_pause(&self, names: usize) -> Duration {
        const WHOLE: u32 = 1000;
        let names = u32::try_from(names).unwrap_or(WHOLE).min(WHOLE);
        self.quiet_every * names / WHOLE
    }

    /// How long after a fast round of so many names the next one may begin: what they cost together
    /// stays below 250 reads a second.
    pub(super) fn fast_pause(&self, names: usize) -> Duration {
        const WHOLE: u32 = 500;
        let names = u32::try_from(names).unwrap_or(WHOLE).min(WHOLE);
        self.fast_every * names / WHOLE
    }
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            watch: WatchConfig::default(),
            events: 1024,
            reads: 32,
            sweep_reads: 8,
            block_up: 40,
            block_down: 30,
            mode: None,
            read_now_every: Duration::from_secs(1),
            fast_every: Duration::from_secs(2),
            quiet_every: Duration::from_secs(2),
            quiet_burst: 3,
            check_reaches: Duration::from_millis(500),
            rounds: Rounds::default(),
            max_names: 20_000,
            any_server: true,
            retries: false,
        }
    }
}

/// How old what is known of a name may become, by the number of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// Up to so many names are few. Default 100.
    pub few: usize,
    /// The bound for few names. Default 2 s.
    pub few_every: Duration,
    /// Up to so many names are some. Default 1,000.
    pub some: usize,
    /// The bound for some names. Default 10 s.
    pub some_every: Duration,
    /// The bound for more. Default 60 s.
    pub many_every: Duration,
    /// Idle names are read so many times as seldom. Default 5.
    pub idle: u32,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            few: 100,
            few_every: Duration::from_secs(2),
            some: 1000,
            some_every: Duration::from_secs(10),
            many_every: Duration::from_secs(60),
            idle: 5,
        }
    }
}

impl Rounds {
    /// The bound on the age of what is known, for so many names.
    #[must_use]
    pub fn bound(&self, names: usize) -> Duration {
        match names {
            n if n <= self.few => self.few_every,
            n if n <= self.some => self.some_every,
            _ => self.many_every,
        }
    }

    /// The time of a round that keeps the bound: a little is left for the read itself.
    pub(super) fn period(&self, names: usize) -> Duration {
        self.bound(names) * 19 / 20
    }
}
