//! What a mesh gateway knows: the names it routes and the endpoints behind each.

mod compile;
mod row;
mod table;
mod target;

use crate::problem::Problem;
pub(crate) use compile::{Compiled, Options, compile};
pub use mesh_endpoints::SetPolicy;
pub(crate) use row::check_filter;
use std::{path::PathBuf, sync::Arc};
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
    /// The files the catalog was read from.
    pub files: Vec<FileStatus>,
    /// Targets compiled anew for this generation; the others are shared with the one before.
    pub compiled: u64,
}
