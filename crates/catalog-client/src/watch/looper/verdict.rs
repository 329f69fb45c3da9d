//! Whether an answer is believed.

use super::{Blocking, Got, Loop, Lower, Print};
use crate::{
    error::Class,
    query::Ask,
    watch::{Facts, WatchConfig},
};
use std::time::{Duration, Instant};

/// A read that has been sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) ask: Ask,
    pub(crate) wait: Duration,
    pub(crate) at: Instant,
    /// An empty answer of `health/connect` is what it says: the chain may be read.
    pub(crate) verified: bool,
}

impl Sent {
    pub(super) fn new(ask: Ask, wait: Duration, at: Instant) -> Self {
        Self { ask, wait, at, verified: false }
    }

    /// A read of the newest state.
    pub(crate) fn at(at: Instant) -> Self {
        Self::new(Ask::Now, Duration::ZERO, at)
    }

    /// The index that was waited on, or 0.
    fn index(&self) -> u64 {
        match self.ask {
            Ask::Above(index) => index,
            _ => 0,
        }
    }
}

/// What the loop is told beside the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) config: &'a WatchConfig,
    /// This Consul says 403 where older ones say `[]` (1.16 and newer).
    pub(crate) denies_openly: bool,
    /// Consul's ACLs are known to be off.
    pub(crate) acls_off: bool,
    /// From 0 up to 1.
    pub(crate) random: f64,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// What is known is confirmed.
    Same {
        /// It failed before.
        recovered: bool,
        /// What the answer says beside its body, where it says something else.
        facts: Option<Facts>,
        /// The index rose: something near was written.
        rose: bool,
    },
    /// Other bytes: to be decoded, then [`Loop::apply`] or [`Loop::refuse`].
    Fresh(Fresh),
    /// "Nothing" or "denied"; the chain knows which. Then ask again with [`Sent::verified`], or
    /// [`Loop::failed`] with [`Class::Denied`].
    Doubtful,
    /// The index went back: kept until a second answer confirms it.
    Backwards {
        /// The first time in a row.
        first: bool,
    },
    /// At the index applied came less than what is applied: kept until the index moves.
    Withheld {
        /// The first time in a row.
        first: bool,
    },
    /// The same body that could not be read before.
    Refused,
}

/// A body to be decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fresh {
    print: Print,
    pub(crate) facts: Facts,
}

