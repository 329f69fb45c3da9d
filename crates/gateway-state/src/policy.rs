//! How a set of endpoints is used.

use std::time::Duration;

/// How the endpoints of one set are chosen, bounded and taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct SetPolicy {
    /// How one endpoint is chosen.
    pub balancer: Balancer,
    /// Bounds of the set.
    pub limits: Limits,
    /// Passive ejection.
    pub ejection: Ejection,
    /// Percent.
    pub panic_threshold: u8,
    /// What happens when none is healthy.
    pub all_down: AllDown,
}

/// How one endpoint is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// Weighted round robin.
    RoundRobin,
    /// Uniform.
    Random,
    /// Fewest in flight of a few.
    LeastRequest {
        /// How many are looked at.
        choice_count: u32,
    },
}

/// Bounds of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// Open and connecting.
    pub max_connections: Option<u32>,
    /// Connecting.
    pub max_pending: Option<u32>,
}

/// Passive ejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// 0 = off.
    pub consecutive_failures: u32,
    /// First time.
    pub base: Duration,
    /// Longest.
    pub max: Duration,
    /// Share of the set.
    pub max_percent: u8,
}

/// What happens when none is healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllDown {
    /// Try all.
    TryAll,
    /// Close.
    Close,
}
