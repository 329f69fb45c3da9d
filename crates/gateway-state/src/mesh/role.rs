//! The mesh gateway's side of a [`FileSource`](crate::FileSource).

use super::{MeshIdentity, MeshSnapshot, MeshTable, compile};
use crate::{
    catalog::Merged,
    role::{Compile, Input, Outcome, Role},
    snapshot::Head,
    source::SourceConfig,
};

/// Mesh gateways: the names of the mesh and what is behind each.
#[derive(Debug)]
#[non_exhaustive]
pub struct MeshRole;

impl Role for MeshRole {
    type Snapshot = MeshSnapshot;
    type Options = ();
    type Compiler = MeshCompiler;
}

#[derive(Debug)]
pub struct MeshCompiler {
    options: compile::Options,
    table: MeshTable,
}

impl Compile<MeshRole> for MeshCompiler {
    fn new(config: &SourceConfig) -> Self {
        let options = compile::Options { service: config.service.clone(), policy: config.policy.clone() };
        Self { options, table: MeshTable::default() }
    }

    fn compile(&mut self, input: Input<'_>) -> Outcome {
        let compiled = match input.mesh {
            Some(mesh) => compile::compile(input.merged, &mesh.identity, &self.options, &self.table),
            None => compile::compile(&Merged::nothing(), &MeshIdentity::nobody(), &self.options, &self.table),
        };
        let changed = !compiled.table.is_same(&self.table);
        if changed {
            self.table = compiled.table;
        }
        let (compiled, rejected) = (compiled.compiled, compiled.rejected);
        Outcome { changed, compiled, rejected, ..Outcome::default() }
    }

    fn snapshot(&self, head: Head) -> MeshSnapshot {
        let Head { generation, mesh, rejected, warnings, files, own, compiled } = head;
        let table = self.table.clone();
        MeshSnapshot { generation, mesh, table, rejected, warnings, files, own, compiled }
    }
}
