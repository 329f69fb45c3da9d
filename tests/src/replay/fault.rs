//! What can go wrong with an answer.

/// One way of going wrong. It lasts until [`Replay::heal`](super::Replay::heal), if no number of times is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Another status, with this text and `X-Consul-Index: 1`, which means nothing there.
    Status(u16, String),
    /// 404, without a text and without Consul's headers: what a version says that lacks the endpoint.
    Unknown,
    /// 200, the right headers, and a body that is no JSON.
    Rubbish,
    /// 200, the right headers, half of the body, and the end of the connection (HTTP/2: of the stream).
    Half,
    /// Reads the request and says nothing. Once healed, it answers: as a process that was held and goes on.
    Silent,
    /// Ends the connection (HTTP/2: the stream) without an answer.
    Close,
}

impl Fault {
    /// No server can be asked: what a datacenter without a leader says (after 7 s; here at once).
    pub fn no_leader() -> Self {
        Fault::Status(500, "No cluster leader".to_owned())
    }

    /// The token lacks a right.
    pub fn denied() -> Self {
        Fault::Status(403, "Permission denied".to_owned())
    }

    /// The token has expired, or never was.
    pub fn unknown_token() -> Self {
        Fault::Status(403, "ACL not found".to_owned())
    }

    /// A limit of requests.
    pub fn rate_limited() -> Self {
        Fault::Status(429, String::new())
    }
}
