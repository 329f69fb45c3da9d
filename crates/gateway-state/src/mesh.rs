//! What a mesh gateway knows: the names it routes and the endpoints behind each.

mod assemble;
mod compile;
mod role;
mod table;

use crate::{problem::Problem, snapshot::Snapshot};
pub use crate::{
    snapshot::{FileStatus, MeshIdentity, OwnOptions, Rejected, RemoteKeepalive},
    target::{Host, Rule, Target, TargetEndpoint},
};
pub(crate) use assemble::MeshAssembler;
pub use mesh_endpoints::SetPolicy;
pub use role::MeshRole;
use std::sync::Arc;
pub(crate) use table::difference;
pub use table::{Matched, MeshTable, NEAR_NAMES};

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

impl Snapshot for MeshSnapshot {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn mesh(&self) -> &MeshIdentity {
        &self.mesh
    }

    fn targets(&self) -> &[Arc<Target>] {
        self.table.targets()
    }

    fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    fn files(&self) -> &[FileStatus] {
        &self.files
    }

    fn own(&self) -> &OwnOptions {
        &self.own
    }

    fn compiled(&self) -> u64 {
        self.compiled
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.table.position(id)
    }
}
