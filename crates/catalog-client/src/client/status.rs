//! What a client shows of itself.

/// What a client does at this moment, and what it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientStatus {
    /// The address that works, or will be tried next.
    pub address: String,
    /// What is spoken, once a connection has been made.
    pub protocol: Option<Protocol>,
    /// Connections open, those being made included.
    pub open: usize,
    /// HTTP/1.1 connections among them whose reader has gone: they wait for an answer nobody wants.
    pub parked: usize,
    /// Connections allowed now: the setting, or less after the agent refused some.
    pub most: usize,
    /// HTTP/2 streams at work.
    pub streams: usize,
    /// Requests sent whose answer is not whole.
    pub in_flight: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// Since the start.
    pub totals: Totals,
}

/// What is spoken with the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One request at a time on a connection.
    Http1,
    /// Many streams on a connection.
    Http2,
}

impl Protocol {
    /// The name of HTTP's registry: `http/1.1`, `h2`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

/// Counts since the start of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that ended, by outcome: `ok`, `absent`, and the words of
    /// [`Class`](crate::error::Class). All of them are listed.
    pub requests: Vec<(&'static str, u64)>,
    /// Bytes of answers, decompressed.
    pub bytes: u64,
    /// Requests that waited for the limit of queries per second.
    pub rate_capped: u64,
    /// Requests that waited for a place in the budget of connections.
    pub budget_limited: u64,
    /// Times that the agent refused a connection for their number, and the budget was lowered.
    pub budget_lowered: u64,
    /// Connections made.
    pub connections: u64,
    /// Connections among them that replaced a lost one.
    pub reconnects: u64,
    /// Blocking reads that nobody waited for any more.
    pub abandoned: u64,
    /// HTTP/2 streams reset among them.
    pub resets: u64,
}

/// How much may be asked at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Whether many requests share a connection. `None`: not known before the first connection.
    pub multiplexed: Option<bool>,
    /// Blocking reads that may be held at once.
    pub blocking: usize,
    /// Other reads that may be asked at once, beside the blocking ones.
    pub reads: usize,
}
