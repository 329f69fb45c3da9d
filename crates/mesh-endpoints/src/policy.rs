//! The rules of a set: how to choose, whom to leave out, how much to allow.

use std::time::Duration;

/// The rules of one set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetPolicy {
    /// How to choose among the endpoints that may be used.
    pub balancer: Balancer,
    /// How many connections the set may have.
    pub limits: Limits,
    /// When an endpoint is left out because connects to it fail.
    pub ejection: Ejection,
    /// Percent of healthy endpoints below which health is ignored and all are used, 0 to 100.
    ///
    /// 0, the default: an unhealthy endpoint is never used while one is healthy. Consul's own proxy
    /// uses 50. Ejected endpoints count as healthy here: only the catalog's word matters.
    pub panic_threshold: u8,
    /// What to do when no endpoint is healthy.
    pub all_down: AllDown,
}

/// How to choose among the endpoints that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balancer {
    /// Weighted round robin: exact over a cycle, interleaved within it. Consul's default.
    #[default]
    RoundRobin,
    /// Every endpoint with the same chance; weights do not matter, as in Consul's `random`.
    Random,
    /// The least busy of a few.
    ///
    /// Equal weights: the one with the fewest connections of `choice_count` endpoints drawn at
    /// random (of all, if there are no more than that). Unequal weights: an endpoint is drawn with a
    /// chance in proportion to weight / (connections + 1), as in Consul's `least_request`; this
    /// looks at every endpoint.
    LeastRequest {
        /// How many endpoints to compare; less than 2 means 2.
        choice_count: u32,
    },
}

/// How many connections a set may have. `None`: the set has no limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Connections open or being opened. The next one is refused at once, never queued.
    pub max_connections: Option<u32>,
    /// Connections still being opened.
    pub max_pending: Option<u32>,
}

/// When an endpoint is left out because connects to it fail, and for how long.
///
/// Only failed connects count: what happens to a connection later cannot be blamed on the endpoint.
/// The n-th ejection lasts n times [`base`](Self::base), up to [`max`](Self::max). n goes down by one
/// for each `base` of time since the endpoint came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// Failed connects in a row that eject; a connect that succeeds starts the count again. 0: never
    /// eject.
    pub consecutive_failures: u32,
    /// Length of the first ejection. Zero: never eject.
    pub base: Duration,
    /// Longest ejection (`base`, if that is longer).
    pub max: Duration,
    /// Percent of the set that may be ejected at a time. One endpoint may go whatever the percentage
    /// says, but never the last one that can be used.
    pub max_percent: u8,
}

impl Ejection {
    /// Whether endpoints are ejected at all.
    pub(crate) fn is_on(&self) -> bool {
        self.consecutive_failures > 0 && !self.base.is_zero()
    }
}

impl Default for Ejection {
    /// Consul's passive check: 5 failures, 30 s growing to 300 s, a tenth of the set.
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            base: Duration::from_secs(30),
            max: Duration::from_secs(300),
            max_percent: 10,
        }
    }
}

/// What to do when no endpoint is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AllDown {
    /// Use all of them: health data can be stale, above all while the network is split.
    #[default]
    TryAll,
    /// Refuse.
    Close,
}
