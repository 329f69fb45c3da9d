//! What follows from how an action ended.

use super::Machine;
use crate::{
    error::Error,
    registration::{
        decide::{Failure, Verdict, judge, pause},
        status::{Reason, State},
    },
};
use std::time::{Duration, Instant};

impl Machine {
    /// Takes note of how registering ended; `reason` is why it was tried.
    pub(in crate::registration) fn registered(
        &mut self,
        reason: Reason,
        result: Result<(), Error>,
        now: Instant,
        random: f64,
    ) {
        let Err(error) = result else { return self.success(reason, now) };
        let failure = Failure::of(error.class());
        let counts = &mut self.status.counts;
        match failure {
            Failure::Unreachable => counts.unreachable += 1,
            Failure::Trouble => counts.trouble += 1,
            Failure::Refusal => counts.refusals += 1,
        }
        self.trouble_since = match failure {
            // From the beginning of the try: without a leader an agent takes 7 s for its answer.
            Failure::Trouble => self.trouble_since.or(self.status.last_try),
            Failure::Unreachable | Failure::Refusal => None,
        };
        let trouble = self.trouble_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if let Some((_, since)) = self.maintain.filter(|_| self.agentless())
            && (failure == Failure::Refusal || now >= since + self.config.end_patience)
        {
            // Whoever waits for maintenance is told; the registration itself is tried on.
            self.settle(self.wants.maintenance.0, Some(error.clone()));
        }
        self.status.last_error = Some(error);
        if judge(failure, self.ever, trouble, &self.config) == Verdict::Refused {
            self.status.state = State::Refused;
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let mut wait = pause(failure, self.failures, random, &self.config);
        if !self.ever && failure == Failure::Trouble {
            // The last try falls on the end of the patience.
            let left = self.config.start_patience.saturating_sub(trouble);
            wait = wait.min(left.max(Duration::from_millis(1)));
        }
        self.register = Some((reason, now + wait));
    }

    /// Takes note of whether the agent knows the service.
    pub(in crate::registration) fn confirmed(&mut self, known: Result<bool, Error>, now: Instant) {
        self.confirm = match known {
            Ok(true) => None,
            Ok(false) => {
                self.lost(now);
                None
            }
            Err(error) => {
                tracing::debug!(%error, "cannot ask the agent about the own registration");
                Some(now + self.config.unreachable_retry_max)
            }
        };
    }

    /// Takes note of whether the token sees the registration.
    pub(in crate::registration) fn looked(&mut self, seen: &Result<bool, Error>, now: Instant) {
        let Some((_, misses)) = self.look.take() else { return };
        let later = now + self.config.look_after.saturating_mul(5);
        match seen {
            Ok(true) => self.status.visible = Some(true),
            // It reaches the servers when one is back; that is no miss.
            Err(_) => self.look = Some((later, misses)),
            Ok(false) if misses + 1 < self.config.looks => {
                self.look = Some((now + self.config.look_after, misses + 1));
            }
            // A token can be given the right at any time, and a catalog may be far behind.
            Ok(false) => {
                self.status.visible = Some(false);
                self.look = Some((later, misses));
            }
        }
    }

    /// Takes note of how switching maintenance ended. `wanted` is what was sent.
    pub(in crate::registration) fn maintained(
        &mut self,
        wanted: &(u64, Option<String>),
        result: Result<(), Error>,
        now: Instant,
        random: f64,
    ) {
        // A service that the agent does not know takes no traffic either.
        let result = absent_is_done(result);
        let Some((_, since)) = self.maintain.filter(|_| self.wants.maintenance == *wanted) else { return };
        match result {
            Ok(()) => {
                self.status.counts.maintenance += 1;
                self.status.maintenance.clone_from(&wanted.1);
                self.settle(wanted.0, None);
            }
            Err(error) => match self.once_more(&error, since, now, random) {
                Some(at) => self.maintain = Some((at, since)),
                None => self.settle(wanted.0, Some(error)),
            },
        }
    }

    /// Takes note of how deregistering ended.
    pub(in crate::registration) fn deregistered(
        &mut self,
        result: Result<(), Error>,
        now: Instant,
        random: f64,
    ) {
        let Some((_, since)) = self.leave else { return };
        match absent_is_done(result) {
            Ok(()) => self.ended(Ok(())),
            Err(error) => match self.once_more(&error, since, now, random) {
                Some(at) => self.leave = Some((at, since)),
                None => self.ended(Err(error)),
            },
        }
    }

    fn success(&mut self, reason: Reason, now: Instant) {
        let agentless = self.agentless();
        let status = &mut self.status;
        status.counts.registered += 1;
        status.counts.refreshes += u64::from(reason == Reason::Refresh);
        status.state = State::Registered;
        status.registered_since = status.registered_since.or(Some(now));
        status.last_error = None;
        // The registration replaced every check; in the catalog its own check says it.
        status.maintenance = self.wants.maintenance.1.clone().filter(|_| agentless);
        (self.failures, self.trouble_since, self.last_success) = (0, None, Some(now));
        self.register = agentless.then(|| (Reason::Refresh, now + self.config.refresh()));
        if agentless {
            self.settle(self.wants.maintenance.0, None);
        }
        if !matches!(reason, Reason::Refresh | Reason::Health) {
            self.look = Some((now + self.config.look_after, 0));
        }
        self.ever = true;
    }

    /// When one of the last words is said again; `None`: it was refused, or tried long enough.
    fn once_more(&mut self, error: &Error, since: Instant, now: Instant, random: f64) -> Option<Instant> {
        self.end_failures = self.end_failures.saturating_add(1);
        let failure = Failure::of(error.class());
        let at = now + pause(failure, self.end_failures, random, &self.config);
        (failure != Failure::Refusal && at < since + self.config.end_patience).then_some(at)
    }
}

fn absent_is_done(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.status() == Some(404) => Ok(()),
        result => result,
    }
}
