//! Decides what is to be done about the registration, and when. Time and random numbers come in as
//! arguments; nothing here waits or sends.

mod outcome;

use super::{
    config::RegistrarConfig,
    request::Place,
    status::{Reason, RegistrationStatus, State},
};
use crate::error::Error;
use std::time::Instant;

/// What the rest of the process wants. Counters: more than before means once more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// The agent does not know the service.
    pub(super) missing: u64,
    /// The agent answers again.
    pub(super) returned: u64,
    /// There is another token.
    pub(super) token: u64,
    /// The gateway takes traffic. Matters only where nobody else runs the check.
    pub(super) ready: bool,
    /// Number of the request, and the reason of the maintenance, or none.
    pub(super) maintenance: (u64, Option<String>),
    /// The registration is to be taken back.
    pub(super) leave: bool,
}

impl Wants {
    /// Why others must not send traffic, in words.
    pub(super) fn failure(&self) -> Option<&str> {
        match &self.maintenance.1 {
            Some(reason) => Some(reason),
            None => (!self.ready).then_some("not ready"),
        }
    }

    /// Whether the change cannot wait for a write that is under way.
    pub(super) fn is_urgent_after(&self, before: &Self) -> bool {
        self.leave != before.leave || self.maintenance != before.maintenance
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Register(Reason),
    /// Ask whether the agent still knows the service.
    Confirm,
    /// Look whether the token can see it.
    Look,
    /// Bring the maintenance mode to what is wanted.
    Maintain,
    Deregister,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Do(Action),
    /// Until then, or until something is wanted.
    Wait(Option<Instant>),
    End,
}

/// The state behind the decisions.
#[derive(Debug)]
pub(super) struct Machine {
    config: RegistrarConfig,
    wants: Wants,
    pub(super) status: RegistrationStatus,
    /// The registration that is due.
    register: Option<(Reason, Instant)>,
    confirm: Option<Instant>,
    /// When to look, and how often it was in vain.
    look: Option<(Instant, u32)>,
    /// When to switch maintenance, and since when that is tried.
    maintain: Option<(Instant, Instant)>,
    /// When to deregister, and since when that is tried.
    leave: Option<(Instant, Instant)>,
    /// Failures in a row of registering.
    failures: u32,
    /// Failures in a row of the last words.
    end_failures: u32,
    /// Since when every answer is [`Failure::Trouble`].
    trouble_since: Option<Instant>,
    last_success: Option<Instant>,
    ever: bool,
}

impl Machine {
    pub(super) fn new(
        config: RegistrarConfig,
        status: RegistrationStatus,
        wants: Wants,
        now: Instant,
    ) -> Self {
        Self {
            config,
            wants,
            status,
            register: Some((Reason::Start, now)),
            confirm: None,
            look: None,
            maintain: None,
            leave: None,
            failures: 0,
            end_failures: 0,
            trouble_since: None,
            last_success: None,
            ever: false,
        }
    }

    pub(super) fn wants(&self) -> &Wants {
        &self.wants
    }

    /// Takes note of what is wanted now.
    pub(super) fn heed(&mut self, wants: Wants, now: Instant) {
        let before = std::mem::replace(&mut self.wants, wants);
        if self.wants.missing > before.missing && self.status.state == State::Registered {
            // Who says so may have asked before the last registration was made.
            match self.agentless() {
                true => self.lost(now),
                false => self.confirm = Some(now),
            }
        }
        if self.wants.returned > before.returned {
            self.agent_returned(now);
        }
        if self.wants.token > before.token && self.ever {
            self.status.counts.tokens += 1;
            self.again(Reason::Token, now);
        }
        if self.wants.maintenance.0 != before.maintenance.0 {
            self.maintenance_wanted(now);
        }
        if self.agentless() && self.wants.failure() != before.failure() && self.ever && self.failures == 0 {
            self.register = Some((Reason::Health, now));
        }
        if self.wants.leave && !before.leave {
            match self.status.last_try {
                // A try that failed may have been heard all the same.
                Some(_) => self.leave = Some((now, now)),
                None => self.ended(Ok(())),
            }
        }
    }

    /// What to do now.
    pub(super) fn next(&self, now: Instant) -> Step {
        if matches!(self.status.state, State::Ended | State::Refused) {
            return Step::End;
        }
        let due = match (self.leave, self.maintain) {
            (Some((at, _)), _) => vec![(at, Action::Deregister)],
            // On the way out nothing brings traffic back.
            (None, Some((at, _))) if !self.agentless() => vec![(at, Action::Maintain)],
            _ => {
                let draining = self.wants.maintenance.1.is_some() && !self.agentless();
                let register =
                    self.register.filter(|_| !draining).map(|(why, at)| (at, Action::Register(why)));
                let confirm = self.confirm.map(|at| (at, Action::Confirm));
                let look = self.look.map(|(at, _)| (at, Action::Look));
                [register, confirm, look].into_iter().flatten().collect()
            }
        };
        match due.into_iter().min_by_key(|(at, _)| *at) {
            Some((at, action)) if at <= now => Step::Do(action),
            Some((at, _)) => Step::Wait(Some(at)),
            None => Step::Wait(None),
        }
    }

    /// Takes note that an action begins.
    pub(super) fn begin(&mut self, action: Action, now: Instant) {
        if let Action::Register(_) = action {
            self.status.last_try = Some(now);
            self.status.counts.tries += 1;
        }
    }

    fn lost(&mut self, now: Instant) {
        self.status.counts.missing += 1;
        self.status.state = State::Lost;
        self.status.registered_since = None;
        self.look = None;
        self.again(Reason::Missing, now);
    }

    /// Registers once more, though not too soon after the last time.
    fn again(&mut self, reason: Reason, now: Instant) {
        if self.failures > 0 {
            // A retry is on its way; it serves this reason too.
            return;
        }
        let earliest = self.last_success.map_or(now, |last| last + self.config.guard_interval);
        self.register = Some((reason, earliest.max(now)));
    }

    fn agent_returned(&mut self, now: Instant) {
        if self.status.state == State::Registered && !self.agentless() {
            self.confirm = Some(now);
        }
        if let Some((_, at)) = self.register.as_mut().filter(|_| self.failures > 0) {
            // A flapping agent is not asked more often than after a first failure.
            let earliest = self.status.last_try.map_or(now, |last| last + self.config.retry);
            *at = (*at).min(earliest.max(now));
        }
    }

    fn maintenance_wanted(&mut self, now: Instant) {
        self.end_failures = 0;
        match self.ever {
            true => self.maintain = Some((now, now)),
            // Nobody sends traffic here yet.
            false => self.settle(self.wants.maintenance.0, None),
        }
    }

    fn settle(&mut self, number: u64, error: Option<Error>) {
        self.maintain = None;
        self.status.settled = (number, error);
    }

    fn ended(&mut self, result: Result<(), Error>) {
        self.status.state = State::Ended;
        self.status.registered_since = None;
        self.status.left = Some(result);
    }

    fn agentless(&self) -> bool {
        matches!(self.status.place, Place::Catalog { .. })
    }
}
