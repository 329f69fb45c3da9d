//! What is known of a name.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::NameError;

/// What is known of a name at a moment.
#[derive(Debug, Clone, Default)]
pub struct NameState {
    /// The last good addresses, sorted, without duplicates. Empty until the first good answer.
    pub addresses: Arc<[IpAddr]>,
    /// When they were last confirmed.
    pub resolved_at: Option<Instant>,
    /// Why the latest lookup failed, if it did.
    pub error: Option<NameError>,
    /// Failed lookups since the last good one.
    pub failures: u32,
}

impl NameState {
    /// A state that is good for ever: an address given as such.
    pub(super) fn literal(address: IpAddr) -> Self {
        Self { addresses: Arc::new([address]), resolved_at: Some(Instant::now()), ..Self::default() }
    }

    /// A state that will not become better.
    pub(super) fn hopeless(error: NameError) -> Self {
        Self { error: Some(error), failures: 1, ..Self::default() }
    }

    /// Time since the addresses were last confirmed; `None` if there never were any.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.resolved_at.map(|at| at.elapsed())
    }

    /// Whether a lookup has ended, one way or the other.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.resolved_at.is_some() || self.error.is_some()
    }
}
