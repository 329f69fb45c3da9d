//! What is known about one connection when it has ended.
//!
//! The record is made once, borrowed from whatever the handler holds, and goes to the metrics and to the access log.
//! Nothing is formatted or copied before somebody wants it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::reason::Reason;

/// What was decided about a connection by who it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It may be.
    Allow,
    /// It may not be.
    Deny,
    /// It may not be, and was let through because nothing is enforced yet (dry run).
    WouldDeny,
}

impl Verdict {
    /// The word in logs, metrics and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldDeny => "would_deny",
        }
    }
}

/// One connection that has ended. What was never known is `None`.
#[derive(Debug, Clone, Copy)]
pub struct ConnRecord<'a> {
    /// Number of the connection, unique within the process.
    pub id: u64,
    /// Name of the listener that accepted it.
    pub listener: &'a str,
    /// Address of the client.
    pub peer: SocketAddr,
    /// Server name as the client sent it. Not trusted: whoever prints it escapes it.
    pub sni: Option<&'a str>,
    /// First application protocol that the client offered. Not trusted.
    pub alpn: Option<&'a str>,
    /// The service, datacenter or route that the name led to: the label of the metrics.
    pub service: Option<&'a str>,
    /// The rule of the table that matched.
    pub rule: Option<&'a str>,
    /// Who the client is, by its verified certificate. `None` where nobody asks for one.
    pub source: Option<&'a str>,
    /// What was decided about that client.
    pub verdict: Option<Verdict>,
    /// What decided, in words: an intention, or the default policy.
    pub intention: Option<&'a str>,
    /// The endpoint that was dialled last.
    pub endpoint: Option<SocketAddr>,
    /// How many endpoints were dialled.
    pub attempts: u8,
    /// When the connection was accepted.
    pub opened: SystemTime,
    /// From accept to end.
    pub duration: Duration,
    /// From the first dial to the connection that was used, failed attempts included. `None` if none was.
    pub connect: Option<Duration>,
    /// Bytes from the client to the endpoint, the hello included.
    pub bytes_up: u64,
    /// Bytes from the endpoint to the client.
    pub bytes_down: u64,
    /// Whether bytes were moved inside the kernel for a part of its life.
    pub spliced: bool,
    /// Why it ended.
    pub reason: Reason,
    /// What the reason's word cannot say, for example an error of the system.
    pub detail: Option<&'a str>,
}

impl ConnRecord<'_> {
    /// Whether an operator may want to hear of it: by its reason, or because it would have been denied.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        self.reason.is_problem() || self.verdict == Some(Verdict::WouldDeny)
    }
}
