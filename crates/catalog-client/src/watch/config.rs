//! The timers and bounds of watches.

use std::time::Duration;

/// The timers and bounds of watches. The defaults are the rules of consul-api 2.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchConfig {
    /// How long the agent may hold a blocking read. Default 60 s, of 5 s to 10 min: short enough that a
    /// slot lost at the agent is soon free again.
    pub wait: Duration,
    /// Pause after a first failure; it doubles with each further one, and is then multiplied by a
    /// random number from 0.5 to 1. Default 1 s.
    pub retry: Duration,
    /// Longest pause after failures. Default 60 s.
    pub retry_max: Duration,
    /// The first pause after a 403. Default 5 s.
    pub retry_denied: Duration,
    /// The pause after a 400, 405 and what else is a mistake of ours. Default 60 s.
    pub retry_mistake: Duration,
    /// The pause after "this version does not have it". Default 1 h.
    pub retry_unsupported: Duration,
    /// How often an absent object is asked for where its endpoint cannot wait for it. Default 2 s.
    pub absent_every: Duration,
    /// A lower index is believed when a second answer, this much later, confirms it. Default 5 s: a
    /// server that replays its log after a crash is done in less than 2 s.
    pub guard: Duration,
    /// Rounds without news that may follow each other at once. Default 3.
    pub burst: u32,
    /// After that, one round in this time. Default 1 s.
    pub round_every: Duration,
    /// So many early returns in a row with the same index slow a watch down. Default 10.
    pub early_returns: u32,
    /// Then one round in this time, until something changes. Default 15 s.
    pub slow_every: Duration,
    /// Changes that may follow each other at once. Default 20.
    pub change_burst: u32,
    /// After that, one change in this time; Consul sums up what happens meanwhile. Default 100 ms.
    pub change_every: Duration,
    /// At the start, when nothing is known and the leader has not answered for this long, any server's
    /// state is taken. Default 10 s.
    pub degraded_after: Duration,
    /// The longest time between two probes of an agent that is away; the shortest is half of it.
    /// Default 500 ms.
    pub probe_every: Duration,
    /// An agent that does not answer the first probe for this long is away. Default 1 s.
    pub probe_verdict: Duration,
    /// A probe is given up after this time; later ones do not wait for it. Default 3 s.
    pub probe_timeout: Duration,
    /// When the agent is back, reads that nobody waits for are spread over this time. Default 5 s.
    pub resume_over: Duration,
    /// Reads that were under way when the agent left are given up if it was away for at least this
    /// long: their connections may be dead without anybody knowing. Default 3 s.
    pub abandon_after: Duration,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(60),
            retry: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
            retry_denied: Duration::from_secs(5),
            retry_mistake: Duration::from_secs(60),
            retry_unsupported: Duration::from_secs(3600),
            absent_every: Duration::from_secs(2),
            guard: Duration::from_secs(5),
            burst: 3,
            round_every: Duration::from_secs(1),
            early_returns: 10,
            slow_every: Duration::from_secs(15),
            change_burst: 20,
            change_every: Duration::from_millis(100),
            degraded_after: Duration::from_secs(10),
            probe_every: Duration::from_millis(500),
            probe_verdict: Duration::from_secs(1),
            probe_timeout: Duration::from_secs(3),
            resume_over: Duration::from_secs(5),
            abandon_after: Duration::from_secs(3),
        }
    }
}
