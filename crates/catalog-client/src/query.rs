//! What can be asked: one type per endpoint, generic over the documents in the answer, so that the
//! type of a document stays with whoever decides on it.

mod agent;
mod catalog;
mod config;
mod connect;
mod health;
mod link;
mod peering;
mod typed;
mod url;

pub use agent::{AgentInfo, AgentSelf, AgentService, AgentServices, StatusLeader, Token, TokenSelf};
pub use catalog::{CatalogDatacenters, CatalogServices, FederationGateways, GatewayServices};
pub use config::{ConfigEntry, ConfigList};
pub use connect::{CaLeaf, CaRoots, DiscoveryChain, IntentionMatch, Intentions};
pub use health::{CriticalCheck, CriticalChecks, HealthConnect, HealthService};
pub use link::{GatewayService, ServiceRef};
pub use peering::{ExportedServices, Peerings};

use bytes::Bytes;
use serde::de::DeserializeOwned;

/// How an endpoint can be waited on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// By `?index=` and `X-Consul-Index`.
    Index,
    /// By `?hash=` and `X-Consul-ContentHash`.
    Hash,
    /// Not at all: it is polled.
    Never,
}

/// One read of Consul's HTTP API.
pub trait Query: Clone + Send + Sync + 'static {
    /// What the body of an answer is.
    type Document: Send + Sync + 'static;

    /// The endpoint without names, for metrics: `health/connect`.
    fn endpoint(&self) -> &'static str;

    /// Path and own parameters, percent-encoded, from `/v1/` on. `dc`, `ns` and `partition` of the
    /// client are added by the client; a `dc` of the query itself wins.
    fn path(&self) -> String;

    /// How it is waited on.
    fn blocking(&self) -> Blocking {
        Blocking::Index
    }

    /// Whether the servers answer it, so that `?consistent` and `?stale` mean something.
    #[expect(clippy::wrong_self_convention, reason = "the answer is from servers, nothing is converted")]
    fn from_servers(&self) -> bool {
        true
    }

    /// Whether a 404 about an object is an answer ("absent") and no error.
    fn may_be_absent(&self) -> bool {
        false
    }

    /// Whether the body may be megabytes: asked for in gzip, with more time.
    fn large(&self) -> bool {
        false
    }

    /// The ACL rule that a token needs, as Consul writes rules; empty if none.
    fn rule(&self) -> String {
        String::new()
    }

    /// Reads the body of a 200.
    ///
    /// # Errors
    /// What is wrong with it, in one sentence.
    fn decode(&self, body: &Bytes) -> Result<Self::Document, String>;
}

/// Reads JSON in which `null` stands for nothing.
///
/// # Errors
/// What is wrong and where, without texts of the body: those may be private keys.
pub fn decode_json<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, String> {
    decode_object::<Option<T>>(body).map(Option::unwrap_or_default)
}

/// Reads JSON that must be there.
///
/// # Errors
/// As [`decode_json`].
pub fn decode_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice::<T>(body).map_err(|error| without_texts(&error.to_string()))
}

/// The message of a parser without what it quotes from the body.
fn without_texts(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            let before = message.get(..first).unwrap_or_default();
            let after = message.get(last + 1..).unwrap_or_default();
            format!("{before}\"...\"{after}")
        }
        _ => message.to_owned(),
    }
}

/// Which state a read asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// The newest state, after a quorum check: `?consistent` where the servers answer. Never waits.
    #[default]
    Now,
    /// The leader's state as it has it, without a quorum check. Only right after a checked one: a server
    /// that was just elected may be replaying its log still. Never waits.
    Leader,
    /// Any server's state: `?stale`. For wide sweeps. Never waits.
    Stale,
    /// Waits until the index is above this one.
    Above(u64),
    /// Waits until the content hash is another.
    Unlike(String),
}

/// An answer that was whole. (That it is right to use it is the watch's business.)
#[derive(Clone, Debug)]
pub struct Answer {
    /// `None`: the object is absent (a usable 404).
    pub body: Option<Bytes>,
    /// `X-Consul-Index`, if the answer has one.
    pub index: Option<u64>,
    /// `X-Consul-ContentHash`.
    pub content_hash: Option<String>,
    /// `X-Consul-Query-Backend` is `streaming`.
    pub streaming: bool,
    /// `X-Consul-Results-Filtered-By-ACLs`.
    pub filtered: bool,
    /// `X-Consul-Default-Acl-Policy` is `deny` (`Some(true)`), `allow`, or not said.
    pub default_deny: Option<bool>,
    /// `X-Consul-LastContact` in milliseconds.
    pub last_contact: Option<u64>,
    /// `X-Consul-KnownLeader`.
    pub known_leader: Option<bool>,
    /// `X-Cache: HIT` with this `Age` in seconds: the agent's own copy, which ages only while the agent has lost
    /// its servers. Roots and leaves are always answered so (consul-api 2.2).
    pub cache_age: Option<u64>,
    /// `X-Consul-Effective-Consistency` is `leader`: neither checked by a quorum nor any server's.
    pub by_leader: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_nothing_and_errors_quote_nothing() {
        assert_eq!(decode_json::<Vec<u8>>(b"null"), Ok(Vec::new()));
        assert_eq!(decode_json::<Vec<u8>>(b"[1]"), Ok(vec![1]));
        let error =
            decode_json::<Vec<u8>>(br#"["-----BEGIN \"x\" PRIVATE KEY"]"#).expect_err("a text is no number");
        assert!(error.contains("line 1 column") && !error.contains("PRIVATE"), "{error}");
        assert!(decode_object::<Vec<u8>>(b"null").is_err());
        assert!(decode_json::<Vec<u8>>(b"[1").is_err());
    }
}
