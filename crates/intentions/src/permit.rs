//! Answers of a check. Only a check makes them.

use std::fmt;
use std::sync::Arc;

use crate::decision::Decision;
use crate::mesh::Destination;

/// The answer for a connection.
#[derive(Debug)]
#[must_use = "an answer that nobody reads protects nobody"]
pub enum Verdict {
    /// It may be connected with the destination.
    Allow(ConnPermit),
    /// It must be closed, before anything is connected or read.
    Deny(Denial),
    /// Each request on it must be asked for ([`RuleSet::check_request`](crate::RuleSet::check_request)), also where the
    /// answer is certain: a caller that is denied is told so by an answer to its request.
    NeedsRequest(Outlook),
}

/// Leave to connect one connection with its destination. It is as large as a pointer and making it allocates nothing.
///
/// It does not end by itself: whoever holds it asks again when the rules change. Nobody but the check can make one:
///
/// ```compile_fail,E0423
/// fn forge(decision: std::sync::Arc<intentions::Decision>) -> intentions::ConnPermit {
///     intentions::ConnPermit(decision)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ConnPermit(Arc<Decision>);

/// Leave to forward one request to its destination.
#[derive(Debug, Clone)]
pub struct RequestPermit(Arc<Decision>);

/// The call may not be made. [`fmt::Display`] says why, as [`Decision`] does.
#[derive(Debug, Clone)]
pub struct Denial(Arc<Decision>);

/// What can be said of a connection's requests before there is one. It permits nothing.
#[derive(Debug, Clone)]
pub struct Outlook(Option<Arc<Decision>>);

macro_rules! answer {
    ($name:ident) => {
        impl $name {
            /// What decided.
            #[must_use]
            pub fn why(&self) -> &Decision {
                &self.0
            }

            /// The service that it is about.
            #[must_use]
            pub fn destination(&self) -> &Destination {
                self.0.destination()
            }
        }
    };
}

macro_rules! permit {
    ($name:ident) => {
        answer!($name);

        impl $name {
            /// The only way to one: a decision that allows.
            pub(crate) fn of(decision: &Arc<Decision>) -> Result<Self, Denial> {
                if decision.is_allowed() {
                    Ok(Self(Arc::clone(decision)))
                } else {
                    Err(Denial(Arc::clone(decision)))
                }
            }
        }
    };
}

permit!(ConnPermit);
permit!(RequestPermit);
answer!(Denial);

impl Outlook {
    pub(crate) fn certain(decision: &Arc<Decision>) -> Self {
        Self(Some(Arc::clone(decision)))
    }

    pub(crate) fn open() -> Self {
        Self(None)
    }

    /// The decision for every request of this source under the rules as they are; `None` where it depends on the
    /// request.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.0.as_deref()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Denial {}
