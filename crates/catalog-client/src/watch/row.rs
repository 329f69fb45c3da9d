//! What a watch shows of itself, to any thread.

use super::{agent::Locked, now};
use crate::{Error, error::Class};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// One watch on an admin page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is asked: `/v1/health/connect/web`.
    pub path: String,
    /// How it is followed.
    pub how: How,
    /// Whether it works.
    pub state: State,
    /// Of the last good answer; 0 before the first.
    pub index: u64,
    /// Time since the last good answer; `None` if there was none.
    pub answer_age: Option<Duration>,
    /// Time since the last change; `None` if there was none.
    pub change_age: Option<Duration>,
    /// What is wrong, if something is.
    pub error: Option<String>,
    /// Whole answers so far.
    pub answers: u64,
    /// Changes so far, the first document included.
    pub changes: u64,
    /// Failures so far.
    pub failures: u64,
}

/// How a query is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// By a long poll.
    Block,
    /// Read in turn with others.
    Sweep,
    /// Read in turn, seldom: there was nothing the last time.
    Idle,
    /// Asked at an interval.
    Poll,
}

impl How {
    /// The word for metrics and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Sweep => "sweep",
            Self::Idle => "idle",
            Self::Poll => "poll",
        }
    }
}

/// Whether a watch works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No answer yet.
    New,
    /// What is known is current.
    Good,
    /// The index went back; waiting for a second answer to confirm it.
    Guarded,
    /// It fails; what is known stays.
    Failing(Class),
}

impl State {
    /// The word for metrics and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Good => "good",
            Self::Guarded => "guarded",
            Self::Failing(class) => class.as_str(),
        }
    }
}

/// What a row is made of, kept small: there is one for each name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) answered: Option<Instant>,
    pub(crate) changed: Option<Instant>,
    pub(crate) error: Option<Box<str>>,
    answers: u32,
    changes: u32,
    failures: u32,
}

impl Live {
    /// A good answer.
    pub(crate) fn good(&mut self, at: Instant, changed: bool) {
        self.answered = Some(at);
        self.answers = self.answers.saturating_add(1);
        self.error = None;
        if changed {
            self.changed = Some(at);
            self.changes = self.changes.saturating_add(1);
        }
    }

    /// A failure. `news`: not the same as the one before.
    pub(crate) fn failed(&mut self, error: &Error, news: bool) {
        self.failures = self.failures.saturating_add(1);
        if news || self.error.is_none() {
            self.error = Some(error.to_string().into());
        }
    }

    pub(crate) fn row(&self, path: String, how: How, state: State, index: u64, now: Instant) -> Row {
        let age = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        Row {
            path,
            how,
            state,
            index,
            answer_age: age(self.answered),
            change_age: age(self.changed),
            error: self.error.as_deref().map(str::to_owned),
            answers: self.answers.into(),
            changes: self.changes.into(),
            failures: self.failures.into(),
        }
    }
}

/// The row of a watch with a task of its own. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Shown(Arc<Locked<Inner>>);

#[derive(Debug)]
struct Inner {
    path: String,
    how: How,
    state: State,
    index: u64,
    live: Live,
}

impl Shown {
    pub(super) fn new(path: String, how: How) -> Self {
        let live = Live::default();
        Self(Arc::new(Locked::new(Inner { path, how, state: State::New, index: 0, live })))
    }

    pub(super) fn update(&self, state: State, index: u64, what: impl FnOnce(&mut Live)) {
        let mut inner = self.0.lock();
        inner.state = state;
        inner.index = index;
        what(&mut inner.live);
    }

    pub(crate) fn row(&self) -> Row {
        let inner = self.0.lock();
        inner.live.row(inner.path.clone(), inner.how, inner.state, inner.index, now())
    }
}
