//! Whether traffic sent here now would be served right, and if not, why.
//!
//! Readiness is declared: the process names its conditions at the start, each is unmet until somebody says that it is
//! met, and a draining process is never ready. Changes of the answer are logged here, once.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::drain::DrainWatch;

/// The conditions of readiness. A clone is the same list.
#[derive(Debug, Clone)]
pub struct Ready {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    conditions: Mutex<Vec<(&'static str, Result<(), String>)>>,
    drain: OnceLock<DrainWatch>,
}

impl Ready {
    /// Conditions by name, all unmet.
    #[must_use]
    pub fn new(conditions: &[&'static str]) -> Ready {
        let unmet = conditions.iter().map(|name| (*name, Err("not yet".to_owned()))).collect();
        Ready { inner: Arc::new(Inner { conditions: Mutex::new(unmet), drain: OnceLock::new() }) }
    }

    /// From now on a start of draining is the end of readiness. The first watch counts.
    pub fn follow(&self, drain: DrainWatch) {
        // A second watch would be of the same process.
        let _ = self.inner.drain.set(drain);
    }

    /// Says that a condition is met, or why it is not. An unknown name is a new condition.
    pub fn set(&self, name: &'static str, state: Result<(), String>) {
        let before = self.state();
        {
            let mut conditions = self.conditions();
            match conditions.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = state,
                None => conditions.push((name, state)),
            }
        }
        match (before, self.state()) {
            (Err(_), Ok(())) => tracing::info!("ready"),
            (before, Err(why)) if before.as_ref() != Err(&why) => {
                tracing::info!(reasons = why_text(&why), "not ready");
            }
            _ => {}
        }
    }

    /// Ready, or every unmet condition with its reason.
    ///
    /// # Errors
    /// The unmet conditions, in the order of their declaration; `draining` comes first.
    pub fn state(&self) -> Result<(), Vec<(&'static str, String)>> {
        let mut unmet = Vec::new();
        if self.inner.drain.get().is_some_and(DrainWatch::is_draining) {
            unmet.push(("draining", "the process is about to end".to_owned()));
        }
        for (name, state) in self.conditions().iter() {
            if let Err(why) = state {
                unmet.push((name, why.clone()));
            }
        }
        if unmet.is_empty() { Ok(()) } else { Err(unmet) }
    }

    /// Whether [`Ready::state`] is good.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state().is_ok()
    }

    fn conditions(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Result<(), String>)>> {
        self.inner.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The unmet conditions in one line.
fn why_text(unmet: &[(&'static str, String)]) -> String {
    unmet.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::drain::Drain;

    #[test]
    fn all_conditions_must_be_met() {
        let ready = Ready::new(&["catalog", "listeners"]);
        assert_eq!(ready.state().unwrap_err().len(), 2);
        ready.set("catalog", Ok(()));
        assert_eq!(ready.state().unwrap_err(), [("listeners", "not yet".to_owned())]);
        ready.set("listeners", Ok(()));
        assert!(ready.is_ready());
        let other = ready.clone();
        other.set("catalog", Err("mesh.toml: line 3".to_owned()));
        assert_eq!(ready.state().unwrap_err(), [("catalog", "mesh.toml: line 3".to_owned())]);
    }

    #[test]
    fn an_undeclared_condition_counts_from_its_first_word_on() {
        let ready = Ready::new(&[]);
        assert!(ready.is_ready());
        ready.set("certificates", Err("expired".to_owned()));
        assert!(!ready.is_ready());
    }

    #[test]
    fn a_draining_process_is_not_ready() {
        let (drain, watch) = Drain::new();
        let ready = Ready::new(&[]);
        ready.follow(watch);
        assert!(ready.is_ready());
        drain.start(Instant::now());
        assert_eq!(ready.state().unwrap_err()[0].0, "draining");
    }
}
