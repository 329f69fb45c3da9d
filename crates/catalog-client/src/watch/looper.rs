//! What a watch asks next, and whether it believes the answer: the loop of consul-api 2.12.
//!
//! Nothing here knows the time, a socket or a document. One [`Loop`] is the memory of one query; it
//! serves long polls and reads in turn alike.

mod verdict;

use super::{
    Facts, Got, WatchConfig,
    limiter::{Limiter, pause},
    print::Print,
};
use crate::{
    error::Class,
    query::{Ask, Blocking, Query},
};
use std::time::{Duration, Instant};

pub(crate) use verdict::{Context, Fresh, Sent, Verdict};

/// How long the agent holds a read that is to show whether it answers again.
const CONFIRM: Duration = Duration::from_secs(1);

/// What is fixed about a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    blocking: Blocking,
    /// It is asked once in this time and never waits.
    pub(super) every: Option<Duration>,
    /// `?consistent` and `?stale` mean something.
    from_servers: bool,
    /// An empty list with index 1 may mean "denied" (health/connect, health/ingress up to 1.15).
    hides_denial: bool,
    /// A token needs a right for it.
    pub(crate) needs_right: bool,
}

impl Nature {
    pub(crate) fn of(query: &impl Query, every: Option<Duration>) -> Self {
        /// For a query that cannot wait and says no interval.
        const EVERY: Duration = Duration::from_secs(30);
        let blocking = query.blocking();
        let every = every.or_else(|| (blocking == Blocking::Never).then_some(EVERY));
        let hides_denial = matches!(query.endpoint(), "health/connect" | "health/ingress");
        let needs_right = !query.rule().is_empty();
        Self { blocking, every, from_servers: query.from_servers(), hides_denial, needs_right }
    }
}

/// The memory of one query.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    nature: Nature,
    /// To wait above; 0: ask without.
    index: u64,
    /// The highest index applied, errors or not.
    pub(super) high: u64,
    /// To wait for another content than this.
    content: Option<Box<str>>,
    applied: Option<Print>,
    /// The body that could not be read, so that the same one is not read again and again.
    refused: Option<Print>,
    facts: Facts,
    limiter: Limiter,
    early: u32,
    failing: Option<Failing>,
    lower: Option<Lower>,
    /// What came at the index applied was less: kept back until the index moves.
    withheld: bool,
    /// Any server's state was older than ours: the next read asks the leader.
    doubts_stale: bool,
    not_before: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    class: Class,
    since: Instant,
    times: u32,
}

/// The first of the answers in a row whose index was below the highest.
#[derive(Clone, Copy, Debug)]
struct Lower {
    index: u64,
    since: Instant,
}

impl Loop {
    /// As [`Watch::was_news`](super::Watch::was_news).
    pub(crate) fn was_news(&mut self, now: Instant, config: &WatchConfig) {
        self.limiter.changed(now, config);
    }

    pub(crate) fn new(nature: Nature) -> Self {
        Self {
            nature,
            index: 0,
            high: 0,
            content: None,
            applied: None,
            refused: None,
            facts: Facts::default(),
            limiter: Limiter::default(),
            early: 0,
            failing: None,
            lower: None,
            withheld: false,
            doubts_stale: false,
            not_before: None,
        }
    }

    /// From when on the next round may begin; `None`: at any time.
    pub(crate) fn due(&self, config: &WatchConfig) -> Option<Instant> {
        self.limiter.due(config).max(self.not_before)
    }

    /// The same for reads in turn, whose pace is another's business.
    pub(crate) fn due_in_turn(&self) -> Option<Instant> {
        self.not_before
    }

    /// Whether the next round waits at the agent.
    pub(crate) fn will_wait(&self) -> bool {
        self.nature.every.is_none()
            && match self.nature.blocking {
                Blocking::Index => self.index > 0,
                Blocking::Hash => self.content.is_some(),
                Blocking::Never => false,
            }
    }

    /// A round begins.
    pub(crate) fn send(&mut self, now: Instant, config: &WatchConfig) -> Sent {
        self.limiter.take(now, config);
        let ask = match &self.content {
            Some(content) if self.will_wait() => Ask::Unlike(content.to_string()),
            _ if self.will_wait() => Ask::Above(self.index),
            _ if self.takes_any(now, config) => Ask::Stale,
            _ => Ask::Now,
        };
        // Where the index was kept a short wait soon shows whether the trouble is over.
        let wait = match self.failing() {
            Some(Class::Busy) => config.wait.min(CONFIRM),
            Some(Class::Rejected) => config.wait.min(CONFIRM * 5),
            _ => config.wait,
        };
        Sent::new(ask, wait, now)
    }

