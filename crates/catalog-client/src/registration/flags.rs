//! The flags that say what is registered (consul-api 5.1), still as text.

use super::gateway::GatewayKind;

/// The flags of `consul connect envoy -gateway=KIND -register` that reach the registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// `-gateway`.
    pub kind: GatewayKind,
    /// `-service`: the service name. Default: the kind.
    pub service: Option<String>,
    /// `-proxy-id`: the service ID. Default: the name.
    pub proxy_id: Option<String>,
    /// `-address`: `ip[:port]`, `[v6]:port`, `:port` or a simple template. Default `:8443`.
    pub address: Option<String>,
    /// `-wan-address`: the same forms, and `name:port`. Default: none.
    pub wan_address: Option<String>,
    /// `-bind-address`, each `name=ip[:port]`; of two with one name the later counts.
    pub bind_addresses: Vec<String>,
    /// `-expose-servers`: serve WAN federation. Mesh gateways only.
    pub expose_servers: bool,
    /// `-deregister-after-critical`: a Go duration; empty for never. Default `6h`.
    pub deregister_after_critical: Option<String>,
}

impl Flags {
    /// A gateway of this kind with every default.
    #[must_use]
    pub fn new(kind: GatewayKind) -> Self {
        Self {
            kind,
            service: None,
            proxy_id: None,
            address: None,
            wan_address: None,
            bind_addresses: Vec::new(),
            expose_servers: false,
            deregister_after_critical: None,
        }
    }
}

/// A flag that cannot be meant. The process should end before a socket opens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{flag} {value:?}: {reason}")]
pub struct FlagError {
    /// The flag, without dashes.
    pub flag: &'static str,
    /// What was given.
    pub value: String,
    /// What is wrong, and the way out.
    pub reason: String,
}

impl FlagError {
    pub(super) fn new(flag: &'static str, value: &str, reason: impl Into<String>) -> Self {
        Self { flag, value: value.to_owned(), reason: reason.into() }
    }
}
