//! Which findings are acted upon (consul-api 5.6): behind one address agents of several versions may
//! take turns while a cluster is upgraded.

use super::{
    Capabilities, Feature,
    classify::{Finding, Verdict},
    facts::TokenFacts,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The timers of [`Known`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityConfig {
    /// How long a feature that was missing must be there before it is used. Default 60 s.
    pub upgrade_after: Duration,
    /// When to ask again while a question is open. Default 30 s.
    pub retry: Duration,
    /// When to ask again otherwise. Default 1 h.
    pub refresh: Duration,
}

impl Default for CapabilityConfig {
    fn default() -> Self {
        Self {
            upgrade_after: Duration::from_secs(60),
            retry: Duration::from_secs(30),
            refresh: Duration::from_secs(3600),
        }
    }
}

/// What is acted upon.
#[derive(Clone, Debug, Default)]
pub struct Known {
    config: CapabilityConfig,
    used: Capabilities,
    /// Features that are new, and since when.
    rising: BTreeMap<Feature, (Instant, Finding)>,
    asked: Option<Instant>,
}

impl Known {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(config: CapabilityConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// What is acted upon.
    #[must_use]
    pub fn used(&self) -> &Capabilities {
        &self.used
    }

    /// Takes in the findings of a probe; `true` if what is acted upon changed.
    pub fn learn(&mut self, found: Capabilities, now: Instant) -> bool {
        self.asked = Some(now);
        let before = self.used.clone();
        for feature in Feature::ALL {
            let (old, new) = (self.used.finding(feature).verdict, found.finding(feature));
            match (old, new.verdict) {
                // No answer is no news.
                (Verdict::Yes | Verdict::No | Verdict::NotPermitted, Verdict::Unknown) => {}
                (Verdict::No, Verdict::Yes | Verdict::NotPermitted) => {
                    self.rising.entry(feature).or_insert((now, new.clone())).1 = new.clone();
                }
                _ => {
                    self.rising.remove(&feature);
                    self.used.set(feature, new.clone());
                }
            }
        }
        if found.agent_self.verdict != Verdict::Unknown || self.used.agent_self.verdict == Verdict::Unknown {
            (self.used.agent, self.used.agent_self) = (found.agent, found.agent_self);
        }
        if found.token != TokenFacts::Unknown {
            self.used.token = found.token;
        }
        self.settle(now);
        self.used != before
    }

    /// Begins to use what has been new for long enough; `true` if something changed.
    pub fn settle(&mut self, now: Instant) -> bool {
        let ripe: Vec<_> = self
            .rising
            .iter()
            .filter(|(_, (since, _))| now.saturating_duration_since(*since) >= self.config.upgrade_after)
            .map(|(feature, _)| *feature)
            .collect();
        for feature in &ripe {
            if let Some((_, finding)) = self.rising.remove(feature) {
                self.used.set(*feature, finding);
            }
        }
        !ripe.is_empty()
    }

    /// When to [`settle`](Self::settle); `None`: nothing is new.
    #[must_use]
    pub fn settle_at(&self) -> Option<Instant> {
        self.rising.values().map(|(since, _)| *since + self.config.upgrade_after).min()
    }

    /// When to probe next; `None`: now.
    #[must_use]
    pub fn ask_at(&self) -> Option<Instant> {
        let pause = if self.used.is_complete() { self.config.refresh } else { self.config.retry };
        self.asked.map(|asked| asked + pause)
    }

    /// The agent came back, perhaps as another: [`ask_at`](Self::ask_at) is now.
    pub fn agent_returned(&mut self) {
        self.asked = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(verdict: Verdict) -> Capabilities {
        let mut found = Capabilities::default();
        for feature in Feature::ALL {
            found.set(feature, Finding::new(verdict, ""));
        }
        found.agent_self = Finding::new(verdict, "");
        found.token = TokenFacts::AclsOff;
        found
    }

    fn peering(known: &Known) -> Verdict {
        known.used().finding(Feature::Peering).verdict
    }

    #[test]
    fn the_first_answer_counts_at_once() {
        for verdict in [Verdict::Yes, Verdict::No, Verdict::NotPermitted] {
            let mut known = Known::default();
            assert_eq!((known.ask_at(), peering(&known)), (None, Verdict::Unknown));
            assert!(known.learn(found(verdict), Instant::now()));
            assert_eq!((peering(&known), known.settle_at()), (verdict, None));
        }
    }

    #[test]
    fn a_loss_counts_at_once_and_a_gain_when_it_stays() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut known = Known::default();
        known.learn(found(Verdict::Yes), at(0));
        assert!(known.learn(found(Verdict::No), at(1)));
        assert_eq!(peering(&known), Verdict::No);

        // An agent that can, for less than a minute, between two that cannot.
        known.learn(found(Verdict::Yes), at(10));
        assert_eq!((peering(&known), known.settle_at()), (Verdict::No, Some(at(70))));
        known.learn(found(Verdict::No), at(40));
        assert_eq!(known.settle_at(), None);
        assert!(!known.settle(at(1000)));
        assert_eq!(peering(&known), Verdict::No);

        known.learn(found(Verdict::Yes), at(2000));
        assert!(!known.learn(found(Verdict::Yes), at(2030)), "it does not start over");
        assert!(!known.settle(at(2059)));
        assert!(known.settle(at(2060)));
        assert_eq!((peering(&known), known.settle_at()), (Verdict::Yes, None));
    }

    #[test]
    fn a_failed_question_changes_nothing_and_is_asked_again_sooner() {
        let start = Instant::now();
        let mut known = Known::default();
        known.learn(found(Verdict::Unknown), start);
        assert_eq!(known.ask_at(), Some(start + Duration::from_secs(30)));
        known.learn(found(Verdict::Yes), start);
        assert_eq!(known.ask_at(), Some(start + Duration::from_secs(3600)));
        assert!(!known.learn(found(Verdict::Unknown), start));
        assert_eq!(peering(&known), Verdict::Yes);
        known.agent_returned();
        assert_eq!(known.ask_at(), None);
    }

    #[test]
    fn a_right_that_is_given_counts_at_once() {
        let start = Instant::now();
        let mut known = Known::default();
        known.learn(found(Verdict::NotPermitted), start);
        assert!(known.learn(found(Verdict::Yes), start));
        assert!(known.learn(found(Verdict::NotPermitted), start));
        assert_eq!(peering(&known), Verdict::NotPermitted);
    }
}
