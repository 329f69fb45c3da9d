//! Settings of this project that no document of Consul has.

use std::{collections::BTreeMap, net::IpAddr};

/// What a terminating gateway has to be told besides documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminatingOptions {
    /// For services that [`services`](Self::services) does not name.
    pub defaults: ServiceOptions,
    /// By the name of a linked service, in any case; `namespace/name` outside the gateway's own namespace.
    /// They stand in place of the defaults, as a whole.
    pub services: BTreeMap<String, ServiceOptions>,
}

/// Settings of one linked service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Intentions are judged and reported, but nothing is denied.
    pub dry_run: bool,
    /// Connections to the service leave from this address; `None` = the one that the system chooses.
    pub source_address: Option<IpAddr>,
}

impl TerminatingOptions {
    /// The settings of a service; `own_namespace` is the gateway's.
    pub(crate) fn of(&self, namespace: &str, name: &str, own_namespace: &str) -> &ServiceOptions {
        let named = |key: &str| match key.split_once('/') {
            Some((space, key)) => space.eq_ignore_ascii_case(namespace) && key.eq_ignore_ascii_case(name),
            None => namespace.eq_ignore_ascii_case(own_namespace) && key.eq_ignore_ascii_case(name),
        };
        // They are few, or none.
        self.services.iter().find(|(key, _)| named(key)).map_or(&self.defaults, |(_, options)| options)
    }
}
