//! What a mesh gateway knows: the names it routes and the endpoints behind each.

mod assemble;
pub(crate) mod changes;
mod compile;
mod row;
mod table;
mod target;

use crate::problem::Problem;
pub(crate) use assemble::MeshAssembler;
pub(crate) use compile::{Compiled, Options, compile};
pub use mesh_endpoints::SetPolicy;
pub(crate) use row::{check_filter, check_filter_of_answers};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
pub(crate) use table::difference;
pub use table::{Matched, MeshTable, NEAR_NAMES};
pub use target::{Host, Target, TargetEndpoint};

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

/// Who and where this gateway is, from the catalog's `[Mesh]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshIdentity {
    /// The datacenter whose services this gateway serves.
    pub datacenter: Arc<str>,
    /// The trust domain of the mesh, `<uuid>.consul`.
    pub trust_domain: Arc<str>,
    /// The admin partition, `default` in the community edition.
    pub partition: Arc<str>,
    /// The namespace of what names none, `default` in the community edition.
    pub namespace: Arc<str>,
    /// The DNS domain without its trailing dot, `consul` if not set.
    pub domain: Arc<str>,
}

impl MeshIdentity {
    /// What stands for it where a catalog has no `[Mesh]`.
    pub(crate) fn nobody() -> Self {
        let nothing: Arc<str> = "".into();
        Self {
            datacenter: nothing.clone(),
            trust_domain: nothing.clone(),
            partition: nothing.clone(),
            namespace: nothing.clone(),
            domain: nothing,
        }
    }
}

/// A document, or a whole file, whose new version is not in use; its last good version is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rejected {
    /// What was rejected: `service-resolver billing`, `Route *.example.com`, or empty for a file.
    pub document: String,
    /// Whether an older version of it is still in use.
    pub kept: bool,
    /// What is wrong with it.
    pub problem: Problem,
}

/// One file of the catalog as it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Its path, below the catalog's path.
    pub path: PathBuf,
    /// Documents of it that are in use.
    pub documents: usize,
    /// Problems of its newest version; 0 when all of it is in use.
    pub problems: usize,
}

/// What the registration of this gateway in Consul asks of it. All `None` where it runs from files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnOptions {
    /// Where to listen, by name; `None` = where the settings say.
    pub listeners: Option<Vec<(Arc<str>, SocketAddr)>>,
    /// Addresses by which others know it: dialling one of them would be a loop.
    pub advertised: Vec<SocketAddr>,
    /// `connect_timeout_ms`: time for connecting where no resolver says otherwise.
    pub connect_timeout: Option<Duration>,
    /// Keepalive towards gateways of other datacenters.
    pub remote_keepalive: Option<RemoteKeepalive>,
    /// `max_inbound_connections`.
    pub max_connections: Option<u32>,
}

/// `envoy_gateway_remote_tcp_*`: silence until the first probe, time between probes, probes without an
/// answer until the connection is dead. `None` = the system's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named like Consul's keys, explained above")]
pub struct RemoteKeepalive {
    pub time: Option<Duration>,
    pub interval: Option<Duration>,
    pub probes: Option<u32>,
}

/// Everything a mesh gateway knows at one moment; immutable, shared by all workers.
#[derive(Clone, Debug)]
pub struct MeshSnapshot {
    /// Counts up from 1; each published snapshot has its own.
    pub generation: u64,
    /// Who and where this gateway is.
    pub mesh: MeshIdentity,
    /// The names and what is behind them.
    pub table: MeshTable,
    /// What is not in use because its newest version is wrong.
    pub rejected: Vec<Rejected>,
    /// What is in use but doubtful.
    pub warnings: Vec<Problem>,
    /// The files the catalog was read from; none where it comes from Consul.
    pub files: Vec<FileStatus>,
    /// What the gateway's own registration says.
    pub own: OwnOptions,
    /// Targets compiled anew for this generation; the others are shared with the one before.
    pub compiled: u64,
}

impl MeshSnapshot {
    /// What is known before anything was read: generation 0, no name.
    pub(crate) fn nothing() -> Self {
        Self {
            generation: 0,
            mesh: MeshIdentity::nobody(),
            table: MeshTable::default(),
            rejected: Vec::new(),
            warnings: Vec::new(),
            files: Vec::new(),
            own: OwnOptions::default(),
            compiled: 0,
        }
    }
}
