//! The timers of the registration.

use std::time::Duration;

/// The timers of a [`Registrar`](super::Registrar).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    /// Pause after the first failure; it doubles with each further one. Default 1 s.
    pub retry: Duration,
    /// Longest pause after an answer that was an error. Default 60 s.
    pub retry_max: Duration,
    /// Longest pause while the agent cannot be reached. Default 5 s.
    pub unreachable_retry_max: Duration,
    /// Shortest pause after a refusal, once the gateway has been registered. Default 5 s.
    pub refused_retry: Duration,
    /// How long the first registration may be answered with 5xx or 429 before it counts as refused
    /// (consul-api 5.2). Time without any answer does not count. Default 60 s.
    pub start_patience: Duration,
    /// Shortest time between two registrations that a guard asked for. Default 10 s.
    pub guard_interval: Duration,
    /// How often a registration in the catalog, which no agent keeps, is written again. Default 10 s,
    /// at most 30 s (consul-api 5.5).
    pub refresh: Duration,
    /// When to look, after a registration, whether the token can see it; again after each miss.
    /// Default 2 s.
    pub look_after: Duration,
    /// Misses until the token counts as blind. Default 5.
    pub looks: u32,
    /// How long switching maintenance and deregistering are tried, at the end. Default 5 s.
    pub end_patience: Duration,
}

/// Longest [`RegistrarConfig::refresh`].
const REFRESH_MAX: Duration = Duration::from_secs(30);

impl RegistrarConfig {
    /// [`refresh`](Self::refresh) within its limit.
    pub(super) fn refresh(&self) -> Duration {
        self.refresh.min(REFRESH_MAX)
    }
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self {
            retry: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
            unreachable_retry_max: Duration::from_secs(5),
            refused_retry: Duration::from_secs(5),
            start_patience: Duration::from_secs(60),
            guard_interval: Duration::from_secs(10),
            refresh: Duration::from_secs(10),
            look_after: Duration::from_secs(2),
            looks: 5,
            end_patience: Duration::from_secs(5),
        }
    }
}