impl Loop {
    /// A whole answer came: a 200, or a usable 404.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        sent: &Sent,
        got: &Got,
        context: &Context<'_>,
    ) -> Verdict {
        let config = context.config;
        self.not_before = None;
        let verdict = match self.nature.blocking {
            Blocking::Index => self.indexed(now, sent, got, context),
            Blocking::Hash => {
                self.content.clone_from(&got.content_hash);
                if self.content.is_none() {
                    // Nothing to wait for: an absent object, or a proxy that eats headers.
                    let pause = config.absent_every.mul_f64(0.75 + 0.25 * context.random);
                    self.not_before = Some(now + pause);
                }
                self.news(sent, got, false)
            }
            Blocking::Never => self.news(sent, got, false),
        };
        if let Some(every) = self.nature.every {
            let next = sent.at + every.mul_f64(0.8 + 0.2 * context.random);
            self.not_before = Some(self.not_before.map_or(next, |at| at.min(next)));
        }
        verdict
    }

    fn indexed(&mut self, now: Instant, sent: &Sent, got: &Got, context: &Context<'_>) -> Verdict {
        let config = context.config;
        let (asked, index) = (sent.index(), got.number());
        let same = self.applied == Some(got.print);
        let hidden = self.nature.hides_denial && !context.denies_openly && !sent.verified;
        if hidden && index == 1 && got.empty && !same {
            return Verdict::Doubtful;
        }
        let held = now.saturating_duration_since(sent.at);
        if asked > 0 && index == asked {
            self.returned(held, sent.wait, config);
            self.lower = self.lower.filter(|_| !same);
            return match () {
                () if self.withheld => Verdict::Withheld { first: false },
                () if self.refused == Some(got.print) => Verdict::Refused,
                () => self.good(sent, got, false),
            };
        }
        if index < asked || index < self.high {
            return self.went_back(now, sent, got, config);
        }
        self.lower = None;
        if sent.ask == Ask::Now {
            self.doubts_stale = false;
        }
        if asked == 0 && index == self.high && !context.acls_off && self.is_withheld(got) {
            self.index = index;
            let first = !std::mem::replace(&mut self.withheld, true);
            if first {
                // Marked, not slowed: the answer is good, it only says too little.
                let since = self.failing.map_or(now, |failing| failing.since);
                self.failing = Some(super::Failing { class: Class::Denied, since, times: 0 });
            }
            return Verdict::Withheld { first };
        }
        if index > self.high || same {
            self.withheld = false;
        }
        if asked > 0 {
            self.early = 0;
            self.limiter.slow_down(false);
        }
        let rose = self.high > 0 && index > self.high;
        if same {
            self.index = index;
            self.high = index;
        }
        self.news(sent, got, rose)
    }

    /// A long poll came back with its own index. Early, it says nothing, not even that nothing has
    /// changed: after the restore of a snapshot all do so once, with the old body.
    fn returned(&mut self, held: Duration, wait: Duration, config: &WatchConfig) {
        if held >= wait {
            self.early = 0;
        } else {
            self.index = 0;
            // One that was held for longer than the slowest pace is no loop.
            self.early = if held >= config.slow_every { 1 } else { self.early.saturating_add(1) };
        }
        self.limiter.slow_down(self.early >= config.early_returns);
    }

    fn went_back(&mut self, now: Instant, sent: &Sent, got: &Got, config: &WatchConfig) -> Verdict {
        let index = got.number();
        let same = self.applied == Some(got.print);
        if sent.ask == Ask::Stale && self.applied.is_some() {
            // One server lags. That proves nothing: the leader is asked.
            if same {
                return self.good(sent, got, false);
            }
            let first = !std::mem::replace(&mut self.doubts_stale, true);
            return Verdict::Backwards { first };
        }
        let first = self.lower.is_none();
        let lower = *self.lower.get_or_insert(Lower { index, since: now });
        let age = now.saturating_duration_since(lower.since);
        // An index that still grows is of a replay, or of a cluster at work: a replay is over soon.
        let growing = config.guard * 8 / 5;
        if age >= config.guard && (index <= lower.index || age >= growing) {
            self.lower = None;
            self.withheld = false;
            self.doubts_stale = false;
            self.high = index;
            if same {
                self.index = index;
            }
            return self.news(sent, got, false);
        }
        let early = now.saturating_duration_since(sent.at) < sent.wait;
        if sent.index() > 0 && early {
            self.early = self.early.saturating_add(1);
            self.limiter.slow_down(self.early >= config.early_returns);
        }
        // The second answer in a row has said the same; the next one that counts comes after the guard.
        let until = if age >= config.guard { growing } else { config.guard };
        let paced = (!first).then_some(lower.since + until);
        if same {
            // The same data from another backend, whose index is its own: wait there. A read that does not
            // wait would come back at once.
            self.index = index;
            if sent.index() == 0 {
                self.not_before = paced;
            }
            return self.good(sent, got, false);
        }
        self.index = 0;
        self.not_before = paced;
        Verdict::Backwards { first }
    }

    /// Whether this is what a token sees that may not see all: the list of the same index, only shorter.
    fn is_withheld(&self, got: &Got) -> bool {
        let numbered = got.whole && got.index.is_some_and(|index| index > 0);
        let less = self.applied.is_some_and(|applied| got.print.is_less(applied));
        self.nature.from_servers && numbered && less
    }

    fn news(&mut self, sent: &Sent, got: &Got, rose: bool) -> Verdict {
        if self.applied == Some(got.print) {
            return self.good(sent, got, rose);
        }
        if self.refused == Some(got.print) {
            // Not cut on the way, then: this is what Consul has. Wait for something else.
            self.index = got.number();
            self.high = self.high.max(self.index);
            return Verdict::Refused;
        }
        Verdict::Fresh(Fresh { print: got.print, facts: got.facts(&sent.ask, self.applied.is_none()) })
    }

    fn good(&mut self, sent: &Sent, got: &Got, rose: bool) -> Verdict {
        let facts = got.facts(&sent.ask, false);
        let told = self.facts.differ(&facts);
        self.facts = facts;
        let recovered = self.failing.take().is_some();
        Verdict::Same { recovered, facts: told.then_some(facts), rose }
    }

    /// The body was decoded: it is what is known now. Says whether something failed before.
    pub(crate) fn apply(&mut self, now: Instant, fresh: Fresh, config: &WatchConfig) -> bool {
        self.index = if self.nature.blocking == Blocking::Index { fresh.facts.index } else { 0 };
        self.high = self.index;
        self.applied = Some(fresh.print);
        self.facts = fresh.facts;
        self.refused = None;
        self.withheld = false;
        self.early = 0;
        self.limiter.changed(now, config);
        self.failing.take().is_some()
    }

    /// The body could not be decoded. Says whether that is new.
    pub(crate) fn refuse(&mut self, now: Instant, fresh: &Fresh, context: &Context<'_>) -> bool {
        self.refused = Some(fresh.print);
        self.failed(now, Class::Rejected, context.random, context.config)
    }
}
