//! Bounds and timers of a client, with Consul's own limits in mind (consul-api 2.7, 4.1, 4.2).

use std::time::Duration;

use super::ConfigError;

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTimers {
    /// Reaching one address, TLS included. 5 s: the agent drops a slower handshake itself.
    pub connect: Duration,
    /// Silence before TCP's keepalive asks whether the agent is still there. 20 s.
    pub keepalive: Duration,
    /// Silence before an HTTP/2 ping. 30 s.
    pub ping: Duration,
    /// How long a ping may stay unanswered. 10 s.
    pub ping_answer: Duration,
    /// A read that does not wait, or a write, to the last byte of the answer. 15 s.
    pub read: Duration,
    /// The same for answers of megabytes. 60 s.
    pub large_read: Duration,
    /// A blocking read may take its wait, a sixteenth of it, and this. 15 s.
    pub blocking_grace: Duration,
    /// Waiting for a place in the budget, or for the limit of queries per second. 15 s.
    pub place: Duration,
    /// How long an HTTP/1.1 connection without work is kept. 30 s.
    pub idle: Duration,
    /// Time from one step of the connection budget's recovery to the next. 10 s.
    pub recovery: Duration,
}

impl Default for ClientTimers {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            keepalive: Duration::from_secs(20),
            ping: Duration::from_secs(30),
            ping_answer: Duration::from_secs(10),
            read: Duration::from_secs(15),
            large_read: Duration::from_secs(60),
            blocking_grace: Duration::from_secs(15),
            place: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            recovery: Duration::from_secs(10),
        }
    }
}

/// How much of everything there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections of the process to its agent, idle and parked ones included. 64 of the 200 that an
    /// agent grants one client IP.
    pub connections: usize,
    /// Connections among them that a blocking read never takes. 8.
    pub reserved: usize,
    /// HTTP/1.1 connections kept without work. 32.
    pub idle: usize,
    /// Blocking reads on one HTTP/2 connection. 200 of the 250 streams that an agent grants.
    pub streams: usize,
    /// Reads that do not wait, and writes, at work at a time. 256.
    pub reads: usize,
    /// Largest answer in bytes, decompressed. 64 MiB.
    pub answer: usize,
    /// Requests a second. 2,000; those above it wait.
    pub queries_per_second: u32,
    /// Requests that may come at once before that. 500.
    pub burst: u32,
    /// HTTP/2 streams reset a second; those above it run on unread until their turn. 10.
    pub resets_per_second: u32,
    /// Addresses of one host name that are tried. 8.
    pub addresses_per_name: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            reserved: 8,
            idle: 32,
            streams: 200,
            reads: 256,
            answer: 64 * 1024 * 1024,
            queries_per_second: 2000,
            burst: 500,
            resets_per_second: 10,
            addresses_per_name: 8,
        }
    }
}

impl ClientTimers {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (name, timer) in [
            ("connect", self.connect),
            ("keepalive", self.keepalive),
            ("ping", self.ping),
            ("ping_answer", self.ping_answer),
            ("read", self.read),
            ("large_read", self.large_read),
            ("place", self.place),
            ("idle", self.idle),
            ("recovery", self.recovery),
        ] {
            if timer.is_zero() {
                return Err(ConfigError::Number { name, reason: "must be longer than nothing".into() });
            }
        }
        Ok(())
    }
}

impl ClientLimits {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let whole = usize::try_from(self.queries_per_second.min(self.burst).min(self.resets_per_second));
        for (name, number) in [
            ("reserved", self.reserved),
            ("streams", self.streams),
            ("reads", self.reads),
            ("answer", self.answer),
            ("addresses_per_name", self.addresses_per_name),
            ("queries_per_second, burst and resets_per_second", whole.unwrap_or(usize::MAX)),
        ] {
            if number == 0 {
                return Err(ConfigError::Number { name, reason: "must be at least 1".into() });
            }
        }
        if self.reserved >= self.connections {
            let reason = format!(
                "{} leave none of {} connections for blocking reads; give more connections or reserve fewer",
                self.reserved, self.connections
            );
            return Err(ConfigError::Number { name: "reserved", reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientLimits, ClientTimers};
    use std::time::Duration;

    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let (timers, limits) = (ClientTimers::default(), ClientLimits::default());
        assert_eq!((timers.connect.as_secs(), timers.keepalive.as_secs()), (5, 20));
        assert_eq!((timers.ping.as_secs(), timers.ping_answer.as_secs()), (30, 10));
        assert_eq!((timers.read.as_secs(), timers.large_read.as_secs()), (15, 60));
        assert_eq!(timers.blocking_grace.as_secs(), 15);
        assert_eq!((limits.connections, limits.reserved, limits.streams), (64, 8, 200));
        assert_eq!((limits.queries_per_second, limits.burst, limits.resets_per_second), (2000, 500, 10));
        timers.check().unwrap();
        limits.check().unwrap();
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused_by_name() {
        let limits = ClientLimits { connections: 8, ..Default::default() };
        assert!(limits.check().unwrap_err().to_string().contains("8 leave none of 8 connections"));
        let limits = ClientLimits { streams: 0, ..Default::default() };
        assert!(limits.check().unwrap_err().to_string().starts_with("streams: "));
        let limits = ClientLimits { burst: 0, ..Default::default() };
        assert!(limits.check().unwrap_err().to_string().contains("burst"));
        let timers = ClientTimers { connect: Duration::ZERO, ..Default::default() };
        assert!(timers.check().unwrap_err().to_string().starts_with("connect: "));
    }
}
