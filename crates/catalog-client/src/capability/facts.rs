//! What the agent says about itself, and Consul about the token.

use super::classify::{Finding, Verdict};
use crate::{
    error::Error,
    query::{AgentInfo, AgentSelf, Answer, Query, Token, TokenSelf},
};
use serde::Deserialize;
use std::fmt;

/// From `agent/self`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFacts {
    /// Version, datacenter, node and domain. The version is for people: nothing is decided by it.
    pub info: AgentInfo,
    /// Whether health is answered from the agent's own copy; `None` before there was the choice.
    pub streaming: Option<bool>,
}

impl fmt::Display for AgentFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AgentInfo { version, datacenter, node_name, dns_domain, server, .. } = &self.info;
        let role = if *server { "server" } else { "client agent" };
        write!(f, "Consul {version}, {role} {node_name} in {datacenter}, domain {dns_domain}")?;
        if let Some(streaming) = self.streaming {
            write!(f, ", streaming {}", if streaming { "on" } else { "off" })?;
        }
        Ok(())
    }
}

/// From `acl/token/self`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenFacts {
    /// Not found out.
    #[default]
    Unknown,
    /// ACLs are off.
    AclsOff,
    /// Requests carry no token, or one that Consul does not know.
    Nobody,
    /// A token that Consul knows.
    Known {
        /// Its public name.
        accessor: String,
        /// When it ends, as RFC 3339; `None`: never.
        expires: Option<String>,
        /// Valid in this datacenter only: it counts as anonymous in others.
        local: bool,
    },
}

impl TokenFacts {
    pub(super) fn verdict(&self) -> &'static str {
        match self {
            Self::Unknown => Verdict::Unknown.as_str(),
            Self::AclsOff => Verdict::No.as_str(),
            Self::Nobody => Verdict::NotPermitted.as_str(),
            Self::Known { .. } => Verdict::Yes.as_str(),
        }
    }

    pub(super) fn of(result: &Result<Answer, Error>) -> Self {
        match result {
            Ok(answer) => match TokenSelf.decode(&answer.body.clone().unwrap_or_default()) {
                Ok(Token { accessor_id, local, expiration_time }) if !accessor_id.is_empty() => Self::Known {
                    accessor: accessor_id.into(),
                    expires: Some(expiration_time.into()).filter(|text: &String| !text.is_empty()),
                    local,
                },
                _ => Self::Unknown,
            },
            Err(error) => match error.status() {
                Some(401) => Self::AclsOff,
                Some(403) => Self::Nobody,
                _ => Self::Unknown,
            },
        }
    }
}

impl fmt::Display for TokenFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::AclsOff => f.write_str("ACLs are off"),
            Self::Nobody => f.write_str("no token, or one that Consul does not know"),
            Self::Known { accessor, expires, local } => {
                write!(f, "{accessor}")?;
                if let Some(expires) = expires {
                    write!(f, ", until {expires}")?;
                }
                if *local {
                    f.write_str(", only for this datacenter")?;
                }
                Ok(())
            }
        }
    }
}

/// Reads `agent/self`.
pub(super) fn agent(result: &Result<Answer, Error>) -> (Finding, Option<AgentFacts>) {
    let body = match result {
        Ok(answer) => answer.body.clone().unwrap_or_default(),
        Err(error) => return (Finding::of_error(error), None),
    };
    match AgentSelf.decode(&body) {
        Ok(info) => {
            let facts = AgentFacts { info, streaming: streaming(&body) };
            (Finding::new(Verdict::Yes, ""), Some(facts))
        }
        Err(reason) => (Finding::new(Verdict::Unknown, reason), None),
    }
}

fn streaming(body: &[u8]) -> Option<bool> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Agent {
        debug_config: DebugConfig,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct DebugConfig {
        use_streaming_backend: Option<bool>,
    }
    serde_json::from_slice::<Agent>(body).ok()?.debug_config.use_streaming_backend
}
