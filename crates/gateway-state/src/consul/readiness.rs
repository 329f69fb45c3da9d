//! When enough is known to serve: each fixed question has been answered once, and each service read
//! once, or given up on.

use std::time::{Duration, Instant};

/// A question that every gateway asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Roots,
    Entries,
    Names,
    FederationStates,
    Own,
}

const QUESTIONS: [(Question, &str); 5] = [
    (Question::Own, "the gateway's own registration"),
    (Question::Roots, "the trust domain (agent/connect/ca/roots)"),
    (Question::Entries, "the config entries"),
    (Question::Names, "the names of services (catalog/services)"),
    (Question::FederationStates, "the gateways of other datacenters"),
];

/// What has been answered.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    answered: Vec<Question>,
    /// When the last fixed question was answered.
    complete: Option<Instant>,
}

impl Readiness {
    pub(super) fn answered(&mut self, question: Question, now: Instant) {
        if !self.answered.contains(&question) {
            self.answered.push(question);
            if self.answered.len() == QUESTIONS.len() {
                self.complete = Some(now);
            }
        }
    }

    /// What is still missing, `None` if nothing: then what is known can be served. `waiting` services
    /// have not answered; after `patience` it is served without them.
    pub(super) fn missing(&self, waiting: usize, patience: Duration, now: Instant) -> Option<String> {
        let Some(complete) = self.complete else {
            let missing = QUESTIONS.iter().filter(|(question, _)| !self.answered.contains(question));
            let words: Vec<_> = missing.map(|(_, words)| *words).collect();
            return Some(format!("waiting for Consul to tell {}", words.join(", ")));
        };
        let given_up = now.saturating_duration_since(complete) >= patience;
        (waiting > 0 && !given_up).then(|| format!("waiting for the endpoints of {waiting} services"))
    }

    /// When the patience with services ends, if that is all that is waited for.
    pub(super) fn gives_up_at(&self, patience: Duration) -> Option<Instant> {
        self.complete.map(|complete| complete + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_once_and_then_every_service() {
        let (mut readiness, start) = (Readiness::default(), Instant::now());
        let patience = Duration::from_secs(10);
        let missing = |readiness: &Readiness, waiting, after| {
            readiness.missing(waiting, patience, start + Duration::from_secs(after))
        };
        for (question, words) in QUESTIONS {
            let text = missing(&readiness, 0, 0).unwrap();
            assert!(text.contains(words), "{text}");
            readiness.answered(question, start);
            readiness.answered(question, start + Duration::from_secs(9));
        }
        assert_eq!(missing(&readiness, 2, 9).as_deref(), Some("waiting for the endpoints of 2 services"));
        assert_eq!(missing(&readiness, 0, 0), None);
        assert_eq!(missing(&readiness, 2, 10), None, "given up on");
        assert_eq!(readiness.gives_up_at(patience), Some(start + patience));
    }
}