    /// The same of the leader, each time.
    pub(crate) fn send_to_leader(&self, now: Instant, config: &WatchConfig) -> Sent {
        let ask = if self.takes_any(now, config) { Ask::Stale } else { Ask::Now };
        Sent::new(ask, Duration::ZERO, now)
    }

    /// A read in turn begins: of any server, as long as they do not lag.
    pub(crate) fn send_in_turn(&mut self, now: Instant, config: &WatchConfig) -> Sent {
        let known = self.applied.is_some() && !self.doubts_stale && self.lower.is_none();
        let stale = self.nature.from_servers && (known || self.takes_any(now, config));
        Sent::new(if stale { Ask::Stale } else { Ask::Now }, Duration::ZERO, now)
    }

    /// Nothing is known and the leader has not answered for long.
    fn takes_any(&self, now: Instant, config: &WatchConfig) -> bool {
        let long = |failing: Failing| {
            matches!(failing.class, Class::Server | Class::Transport)
                && now.saturating_duration_since(failing.since) >= config.degraded_after
        };
        self.applied.is_none() && self.nature.from_servers && self.failing.is_some_and(long)
    }

    /// A round ended without a usable answer. Says whether that is new: the first failure, or one of
    /// another class.
    pub(crate) fn failed(&mut self, now: Instant, class: Class, random: f64, config: &WatchConfig) -> bool {
        if class != Class::Busy {
            self.forget();
            // Servers in trouble may begin another replay: what an answer before said confirms nothing.
            self.lower = None;
        }
        let before = self.failing;
        let same = before.filter(|before| before.class == class);
        let times = same.map_or(0, |same| same.times).saturating_add(1);
        let since = before.map_or(now, |before| before.since);
        self.failing = Some(Failing { class, since, times });
        self.not_before = Some(now + pause_after(class, times, random, config));
        same.is_none()
    }

    /// The next round begins at this time at the latest.
    pub(crate) fn hurry(&mut self, at: Instant) {
        self.not_before = self.not_before.map(|due| due.min(at));
    }

    /// The agent was away and is back: ask again at this time, without an index.
    pub(crate) fn resume(&mut self, at: Instant) {
        self.forget();
        self.early = 0;
        self.limiter.slow_down(false);
        self.not_before = Some(at);
        if let Some(failing) = &mut self.failing {
            failing.times = 0;
        }
    }

    /// What was learnt to wait for may be another cluster's.
    pub(crate) fn forget(&mut self) {
        self.index = 0;
        self.content = None;
    }

    /// Whether something has been applied, be it "absent".
    pub(crate) fn knows(&self) -> bool {
        self.applied.is_some()
    }

    /// Whether this is its first read: nothing is known, and nothing has failed.
    pub(crate) fn is_new(&self) -> bool {
        self.applied.is_none() && self.refused.is_none() && self.failing.is_none() && self.high == 0
    }

    /// Since when it fails, if it does.
    pub(crate) fn failing_since(&self) -> Option<Instant> {
        self.failing.map(|failing| failing.since)
    }

    /// Whether an answer shows that a token has rights.
    pub(crate) fn needs_right(&self) -> bool {
        self.nature.needs_right
    }

    /// Why it fails, if it does.
    pub(crate) fn failing(&self) -> Option<Class> {
        self.failing.map(|failing| failing.class)
    }

    /// The index of what is applied, and else of the last answer.
    pub(crate) fn index(&self) -> u64 {
        self.index.max(self.facts.index)
    }

    /// Whether the next read in turn is to ask the leader, and soon.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubts_stale || self.lower.is_some()
    }

    /// Whether an answer is kept back until another confirms it.
    pub(crate) fn is_guarded(&self) -> bool {
        self.lower.is_some()
    }
}

fn pause_after(class: Class, times: u32, random: f64, config: &WatchConfig) -> Duration {
    match class {
        Class::Transport | Class::Server | Class::Busy | Class::Rejected => {
            pause(config.retry, config.retry_max, times, random)
        }
        Class::Denied | Class::TokenUnknown => pause(config.retry_denied, config.retry_max, times, random),
        // Not all at the same moment, but once in that time and not twice.
        Class::Unsupported => config.retry_unsupported.mul_f64(0.9 + 0.1 * random),
        Class::Mistake => config.retry_mistake.mul_f64(0.9 + 0.1 * random),
    }
}
