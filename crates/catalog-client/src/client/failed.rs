//! A failure on its way out, with what it allows.

use std::fmt;
use std::sync::Arc;

use super::site::Site;
use crate::error::{Cause, Error};

/// Whether the same request may be sent again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// No: the reason would be the same, or the agent may have acted on it.
    No,
    /// A read may: a kept connection ended before a byte of the answer came.
    Read,
    /// Anything may: the agent has certainly not seen it.
    Unsent,
}

#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) cause: Cause,
    /// The agent that was asked; empty if none was.
    pub(super) agent: Option<Arc<Site>>,
    pub(super) retry: Retry,
}

impl Failed {
    pub(super) fn new(cause: Cause) -> Self {
        Self { cause, agent: None, retry: Retry::No }
    }

    pub(super) fn at(mut self, site: &Arc<Site>) -> Self {
        self.agent = Some(Arc::clone(site));
        self
    }

    pub(super) fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl std::error::Error for Failed {}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl From<Failed> for Error {
    /// Request and rule are filled in by whoever knows them.
    fn from(failed: Failed) -> Self {
        let agent = failed.agent.map(|site| site.shown.to_string()).unwrap_or_default();
        Self { request: String::new(), agent, cause: failed.cause, rule: String::new() }
    }
}
