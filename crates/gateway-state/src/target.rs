//! What is behind a name: endpoints as the documents give them, names not yet resolved.

use mesh_endpoints::SetPolicy;
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

/// Which rule put a name into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// The unnamed set of a service of this datacenter and partition.
    Service,
    /// A subset of such a service.
    Subset,
    /// `*.` names of another datacenter: its gateways.
    RemoteDatacenter,
    /// `*.` names of another partition of this datacenter: its gateways.
    RemotePartition,
    /// A `[[Route]]` of the catalog.
    StaticRoute,
    /// One address of a `Destination`: a target outside the mesh that no instance describes.
    Destination,
}

impl Rule {
    /// The word for logs and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Service => "service",
            Rule::Subset => "subset",
            Rule::RemoteDatacenter => "remote_datacenter",
            Rule::RemotePartition => "remote_partition",
            Rule::StaticRoute => "static_route",
            Rule::Destination => "destination",
        }
    }

    /// Whether it leads to gateways of another datacenter or partition.
    #[must_use]
    pub fn is_remote(self) -> bool {
        matches!(self, Rule::RemoteDatacenter | Rule::RemotePartition)
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of the table: a set of endpoints and how to use it.
///
/// Equal targets of two generations are one allocation, so a reader that reconciles can compare
/// pointers.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Unique in a table and the same over generations: the name that leads here.
    pub id: Arc<str>,
    /// For metrics and logs: `billing`, `dc:ams2`, `route:*.legacy.example.com`. Subsets share the
    /// word of their service.
    pub service: Arc<str>,
    /// What put it into the table.
    pub rule: Rule,
    /// All endpoints, unhealthy ones included, in one order whatever the files were.
    pub endpoints: Vec<TargetEndpoint>,
    /// `ConnectTimeout` of the service's resolver; `None` = the process's own.
    pub connect_timeout: Option<Duration>,
    /// Balancer and limits of the set.
    pub policy: SetPolicy,
    /// The endpoints are gateways of another datacenter or partition.
    pub remote: bool,
    /// Only the first healthy host name is used ("logical DNS"). Never set from files: all names
    /// with all their addresses are used there.
    pub only_first_name: bool,
}

/// One endpoint of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetEndpoint {
    /// Where it is.
    pub host: Host,
    /// TCP port, never 0.
    pub port: u16,
    /// 1 to 128.
    pub weight: u16,
    /// What the documents say of it; an unhealthy one is tried only when all are unhealthy.
    pub healthy: bool,
    /// The instance's id, or the service's or host's name where it has none.
    pub label: Arc<str>,
}

impl fmt::Display for TargetEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// An address as a document gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A literal address.
    Ip(IpAddr),
    /// A DNS name, lower-cased, without trailing dot; whoever dials resolves it.
    Name(Arc<str>),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(ip) => ip.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}
