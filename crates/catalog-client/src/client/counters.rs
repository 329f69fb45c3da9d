//! Counters of a client. They only grow.

use std::sync::atomic::{AtomicU64, Ordering};

use super::status::Totals;

/// Every outcome of a request, as metrics name it.
const OUTCOMES: [&str; 10] = [
    "ok",
    "absent",
    "transport",
    "server",
    "busy",
    "denied",
    "token_unknown",
    "unsupported",
    "mistake",
    "rejected",
];

#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: [AtomicU64; OUTCOMES.len()],
    pub(super) bytes: Counter,
    pub(super) rate_capped: Counter,
    pub(super) budget_limited: Counter,
    pub(super) budget_lowered: Counter,
    pub(super) connections: Counter,
    pub(super) reconnects: Counter,
    pub(super) abandoned: Counter,
    pub(super) resets: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn ended(&self, outcome: &str) {
        let at = OUTCOMES.iter().position(|known| *known == outcome);
        if let Some(count) = at.and_then(|at| self.requests.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            requests: OUTCOMES
                .into_iter()
                .zip(self.requests.iter().map(|count| count.load(Ordering::Relaxed)))
                .collect(),
            bytes: self.bytes.read(),
            rate_capped: self.rate_capped.read(),
            budget_limited: self.budget_limited.read(),
            budget_lowered: self.budget_lowered.read(),
            connections: self.connections.read(),
            reconnects: self.reconnects.read(),
            abandoned: self.abandoned.read(),
            resets: self.resets.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, OUTCOMES};
    use crate::error::Class;

    #[test]
    fn every_class_is_counted() {
        let counters = Counters::default();
        for class in [
            Class::Transport,
            Class::Server,
            Class::Busy,
            Class::Denied,
            Class::TokenUnknown,
            Class::Unsupported,
            Class::Mistake,
            Class::Rejected,
        ] {
            counters.ended(class.as_str());
        }
        counters.ended("ok");
        counters.ended("absent");
        let totals = counters.totals();
        assert_eq!(totals.requests.len(), OUTCOMES.len());
        assert!(totals.requests.iter().all(|(_, count)| *count == 1), "{totals:?}");
    }
}
