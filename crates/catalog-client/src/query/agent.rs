//! About the agent itself: who it is, what is registered with it, whose token is used.

use super::{
    Blocking, Query, decode_json, decode_object,
    typed::{Brings, typed},
    url::{ALL_SERVICES, Url},
};
use crate::lenient::or_default;
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Who the agent is (`agent/self`). Many tokens of gateways may not read it: not to be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AgentSelf;

/// What an agent says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentInfo {
    /// `1.10.1`, `1.21.0-dev`, `1.18.2+ent`.
    pub version: Box<str>,
    /// Its datacenter.
    pub datacenter: Box<str>,
    /// The datacenter that owns the CA and the config entries; empty: not said.
    pub primary_datacenter: Box<str>,
    /// Its node.
    pub node_name: Box<str>,
    /// Its node.
    pub node_id: Box<str>,
    /// Whether it is a server.
    pub server: bool,
    /// The DNS domain, with the dot at its end: `consul.`; empty: not said.
    pub dns_domain: Box<str>,
    /// `allow` or `deny`, from 1.18; empty: the default policy of the ACLs decides.
    pub default_intention_policy: Box<str>,
    /// `allow` or `deny`: the default policy of the ACLs, which is `allow` while ACLs are off; empty: not said.
    pub acl_default_policy: Box<str>,
    /// Whether peering is on; `None` before 1.13.
    pub peering: Option<bool>,
}

impl AgentInfo {
    /// Whether a connection that no intention is about is denied (intentions 4): what `default_intention_policy`
    /// says, else the default policy of the ACLs. `None`: the agent says neither.
    #[must_use]
    pub fn default_deny(&self) -> Option<bool> {
        let policies = [&self.default_intention_policy, &self.acl_default_policy];
        policies.into_iter().find_map(|policy| match &**policy {
            "deny" => Some(true),
            "allow" => Some(false),
            _ => None,
        })
    }
}

impl Query for AgentSelf {
    type Document = AgentInfo;

