//! What a set looks like at a moment, for an admin page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A set at a moment. The numbers are read one after another, so under load they may be a connection
/// apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetStatus {
    /// Connections open or being opened, those to endpoints that have left the set included.
    pub open: u32,
    /// Connections being opened.
    pub pending: u32,
    /// Ejections since the set was made.
    pub ejections: u64,
    /// The endpoints, sorted by address.
    pub endpoints: Vec<EndpointStatus>,
}

/// An endpoint at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its address.
    pub address: SocketAddr,
    /// What a person knows it by.
    pub label: Option<Arc<str>>,
    /// Its weight, as used: 1 to 128.
    pub weight: u16,
    /// Whether the catalog's checks let it be used.
    pub healthy: bool,
    /// Whether health and policy let it be picked at all: a healthy one, or any one when the set uses
    /// all. Ejection is not counted in.
    pub eligible: bool,
    /// Time until it comes back, if it is ejected.
    pub ejected_for: Option<Duration>,
    /// Connections to it, open or being opened.
    pub in_flight: u32,
    /// Failed connects since the last success or ejection.
    pub consecutive_failures: u32,
    /// Failed connects since the address came into the set (wraps at 2^32).
    pub failures: u32,
}
