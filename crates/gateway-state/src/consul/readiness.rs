//! When enough is known to serve: each fixed question has been answered once, and each service read
//! once, or given up on.

use std::time::{Duration, Instant};

/// A question that a gateway asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Its own registration.
    Own,
    /// Trust domain and roots.
    Roots,
    /// Config entries.
    Entries,
    /// Names of services.
    Names,
    /// Gateways of other datacenters.
    FederationStates,
    /// Services linked to the gateway.
    Links,
}

impl Question {
    fn words(self) -> &'static str {
        match self {
            Self::Own => "the gateway's own registration",
            Self::Roots => "the trust domain (agent/connect/ca/roots)",
            Self::Entries => "the config entries",
            Self::Names => "the names of services (catalog/services)",
            Self::FederationStates => "the gateways of other datacenters",
            Self::Links => "the linked services (catalog/gateway-services)",
        }
    }

    /// Whether an answer is waited for although the token may not ask: without it there is nothing to serve.
    pub(super) fn is_needed(self) -> bool {
        matches!(self, Self::Roots | Self::Names | Self::Links)
    }
}

/// What has been answered.
#[derive(Debug)]
pub(super) struct Readiness {
    questions: &'static [Question],
    answered: Vec<Question>,
    /// When the last fixed question was answered.
    complete: Option<Instant>,
}

impl Readiness {
    pub(super) fn new(questions: &'static [Question]) -> Self {
        Self { questions, answered: Vec::new(), complete: None }
    }

    pub(super) fn answered(&mut self, question: Question, now: Instant) {
        if !self.answered.contains(&question) {
            self.answered.push(question);
            if self.questions.iter().all(|one| self.answered.contains(one)) {
                self.complete = Some(now);
            }
        }
    }

    /// What is still missing, `None` if nothing: then what is known can be served. `waiting` services
    /// have not answered; after `patience` it is served without them.
    pub(super) fn missing(&self, waiting: usize, patience: Duration, now: Instant) -> Option<String> {
        let Some(complete) = self.complete else {
            let missing = self.questions.iter().filter(|question| !self.answered.contains(question));
            let words: Vec<_> = missing.map(|question| question.words()).collect();
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

    const QUESTIONS: [Question; 3] = [Question::Own, Question::Roots, Question::Links];

    #[test]
    fn every_question_once_and_then_every_service() {
        let (mut readiness, start) = (Readiness::new(&QUESTIONS), Instant::now());
        let patience = Duration::from_secs(10);
        let missing = |readiness: &Readiness, waiting, after| {
            readiness.missing(waiting, patience, start + Duration::from_secs(after))
        };
        // What another role asks is nothing to this one.
        readiness.answered(Question::Names, start);
        for question in QUESTIONS {
            let text = missing(&readiness, 0, 0).unwrap();
            assert!(text.contains(question.words()), "{text}");
            assert!(!text.contains(Question::FederationStates.words()), "{text}");
            readiness.answered(question, start);
            readiness.answered(question, start + Duration::from_secs(9));
        }
        assert_eq!(missing(&readiness, 2, 9).as_deref(), Some("waiting for the endpoints of 2 services"));
        assert_eq!(missing(&readiness, 0, 0), None);
        assert_eq!(missing(&readiness, 2, 10), None, "given up on");
        assert_eq!(readiness.gives_up_at(patience), Some(start + patience));
    }
}
