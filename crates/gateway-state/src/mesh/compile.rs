//! Documents -> the table of a mesh gateway, with everything that did not change taken from the
//! table before.
//!
//! Each target is laid out in memory that is used again and again, and compared with the one of the
//! same name in the older table; only a difference costs an allocation and counts as compiled. So
//! there is no list of what depends on what that could be wrong.

pub(super) mod answers;
mod gateways;
mod routes;
mod services;

use super::{MeshIdentity, MeshTable, Rejected, SetPolicy};
use crate::{
    catalog::Merged,
    compile::{Before, Compiler, is},
    document::Body,
    target::Target,
};
use std::sync::Arc;

/// What does not come from documents.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The service name of this gateway: a `service-defaults` of that name sets its limits.
    pub(crate) service: String,
    /// What every set starts from.
    pub(crate) policy: SetPolicy,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) table: MeshTable,
    /// How many targets are new or differ from before.
    pub(crate) compiled: u64,
    pub(crate) rejected: Vec<Rejected>,
}

/// Compiles everything that is in use. `own` is the `[Mesh]` in use.
pub(crate) fn compile(
    merged: &Merged<'_>,
    own: &MeshIdentity,
    options: &Options,
    before: &MeshTable,
) -> Compiled {
    let mut compiler = Compiler::new(own, before, policy(merged, own, options));
    compiler.targets.reserve(before.targets().len());
    services::compile(merged, &mut compiler);
    gateways::compile(merged, &mut compiler);
    routes::compile(merged, &mut compiler);
    let Compiler { targets, compiled, rejected, .. } = compiler;
    Compiled { table: MeshTable::after(before, targets), compiled, rejected }
}

/// Limits come from the `service-defaults` that is named like the gateway, field by field.
fn policy(merged: &Merged<'_>, own: &MeshIdentity, options: &Options) -> SetPolicy {
    let mut policy = options.policy.clone();
    for entry in &merged.entries {
        let entry = entry.document;
        if let Body::Defaults(defaults) = &entry.body
            && entry.name.eq_ignore_ascii_case(&options.service)
            && is(entry.partition.as_ref(), &own.partition)
        {
            let limits = &mut policy.limits;
            limits.max_connections = defaults.max_connections.or(limits.max_connections);
            limits.max_pending = defaults.max_pending.or(limits.max_pending);
        }
    }
    policy
}

impl Before for MeshTable {
    fn targets(&self) -> &[Arc<Target>] {
        self.targets()
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.position(id)
    }
}
