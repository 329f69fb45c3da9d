//! Writes: registration, check updates, login.

use std::fmt;

use bytes::Bytes;

/// One write to Consul's HTTP API.
#[derive(Clone)]
pub struct Write {
    /// How.
    pub method: Method,
    /// Path and own parameters, percent-encoded, from `/v1/` on. `dc`, `ns` and `partition` of the
    /// client are added as to a read.
    pub path: String,
    /// JSON, if there is a body.
    pub body: Option<Bytes>,
    /// The ACL rule that a token needs, as Consul writes rules; empty if none.
    pub rule: String,
    /// The endpoint without names, for metrics: `agent/service/register`.
    pub endpoint: &'static str,
}

impl fmt::Debug for Write {
    /// Without the body: it may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

/// HTTP's word for a kind of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Sets something; doing it twice is as good as once.
    Put,
    /// Asks for something new.
    Post,
    /// Removes something.
    Delete,
}

impl Method {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}
