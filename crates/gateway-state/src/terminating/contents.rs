//! What is in a snapshot besides its head, with everything unchanged shared with the one before.

use super::{LinkedName, LinkedService, SniTable, Target, TerminatingSnapshot, compile::Piece};
use crate::{compile::Before, snapshot::Head};
use intentions::DefaultPolicy;
use mtls::{MeshTls, TrustBundle};
use std::{collections::HashMap, sync::Arc};

#[derive(Clone, Debug)]
pub(super) struct Contents {
    table: SniTable,
    services: Arc<[Arc<LinkedService>]>,
    targets: Arc<[Arc<Target>]>,
    pub(super) roots: Option<Arc<TrustBundle>>,
    pub(super) tls: Arc<MeshTls>,
    pub(super) default_policy: DefaultPolicy,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            table: SniTable::default(),
            services: Arc::default(),
            targets: Arc::default(),
            roots: None,
            tls: Arc::default(),
            default_policy: DefaultPolicy::Deny,
        }
    }
}

impl Before for Contents {
    fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.targets.binary_search_by(|target| (*target.id).cmp(id)).ok()
    }
}

impl Contents {
    /// Of these services, in the order of their keys.
    pub(super) fn after<'p>(before: &Self, pieces: impl Iterator<Item = &'p Piece> + Clone) -> Self {
        let services: Vec<_> = pieces.clone().map(|piece| piece.service.clone()).collect();
        let mut targets: Vec<_> = pieces.clone().flat_map(|piece| piece.targets.iter().cloned()).collect();
        targets.sort_by(|a, b| a.id.cmp(&b.id));
        let services = keep(&before.services, services);
        let targets = keep(&before.targets, targets);
        let mut next = Self { services, targets, ..before.clone() };
        if !next.has_names_of(before, pieces.clone()) {
            next.table = next.names(pieces);
        }
        next
    }

    /// Whether every name leads to the same place in the lists as before.
    fn has_names_of<'p>(&self, before: &Self, pieces: impl Iterator<Item = &'p Piece>) -> bool {
        let same_ids = |one: &[Arc<Target>], other: &[Arc<Target>]| {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| Arc::ptr_eq(a, b) || a.id == b.id)
        };
        if !same_ids(&self.targets, &before.targets) || self.services.len() != before.services.len() {
            return false;
        }
        let mut names = 0;
        for (index, piece) in pieces.enumerate() {
            for (name, rule) in &piece.names {
                let known = before.table.get(name);
                if known.is_none_or(|known| {
                    known.service != index
                        || known.rule != *rule
                        || known.target.is_none() != piece.targets.is_empty()
                }) {
                    return false;
                }
                names += 1;
            }
        }
        names == before.table.len()
    }

    fn names<'p>(&self, pieces: impl Iterator<Item = &'p Piece>) -> SniTable {
        let mut names = HashMap::new();
        for (service, piece) in pieces.enumerate() {
            for (name, rule) in &piece.names {
                let target = if piece.targets.is_empty() { None } else { self.position(name) };
                // Of two services that differ in case only the first has the names.
                names.entry(name.clone()).or_insert(LinkedName { service, target, rule: *rule });
            }
        }
        SniTable::new(names)
    }

    /// Whether both are one in everything.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let Self { table, services, targets, roots, tls, default_policy } = self;
        let same_roots = match (roots, &other.roots) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        table.is_shared_with(&other.table)
            && Arc::ptr_eq(services, &other.services)
            && Arc::ptr_eq(targets, &other.targets)
            && same_roots
            && Arc::ptr_eq(tls, &other.tls)
            && *default_policy == other.default_policy
    }

    pub(super) fn snapshot(&self, head: Head) -> TerminatingSnapshot {
        let Self { table, services, targets, roots, tls, default_policy } = self.clone();
        let Head { generation, mesh, rejected, warnings, files, own, compiled } = head;
        TerminatingSnapshot {
            generation,
            mesh,
            table,
            services,
            targets,
            roots,
            tls,
            default_policy,
            rejected,
            warnings,
            files,
            own,
            compiled,
        }
    }
}

/// The older list where both have the same elements.
fn keep<T>(before: &Arc<[Arc<T>]>, now: Vec<Arc<T>>) -> Arc<[Arc<T>]> {
    let same = before.len() == now.len() && before.iter().zip(&now).all(|(a, b)| Arc::ptr_eq(a, b));
    if same { before.clone() } else { now.into() }
}
