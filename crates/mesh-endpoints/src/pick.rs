//! The key to dialling, and why one was refused.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::EndpointSet;
use crate::state::State;

/// The right to open one connection to one endpoint, and its count for as long as it lasts.
///
/// Only [`EndpointSet::pick`] makes one. It counts as connecting until [`connected`](Self::connected),
/// as open until it is dropped: keep it beside the connection. Its endpoint may leave the set
/// meanwhile; the pick stays valid.
#[must_use = "the connection counts only while the pick is kept"]
pub struct Pick {
    set: Arc<EndpointSet>,
    state: Arc<State>,
    pending: bool,
}

impl Pick {
    /// Begins to count for the endpoint. The set has counted it already.
    pub(crate) fn new(set: Arc<EndpointSet>, state: Arc<State>) -> Self {
        state.begin();
        Self { set, state, pending: true }
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// The endpoint accepted the connection: no longer connecting, and its failures are forgotten.
    /// Calling it again changes nothing.
    pub fn connected(&mut self) {
        if std::mem::replace(&mut self.pending, false) {
            self.set.counts().connected();
            self.state.succeeded();
        }
    }

    /// The connect failed (refused, timed out, unreachable). If that ejects the endpoint, says so.
    ///
    /// To give a connect up for reasons that are not the endpoint's (the client left), drop the pick.
    /// After [`connected`](Self::connected) this is a plain drop: what happens later is no proof
    /// against the endpoint.
    pub fn failed(self, now: Instant) -> Option<EjectionNotice> {
        if self.pending { self.set.connect_failed(&self.state, now) } else { None }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.state.end();
        self.set.counts().ended(self.pending);
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick").field("address", &self.address()).field("pending", &self.pending).finish()
    }
}

/// An endpoint was ejected just now: for the caller's log and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionNotice {
    /// The endpoint that is left out.
    pub address: SocketAddr,
    /// For how long.
    pub duration: Duration,
}

/// Why no endpoint was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// The set has no endpoint. The catalog's fault; trying again helps after it changed.
    #[error("the service has no endpoint")]
    Empty,
    /// No endpoint is healthy, and the policy says [`AllDown::Close`](crate::AllDown::Close). Trying
    /// again helps when one is healthy again.
    #[error("none of the {endpoints} endpoints of the service is healthy")]
    AllDown {
        /// How many endpoints the set has.
        endpoints: usize,
    },
    /// Every endpoint that may be used was tried for this connection already.
    #[error("every usable endpoint of the service was tried")]
    AllTried,
    /// The set has as many connections as it may have. Trying again helps when one has ended.
    #[error("the service has reached its limit of {limit} connections")]
    Connections {
        /// [`Limits::max_connections`](crate::Limits::max_connections).
        limit: u32,
    },
    /// As many connections are being opened as may be. Trying again helps soon.
    #[error("the service has reached its limit of {limit} connections being opened")]
    Pending {
        /// [`Limits::max_pending`](crate::Limits::max_pending).
        limit: u32,
    },
}
