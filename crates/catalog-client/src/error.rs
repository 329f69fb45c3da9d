//! What can go wrong with a request, whose fault it is, and the way out.

use std::fmt;

/// A request that brought no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// `GET /v1/health/connect/web`, without query and token.
    pub request: String,
    /// The agent that was asked: `127.0.0.1:8500`, `unix:///run/consul.sock`; empty if none was.
    pub agent: String,
    /// What happened.
    pub cause: Cause,
    /// The ACL rule that the request needs, in Consul's rule language; empty if none.
    pub rule: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// No connection: refused, no route, no such name, TLS. The text says which.
    Unreachable(String),
    /// Connected, but no whole answer in time.
    Timeout(String),
    /// The connection ended before the answer was whole.
    Cut(String),
    /// Consul answered with a status other than 200 (or a usable 404).
    Status {
        /// The HTTP status.
        status: u16,
        /// The first 200 bytes of Consul's text, on one line.
        text: String,
        /// The endpoint does not exist in this version (a 404 that says nothing about an object).
        unknown_endpoint: bool,
    },
    /// The answer is larger than the limit.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer is not what the endpoint promises: no JSON, or of another shape.
    Rejected(String),
    /// The answer leaves out what was there before, or may have: the token may not see it.
    Withheld(String),
    /// The client itself could not send: its files, its token, its budget.
    Local(String),
}

/// What a cause means for whoever retries (consul-api 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Refused, reset, cut, TLS, timeout.
    Transport,
    /// Any 5xx but 503.
    Server,
    /// 429 and 503: too much asked.
    Busy,
    /// 403: the token may not.
    Denied,
    /// 403 `ACL not found`: the token is unknown or has expired.
    TokenUnknown,
    /// The endpoint, or the kind of entry, does not exist in this version.
    Unsupported,
    /// 400, 405 and the rest: our mistake, or the versions do not fit.
    Mistake,
    /// 200 whose body cannot be used.
    Rejected,
}

impl Class {
    /// The word for metrics and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Server => "server",
            Self::Busy => "busy",
            Self::Denied => "denied",
            Self::TokenUnknown => "token_unknown",
            Self::Unsupported => "unsupported",
            Self::Mistake => "mistake",
            Self::Rejected => "rejected",
        }
    }
}

impl Error {
    /// What this means for whoever retries.
    #[must_use]
    pub fn class(&self) -> Class {
        match &self.cause {
            Cause::Unreachable(_) | Cause::Timeout(_) | Cause::Cut(_) | Cause::Local(_) => Class::Transport,
            Cause::TooLarge { .. } | Cause::Rejected(_) => Class::Rejected,
            Cause::Withheld(_) => Class::Denied,
            Cause::Status { unknown_endpoint: true, .. } => Class::Unsupported,
            Cause::Status { status, text, .. } => match status {
                403 if text.contains("ACL not found") => Class::TokenUnknown,
                403 => Class::Denied,
                429 | 503 => Class::Busy,
                500 if text.contains("invalid config entry kind") => Class::Unsupported,
                500..=599 => Class::Server,
                _ => Class::Mistake,
            },
        }
    }

    /// What it has in common with failures of other requests: the cause, and the rule or the request
    /// where it is about that.
    pub(crate) fn words(&self) -> String {
        match self.class() {
            Class::Denied if !self.rule.is_empty() => format!("{}; {}", self.cause, self.rule),
            Class::Unsupported | Class::Mistake => format!("{}: {}", self.request, self.cause),
            _ => self.cause.to_string(),
        }
    }

    /// The HTTP status, if Consul answered with one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.cause {
            Cause::Status { status, .. } => Some(status),
            _ => None,
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.request)?;
        if !self.agent.is_empty() {
            write!(f, " at {}", self.agent)?;
        }
        write!(f, ": {}", self.cause)?;
        match self.class() {
            Class::Denied if !self.rule.is_empty() => write!(f, "; the token needs {}", self.rule),
            Class::TokenUnknown => {
                write!(f, "; give a token that exists (--token-file, CONSUL_HTTP_TOKEN_FILE)")
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text)
            | Self::Timeout(text)
            | Self::Cut(text)
            | Self::Local(text)
            | Self::Withheld(text)
            | Self::Rejected(text) => f.write_str(text),
            Self::Status { status, text, unknown_endpoint } => {
                write!(f, "{status}")?;
                if !text.is_empty() {
                    write!(f, ": {text}")?;
                }
                if *unknown_endpoint {
                    f.write_str(" (this version of Consul does not have it)")?;
                }
                Ok(())
            }
            Self::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
        }
    }
}
