//! What the caller says about one endpoint.

use std::net::SocketAddr;
use std::sync::Arc;

/// The largest weight. Consul cuts larger ones to it.
pub const MAX_WEIGHT: u16 = 128;

/// One address of a service, as the catalog describes it.
///
/// An address is one endpoint: where a list names it twice, the set keeps one, healthy if one of the
/// rows is, with weight and label of the first healthy row (of the first row if none is healthy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect to. It also identifies the endpoint across updates.
    pub address: SocketAddr,
    /// Share of the connections, 1 to [`MAX_WEIGHT`]. Values outside are moved to the nearest bound:
    /// an endpoint that must not be used is unhealthy, not weightless.
    pub weight: u16,
    /// Whether the catalog's checks let it be used.
    pub healthy: bool,
    /// What a person knows it by (instance id, host name); shown in the status only.
    pub label: Option<Arc<str>>,
}

impl Endpoint {
    /// A healthy endpoint of weight 1 without a label.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, weight: 1, healthy: true, label: None }
    }
}
