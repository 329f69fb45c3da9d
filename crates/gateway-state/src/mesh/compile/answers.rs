//! Rows of Consul's answers -> targets, one service or one datacenter at a time.
//!
//! The same rules as for rows of files; what differs is that Consul has put the rows of a service
//! together already, so nothing but what changed has to be looked at.

use super::{Compiler, Member, gateways, services};
use crate::{
    document::{Resolver, host},
    filter::Filter,
    mesh::{MeshIdentity, MeshTable, SetPolicy, Target, TargetEndpoint},
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
    let here = services::here(base.own);
    let named = services::Named { service: name, namespace };
    let mut id = String::new();
    let done = services::service(rows, named, resolver, here.as_deref(), &mut id, &mut compiler);
    piece(compiler, done.err().map(|error| services::no_host_name(&error)))
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

impl Member for HealthEntry {
    fn endpoint(&self, wan: bool, only_passing: bool) -> Result<TargetEndpoint, String> {
        let unusable = |what: String| format!("instance {} on node {}: {what}", id(self), self.node.name);
        let address = if wan { self.best_wan() } else { self.lan() };
        let address = address.ok_or_else(|| unusable("it has no address or no port".to_owned()))?;
        let host = host(address.host).map_err(unusable)?;
        let weight = self.weight(only_passing);
        Ok(TargetEndpoint {
            host,
            port: address.port,
            weight: weight.value.into(),
            healthy: weight.healthy,
            label: id(self).into(),
        })
    }

    fn matches(&self, filter: &Filter, _own: &MeshIdentity) -> bool {
        filter.matches(self).unwrap_or(false)
    }
}

/// What an instance is called: Consul gives one without an id the name of its service.
fn id(row: &HealthEntry) -> &str {
    if row.service.id.is_empty() { &row.service.service } else { &row.service.id }
}
