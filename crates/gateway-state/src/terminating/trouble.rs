//! What is wrong with what was put in, before anybody knows where it was written.

use super::ServiceKey;

/// One thing that is wrong or doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) about: About,
    pub(crate) weight: Weight,
    pub(crate) message: String,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// Roots or trust domain.
    Roots,
    /// TLS versions and cipher suites of the mesh.
    MeshTls,
    /// The link of a service, or its name.
    Link(ServiceKey),
    /// Files for TLS towards its instances.
    Files(ServiceKey),
    Leaf(ServiceKey),
    Instances(ServiceKey),
    Intentions(ServiceKey),
    /// `Destination` of its `service-defaults`.
    Destination(ServiceKey),
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Something is not in use. `kept`: an older version of it is.
    Rejected {
        kept: bool,
    },
    /// It is in use. A catalog is not started with it.
    NotAtStart,
    Warning,
}

impl Trouble {
    pub(super) fn rejected(about: About, kept: bool, message: impl Into<String>) -> Self {
        Self { about, weight: Weight::Rejected { kept }, message: message.into() }
    }

    pub(super) fn warning(about: About, message: impl Into<String>) -> Self {
        Self { about, weight: Weight::Warning, message: message.into() }
    }
}

impl About {
    /// The endpoint of Consul that said it, below `/v1/`.
    pub(crate) fn endpoint(&self) -> String {
        match self {
            Self::Roots => "agent/connect/ca/roots".to_owned(),
            Self::MeshTls => "config/mesh/mesh".to_owned(),
            Self::Link(_) | Self::Files(_) => "catalog/gateway-services".to_owned(),
            Self::Leaf(key) => format!("agent/connect/ca/leaf/{}", key.name),
            Self::Instances(key) => format!("health/service/{}", key.name),
            Self::Intentions(key) => format!("connect/intentions/match?by=destination&name={}", key.name),
            Self::Destination(key) => format!("config/service-defaults/{}", key.name),
        }
    }

    /// What it is called in the list of what was rejected.
    pub(crate) fn document(&self) -> String {
        match self {
            Self::Roots => "roots".to_owned(),
            Self::MeshTls => "mesh mesh".to_owned(),
            Self::Link(key) => format!("link {key}"),
            Self::Files(key) => format!("TLS files of link {key}"),
            Self::Leaf(key) => format!("leaf {key}"),
            Self::Instances(key) => format!("instances of {key}"),
            Self::Intentions(key) => format!("intentions of {key}"),
            Self::Destination(key) => format!("service-defaults {key}"),
        }
    }
}
