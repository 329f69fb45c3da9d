//! One intention, with its decisions made in advance.

use std::sync::Arc;

use super::matcher::Matcher;
use super::order::Covers;
use crate::decision::Decision;
use crate::intention::Intention;
use crate::request::RequestHead;

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) intention: Arc<Intention>,
    pub(super) covers: Covers,
    /// For a stream of bytes.
    pub(super) on_connection: Arc<Decision>,
    pub(super) on_request: Judge,
}

/// What is decided about a request that the intention covers.
#[derive(Debug)]
pub(super) enum Judge {
    Always(Arc<Decision>),
    /// The first permission that matches.
    First {
        permissions: Box<[Permission]>,
        none: Arc<Decision>,
    },
}

#[derive(Debug)]
pub(super) struct Permission {
    pub(super) matcher: Matcher,
    pub(super) decision: Arc<Decision>,
}

impl Judge {
    pub(super) fn decide(&self, request: &RequestHead<'_>) -> &Arc<Decision> {
        match self {
            Self::Always(decision) => decision,
            Self::First { permissions, none } => {
                let mut permissions = permissions.iter();
                let found = permissions.find(|permission| permission.matcher.check(request).is_ok());
                found.map_or(none, |permission| &permission.decision)
            }
        }
    }
}
