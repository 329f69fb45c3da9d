//! What only a terminating gateway is told: how it treats its services, and what each of them has of
//! its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use gateway_state::terminating::{ServiceOptions, TerminatingOptions};
use mesh_forward::dns::{AddressGuard, Guarded};

/// Settings of a terminating gateway. Other roles have the defaults and do not look at them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TerminatingSettings {
    /// What the intentions deny is reported and let pass.
    pub dry_run: bool,
    /// Connections to external services leave from this address of the host.
    pub source_address: Option<IpAddr>,
    /// Kinds of addresses that host names may not stand for.
    pub dns_guard: AddressGuard,
    /// What becomes of open connections that a change denies.
    pub reauthorize: Reauthorize,
    /// By name; where a field is `None`, what holds for all services does.
    pub services: BTreeMap<String, ServiceSettings>,
    /// For a whole TLS handshake with a client, from accepting on.
    pub handshake: Duration,
    /// Longest wait for a denied client to close its side.
    pub denied_close: Duration,
    /// For open connections of a service that is no longer linked.
    pub unlinked: Duration,
    /// How long a TLS session may be resumed; zero = never.
    pub session: Duration,
    /// Shortest life of an answer for a host name.
    pub dns_floor: Duration,
    /// TLS handshakes that a worker has under way at most.
    pub handshakes: usize,
    /// Bytes of all TLS sessions.
    pub session_memory: usize,
    /// Bytes of the TLS sessions of one service.
    pub session_memory_per_service: usize,
}

/// What becomes of an open connection that a change of intentions denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reauthorize {
    /// It is cut within a second.
    #[default]
    Cut,
    /// It stays until it ends.
    Keep,
}

/// What one linked service has of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceSettings {
    /// In place of [`TerminatingSettings::dry_run`].
    pub dry_run: Option<bool>,
    /// In place of [`TerminatingSettings::source_address`].
    pub source_address: Option<IpAddr>,
}

impl TerminatingSettings {
    /// As the source of documents takes them.
    #[must_use]
    pub fn options(&self) -> TerminatingOptions {
        let defaults = ServiceOptions { dry_run: self.dry_run, source_address: self.source_address };
        let own = |settings: &ServiceSettings| ServiceOptions {
            dry_run: settings.dry_run.unwrap_or(defaults.dry_run),
            source_address: settings.source_address.or(defaults.source_address),
        };
        let services = self.services.iter().map(|(name, settings)| (name.clone(), own(settings))).collect();
        TerminatingOptions { services, defaults }
    }
}

/// Reads the kinds of addresses.
pub(super) fn guard(words: &[String]) -> Result<AddressGuard, String> {
    let mut guard = AddressGuard::NONE;
    for word in words {
        match word.as_str() {
            "none" if words.len() == 1 => {}
            "none" => return Err("\"none\" stands alone".to_owned()),
            word if word == Guarded::Loopback.as_str() => guard.loopback = true,
            word if word == Guarded::LinkLocal.as_str() => guard.link_local = true,
            word if word == Guarded::Metadata.as_str() => guard.metadata = true,
            word if word == Guarded::Private.as_str() => guard.private = true,
            other => {
                return Err(format!(
                    "\"{other}\" is not one of loopback, link-local, metadata, private, none"
                ));
            }
        }
    }
    Ok(guard)
}

/// Reads an address that connections may leave from.
pub(super) fn source_address(text: &str) -> Result<IpAddr, String> {
    match text.parse() {
        Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => {
            Err("connections leave from one address of this host; leave it out to let the kernel choose"
                .to_owned())
        }
        Ok(address) => Ok(address),
        Err(_) => Err(format!("\"{text}\" is not an IP address; write it like \"10.0.0.5\"")),
    }
}
