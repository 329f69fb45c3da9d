//! A check of a node or of an instance.

use super::ServiceInstance;
use crate::lenient::or_default;
use serde::{Deserialize, Deserializer};

/// A check, as far as a filter can select it. Its node is that of the row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Unique on its node.
    pub id: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// How it is now.
    pub status: CheckStatus,
    /// Whose check it is.
    pub of: CheckOf,
    /// For people.
    pub notes: Box<str>,
    /// What it printed last.
    pub output: Box<str>,
    /// `tcp`, `http`, `ttl`, `alias`, ...
    pub kind: Box<str>,
    /// How often it runs, as a duration. From 1.14.
    pub interval: Box<str>,
    /// How long it may take, as a duration. From 1.14.
    pub timeout: Box<str>,
    /// Where a sidecar exposes what is checked; 0: nowhere. From 1.7.
    pub exposed_port: i64,
    /// The peer it was imported from. From 1.13.
    pub peer: Box<str>,
}

/// Whose check it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CheckOf {
    /// The node's.
    #[default]
    Node,
    /// The row's instance's: id, name and tags are those of the instance.
    Service,
    /// What the check says differs from the instance: it was registered apart or is out of date.
    Other(Box<Owner>),
}

/// The owner of a check, where it is neither the node nor the instance of the row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Id of the instance.
    pub service_id: Box<str>,
    /// Name of its service.
    pub service_name: Box<str>,
    /// Its tags.
    pub service_tags: Box<[Box<str>]>,
}

/// How a check is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CheckStatus {
    /// Good.
    Passing,
    /// Neither good nor bad.
    Warning,
    /// Bad. What registers without a status is bad, too.
    #[default]
    Critical,
    /// The word `maintenance`: an imported instance, or the gateway before it, is in maintenance
    /// (mesh-gateway 3.4).
    Maintenance,
    /// A word that Consul does not use.
    Other(Box<str>),
}

impl CheckStatus {
    /// As Consul writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maintenance => "maintenance",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for CheckStatus {
    fn from(text: &str) -> Self {
        match text {
            "passing" => Self::Passing,
            "warning" => Self::Warning,
            "critical" => Self::Critical,
            "maintenance" => Self::Maintenance,
            other => Self::Other(other.into()),
        }
    }
}

impl<'de> Deserialize<'de> for CheckStatus {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<str>::deserialize(from).map(|text| Self::from(&*text))
    }
}

/// A check as Consul writes it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct RawCheck {
    #[serde(rename = "CheckID", deserialize_with = "or_default")]
    id: Box<str>,
    #[serde(deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    status: CheckStatus,
    #[serde(deserialize_with = "or_default")]
    notes: Box<str>,
    #[serde(deserialize_with = "or_default")]
    output: Box<str>,
    #[serde(rename = "ServiceID", deserialize_with = "or_default")]
    service_id: Box<str>,
    #[serde(deserialize_with = "or_default")]
    service_name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    service_tags: Box<[Box<str>]>,
    #[serde(rename = "Type", deserialize_with = "or_default")]
    kind: Box<str>,
    #[serde(deserialize_with = "or_default")]
    interval: Box<str>,
    #[serde(deserialize_with = "or_default")]
    timeout: Box<str>,
    #[serde(deserialize_with = "or_default")]
    exposed_port: i64,
    #[serde(deserialize_with = "or_default")]
    peer_name: Box<str>,
}

impl RawCheck {
    /// The check as a part of the row of this instance.
    pub(super) fn of(self, service: &ServiceInstance) -> Check {
        let Self { service_id, service_name, service_tags, .. } = self;
        let of = if service_id.is_empty() && service_name.is_empty() && service_tags.is_empty() {
            CheckOf::Node
        } else if service_id == service.id && service_name == service.service && service_tags == service.tags
        {
            CheckOf::Service
        } else {
            CheckOf::Other(Box::new(Owner { service_id, service_name, service_tags }))
        };
        Check {
            id: self.id,
            name: self.name,
            status: self.status,
            of,
            notes: self.notes,
            output: self.output,
            kind: self.kind,
            interval: self.interval,
            timeout: self.timeout,
            exposed_port: self.exposed_port,
            peer: self.peer_name,
        }
    }
}
