//! What config entries say to a terminating gateway, by service.

use crate::document::{Body, Entry, MeshOptions, Resolver, ServiceDefaults};
use mesh_endpoints::SetPolicy;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The kinds of entries that a terminating gateway decides on, besides its own and intentions.
pub(crate) const KINDS: &[&str] = &["service-resolver", "service-defaults", "proxy-defaults", "mesh"];

/// What all config entries say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Config {
    /// By namespace and name in lower case: Consul finds entries in any.
    services: HashMap<(String, String), ServiceConfig>,
    /// The protocol of services without `service-defaults`.
    proxy_protocol: Option<Arc<str>>,
    pub(super) mesh: Option<Arc<MeshOptions>>,
    /// `MaxConnections` and `MaxPendingRequests` of the `service-defaults` that is named like the gateway.
    limits: (Option<u32>, Option<u32>),
}

/// What they say of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ServiceConfig {
    pub(super) resolver: Option<Arc<Resolver>>,
    pub(super) defaults: Option<Arc<ServiceDefaults>>,
    /// A kind of which there is an entry that was never understood.
    pub(super) not_understood: Option<&'static str>,
}

/// How two of them differ.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Everything has to be compiled.
    pub(super) all: bool,
    /// Namespace and name in lower case.
    pub(super) services: HashSet<(String, String)>,
}

impl Config {
    /// Takes the entries of one partition together; of two with the same name the first counts. `service` is the
    /// gateway's own, `namespace` stands for what names none.
    pub(crate) fn of<'e>(
        entries: impl Iterator<Item = &'e Entry>,
        service: &str,
        namespace: &str,
        partition: &str,
    ) -> Self {
        let mut config = Self::default();
        let here = |entry: &&Entry| crate::compile::is(entry.partition.as_ref(), partition);
        for entry in entries.filter(here) {
            let space = entry.namespace.as_deref().unwrap_or(namespace);
            match &entry.body {
                Body::Resolver(resolver) => {
                    config.service(space, &entry.name).resolver.get_or_insert_with(|| resolver.clone());
                }
                Body::Defaults(defaults) => {
                    if entry.name.eq_ignore_ascii_case(service) {
                        config.limits = (defaults.max_connections, defaults.max_pending);
                    }
                    config.service(space, &entry.name).defaults.get_or_insert_with(|| defaults.clone());
                }
                Body::Proxy(protocol) => config.proxy_protocol.clone_from(protocol),
                Body::Mesh(options) => {
                    config.mesh.get_or_insert_with(|| options.clone());
                }
                Body::Intentions(_) | Body::Terminating(_) | Body::Other => {}
            }
        }
        config
    }

    /// There is an entry of this kind for a service, and no version of it was ever understood.
    pub(crate) fn not_understood(&mut self, kind: &'static str, namespace: &str, name: &str) {
        self.service(namespace, name).not_understood = Some(kind);
    }

    fn service(&mut self, namespace: &str, name: &str) -> &mut ServiceConfig {
        self.services.entry((namespace.to_ascii_lowercase(), name.to_ascii_lowercase())).or_default()
    }

    /// What is said of a service.
    pub(super) fn of_service(&self, namespace: &str, name: &str) -> Option<&ServiceConfig> {
        if self.services.is_empty() {
            return None;
        }
        self.services.get(&(namespace.to_ascii_lowercase(), name.to_ascii_lowercase()))
    }

    /// The protocol of a service, lower-cased. Where it has `service-defaults` at all, `proxy-defaults` do not
    /// count, even if those name none (measured on Consul 1.10.1 and 1.21).
    pub(super) fn protocol(&self, of_service: Option<&ServiceConfig>) -> Arc<str> {
        let protocol = match of_service.and_then(|service| service.defaults.as_ref()) {
            Some(defaults) => defaults.protocol.as_ref(),
            None => self.proxy_protocol.as_ref(),
        };
        protocol.cloned().unwrap_or_else(|| "tcp".into())
    }

    /// What sets start from, with the limits of the gateway's own entry, field by field.
    pub(super) fn policy(&self, base: &SetPolicy) -> SetPolicy {
        let mut policy = base.clone();
        let limits = &mut policy.limits;
        limits.max_connections = self.limits.0.or(limits.max_connections);
        limits.max_pending = self.limits.1.or(limits.max_pending);
        policy
    }

    /// What has to be compiled when this one takes the place of another.
    pub(super) fn difference(&self, before: &Self) -> Difference {
        let changed = self.services.iter().filter(|(key, of)| before.services.get(*key) != Some(*of));
        let gone = before.services.keys().filter(|key| !self.services.contains_key(*key));
        Difference {
            all: self.proxy_protocol != before.proxy_protocol || self.limits != before.limits,
            services: changed.map(|(key, _)| key).chain(gone).cloned().collect(),
        }
    }
}