    fn endpoint(&self) -> &'static str {
        "agent/self"
    }

    fn path(&self) -> String {
        "/v1/agent/self".to_owned()
    }

    fn blocking(&self) -> Blocking {
        Blocking::Never
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn rule(&self) -> String {
        "agent_prefix \"\" { policy = \"read\" }".to_owned()
    }

    fn decode(&self, body: &Bytes) -> Result<AgentInfo, String> {
        let SelfBody { config, debug_config } = decode_object(body)?;
        Ok(AgentInfo {
            version: config.version,
            datacenter: config.datacenter,
            primary_datacenter: config.primary_datacenter,
            node_name: config.node_name,
            node_id: config.node_id,
            server: config.server,
            dns_domain: debug_config.dns_domain,
            default_intention_policy: debug_config.default_intention_policy,
            acl_default_policy: [
                debug_config.acl_resolver_settings.acl_default_policy,
                debug_config.acl_default_policy,
            ]
            .into_iter()
            .find(|policy| !policy.is_empty())
            .unwrap_or_default(),
            peering: debug_config.peering_enabled,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelfBody {
    config: SelfConfig,
    #[serde(default, deserialize_with = "or_default")]
    debug_config: DebugConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelfConfig {
    version: Box<str>,
    datacenter: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    primary_datacenter: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    node_name: Box<str>,
    #[serde(rename = "NodeID", default, deserialize_with = "or_default")]
    node_id: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    server: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DebugConfig {
    #[serde(rename = "DNSDomain", deserialize_with = "or_default")]
    dns_domain: Box<str>,
    #[serde(deserialize_with = "or_default")]
    default_intention_policy: Box<str>,
    /// Up to 1.10.
    #[serde(rename = "ACLDefaultPolicy", deserialize_with = "or_default")]
    acl_default_policy: Box<str>,
    /// From 1.11 on.
    #[serde(rename = "ACLResolverSettings", deserialize_with = "or_default")]
    acl_resolver_settings: AclResolverSettings,
    peering_enabled: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AclResolverSettings {
    #[serde(rename = "ACLDefaultPolicy", deserialize_with = "or_default")]
    acl_default_policy: Box<str>,
}

/// A registration on this agent, by its **id**, with what `proxy-defaults` and `service-defaults` add
/// (`agent/service/<id>`). From 1.3. May be absent. Wakes when its content changes, not for checks.
pub struct AgentService<T> {
    id: Box<str>,
    document: Brings<T>,
}

typed!(AgentService { id });

impl<T> AgentService<T> {
    /// Of this id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.into(), document: Brings::<T>::default() }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for AgentService<T> {
    type Document = T;

    fn endpoint(&self) -> &'static str {
        "agent/service"
    }

    fn path(&self) -> String {
        Url::new("/v1/agent/service").segment(&self.id).finish()
    }

    fn blocking(&self) -> Blocking {
        Blocking::Hash
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn may_be_absent(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        // The right is by name, which the id does not tell.
        ALL_SERVICES.to_owned()
    }

    fn decode(&self, body: &Bytes) -> Result<T, String> {
        decode_object(body)
    }
}

/// All registrations on this agent (`agent/services`).
pub struct AgentServices<T> {
    filter: Option<Box<str>>,
    document: Brings<T>,
}

typed!(AgentServices { filter });

impl<T> AgentServices<T> {
    /// All of them.
    #[must_use]
    pub fn new() -> Self {
        Self { filter: None, document: Brings::<T>::default() }
    }

    /// Only those that fit a filter of Consul's language, such as `Kind == "mesh-gateway"`.
    #[must_use]
    pub fn filter(self, filter: &str) -> Self {
        Self { filter: Some(filter.into()), ..self }
    }
}

impl<T> Default for AgentServices<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for AgentServices<T> {
    /// By id.
    type Document = BTreeMap<Box<str>, T>;

    fn endpoint(&self) -> &'static str {
        "agent/services"
    }

    fn path(&self) -> String {
        Url::new("/v1/agent/services").optional("filter", self.filter.as_deref()).finish()
    }

    fn blocking(&self) -> Blocking {
        Blocking::Never
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn large(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        ALL_SERVICES.to_owned()
    }

    fn decode(&self, body: &Bytes) -> Result<Self::Document, String> {
        decode_json(body)
    }
}

/// The address of the leader; `None` while there is none (`status/leader`). Tells whether the agent is
/// there at all: it answers without a token and without servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatusLeader;

impl Query for StatusLeader {
    type Document = Option<Box<str>>;

    fn endpoint(&self) -> &'static str {
        "status/leader"
    }

    fn path(&self) -> String {
        "/v1/status/leader".to_owned()
    }

    fn blocking(&self) -> Blocking {
        Blocking::Never
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn decode(&self, body: &Bytes) -> Result<Option<Box<str>>, String> {
        decode_json(body).map(|leader: Box<str>| Some(leader).filter(|leader| !leader.is_empty()))
    }
}

/// The token that is used (`acl/token/self`). 401 where ACLs are off, 403 where it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenSelf;

/// What may be known of a token; not the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Token {
    /// Its public name.
    #[serde(rename = "AccessorID", deserialize_with = "or_default")]
    pub accessor_id: Box<str>,
    /// Whether it is anonymous in every other datacenter.
    #[serde(deserialize_with = "or_default")]
    pub local: bool,
    /// When it ends, in RFC 3339; empty: never.
    #[serde(deserialize_with = "or_default")]
    pub expiration_time: Box<str>,
}

impl Query for TokenSelf {
    type Document = Token;

    fn endpoint(&self) -> &'static str {
        "acl/token/self"
    }

    fn path(&self) -> String {
        "/v1/acl/token/self".to_owned()
    }

    fn blocking(&self) -> Blocking {
        Blocking::Never
    }

    fn decode(&self, body: &Bytes) -> Result<Token, String> {
        decode_object(body)
    }
}
