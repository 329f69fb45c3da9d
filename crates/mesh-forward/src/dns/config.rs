//! The timers and bounds of name resolution.

use std::time::Duration;

use super::AddressGuard;

/// The timers and bounds of [`Names`](super::Names).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesConfig {
    /// Longest life of an answer, whatever its TTL. Default 10 s, as in Consul's gateways.
    pub refresh: Duration,
    /// Shortest life of an answer, whatever its TTL. Default 1 s. Wins over `refresh`.
    pub floor: Duration,
    /// Pause after the first failure; it doubles with each further one. Default 1 s.
    pub retry: Duration,
    /// Longest pause after a failure. Default 30 s.
    pub retry_max: Duration,
    /// Time that a lookup may take, search list and retransmissions included. Default 10 s.
    pub lookup_timeout: Duration,
    /// Names at a time. Default 4,096.
    pub max_names: usize,
    /// Lookups at a time; the others wait their turn. Default 16.
    pub max_lookups: usize,
    /// Addresses of a name; what a larger answer has beyond it is left out. Default 256.
    pub max_addresses: usize,
    /// Addresses that names may not stand for. Default: none is left out.
    pub guard: AddressGuard,
}

impl Default for NamesConfig {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(10),
            floor: Duration::from_secs(1),
            retry: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
            lookup_timeout: Duration::from_secs(10),
            max_names: 4096,
            max_lookups: 16,
            max_addresses: 256,
            guard: AddressGuard::NONE,
        }
    }
}
