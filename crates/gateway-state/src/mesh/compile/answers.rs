//! Rows of Consul's answers -> targets, one service or one datacenter at a time.
//!
//! The same rules as for rows of files; what differs is that Consul has put the rows of a service
//! together already, so nothing but what changed has to be looked at.

use super::gateways;
use crate::{
    compile::{self, Compiler},
    document::Resolver,
    mesh::{MeshIdentity, MeshTable, SetPolicy, Target},
};
use catalog_client::health::HealthEntry;
use std::sync::Arc;

/// What one compilation starts from.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) own: &'a MeshIdentity,
    /// Equal targets are taken from here.
    pub(crate) before: &'a MeshTable,
    pub(crate) policy: &'a SetPolicy,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) targets: Vec<Arc<Target>>,
    /// Targets that differ from before.
    pub(crate) compiled: u64,
    /// Rows without a usable address, and names that are none.
    pub(crate) problems: Vec<String>,
}

/// A service of this datacenter: its own name and one for each subset. Without rows it has none.
pub(crate) fn service(
    base: Base<'_>,
    name: &Arc<str>,
    namespace: &str,
    rows: &[HealthEntry],
    resolver: Option<&Resolver>,
) -> Piece {
    if rows.is_empty() {
        return Piece::default();
    }
    let mut compiler = Compiler::new(base.own, base.before, base.policy.clone());
    let here = compile::here(base.own);
    let named = compile::Named { service: name, namespace };
    let mut id = String::new();
    let done = compile::service(rows, named, resolver, here.as_deref(), &mut id, &mut compiler);
    piece(compiler, done.err().map(|error| compile::no_host_name(&error)))
}

/// Another datacenter (or partition): all names there, by the WAN addresses of its gateways.
pub(crate) fn remote(
    base: Base<'_>,
    datacenter: &str,
    partition: &str,
    rows: &[HealthEntry],
    only_first_name: bool,
) -> Piece {
    let mut compiler = Compiler::new(base.own, base.before, base.policy.clone());
    compiler.only_first_name = only_first_name;
    let rows: Vec<&HealthEntry> = rows.iter().collect();
    let done = gateways::place(datacenter, partition, &rows, &mut compiler);
    piece(compiler, done.err().map(|error| gateways::no_host_names(&error)))
}

fn piece(compiler: Compiler<'_>, problem: Option<String>) -> Piece {
    let Compiler { targets, compiled, mut unusable, .. } = compiler;
    // A row stands in the unnamed set and in subsets.
    unusable.sort_unstable();
    unusable.dedup();
    unusable.extend(problem);
    Piece { targets, compiled, problems: unusable }
}
