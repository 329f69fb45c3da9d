//! Config entries.

use super::{
    Query, decode_json, decode_object,
    typed::{Brings, typed},
    url::{ALL_SERVICES, MESH, Url, rule},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// All entries of a kind, or of every kind in one answer (`config/<kind>`, `config/`).
///
/// A kind that this version does not know is the error 500 `invalid config entry kind`.
pub struct ConfigList<T> {
    kind: Option<Box<str>>,
    document: Brings<T>,
}

typed!(ConfigList { kind });

impl<T> ConfigList<T> {
    /// Of one kind.
    #[must_use]
    pub fn of(kind: &str) -> Self {
        Self { kind: Some(kind.into()), document: Brings::<T>::default() }
    }

    /// Of every kind. Not documented by Consul, but there from 1.8 to the newest.
    #[must_use]
    pub fn all() -> Self {
        Self { kind: None, document: Brings::<T>::default() }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for ConfigList<T> {
    type Document = Vec<T>;

    fn endpoint(&self) -> &'static str {
        "config"
    }

    fn path(&self) -> String {
        Url::new("/v1/config").segment(self.kind.as_deref().unwrap_or_default()).finish()
    }

    fn large(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        match &self.kind {
            None => format!("{ALL_SERVICES} and {MESH}"),
            Some(kind) => entry_rule(kind, None),
        }
    }

    fn decode(&self, body: &Bytes) -> Result<Vec<T>, String> {
        decode_json(body)
    }
}

/// One entry, which may be absent (`config/<kind>/<name>`). A watch of an absent one wakes when it is
/// written.
pub struct ConfigEntry<T> {
    kind: Box<str>,
    name: Box<str>,
    document: Brings<T>,
}

typed!(ConfigEntry { kind, name });

impl<T> ConfigEntry<T> {
    /// By kind and name. The only `mesh` is called `mesh`, the only `proxy-defaults` `global`, the only
    /// `exported-services` `default`.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Self {
        Self { kind: kind.into(), name: name.into(), document: Brings::<T>::default() }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for ConfigEntry<T> {
    type Document = T;

    fn endpoint(&self) -> &'static str {
        "config/entry"
    }

    fn path(&self) -> String {
        Url::new("/v1/config").segment(&self.kind).segment(&self.name).finish()
    }

    fn may_be_absent(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        entry_rule(&self.kind, Some(&self.name))
    }

    fn decode(&self, body: &Bytes) -> Result<T, String> {
        decode_object(body)
    }
}

/// The right to read entries of a kind (consul-api 3.4).
fn entry_rule(kind: &str, name: Option<&str>) -> String {
    match (kind, name) {
        ("proxy-defaults" | "mesh", _) => String::new(),
        (
            "service-defaults"
            | "service-router"
            | "service-splitter"
            | "service-resolver"
            | "service-intentions"
            | "ingress-gateway"
            | "terminating-gateway",
            name,
        ) => name.map_or_else(|| ALL_SERVICES.to_owned(), |name| rule("service", name, "read")),
        _ => MESH.to_owned(),
    }
}
