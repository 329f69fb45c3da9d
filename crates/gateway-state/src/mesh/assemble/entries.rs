//! What config entries say to a mesh gateway.

use super::bounded;
use crate::{
    document::{Body, Resolver},
    entry_lists::EntryLists,
    mesh::{Rejected, SetPolicy},
    problem::Problem,
};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// The kinds that a mesh gateway decides on.
const KINDS: &[&str] = &["service-resolver", "service-defaults", "mesh"];

/// What is in use of all lists.
#[derive(Debug)]
pub(super) struct Entries {
    lists: EntryLists,
    /// By name in lower case: Consul finds entries in any.
    resolvers: HashMap<Arc<str>, Arc<Resolver>>,
    /// Services whose resolver could never be understood, likewise.
    unknown: BTreeSet<Arc<str>>,
    limits: (Option<u32>, Option<u32>),
}

impl Default for Entries {
    fn default() -> Self {
        let lists = EntryLists::new(KINDS);
        Self { lists, resolvers: HashMap::new(), unknown: BTreeSet::new(), limits: (None, None) }
    }
}

/// What a new list changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Services whose resolver came, went or differs, in lower case.
    pub(super) services: BTreeSet<Arc<str>>,
    /// The gateway's own limits.
    pub(super) limits: bool,
}

impl Entries {
    pub(super) fn set(&mut self, endpoint: &str, body: &[u8], own_service: &str) -> Changed {
        self.lists.set(endpoint, body);
        let mut resolvers = HashMap::new();
        let mut limits = (None, None);
        for entry in self.lists.entries() {
            match &entry.body {
                Body::Resolver(resolver) => {
                    let name = match lower(&entry.name) {
                        Cow::Borrowed(_) => entry.name.clone(),
                        Cow::Owned(name) => name.into(),
                    };
                    resolvers.entry(name).or_insert_with(|| resolver.clone());
                }
                Body::Defaults(defaults) if entry.name.eq_ignore_ascii_case(own_service) => {
                    limits = (defaults.max_connections, defaults.max_pending);
                }
                _ => {}
            }
        }
        let differs = |(name, resolver): (&Arc<str>, &Arc<Resolver>), other: &HashMap<_, Arc<Resolver>>| {
            (other.get(name) != Some(resolver)).then(|| name.clone())
        };
        let come = resolvers.iter().filter_map(|pair| differs(pair, &self.resolvers));
        let gone = self.resolvers.iter().filter_map(|pair| differs(pair, &resolvers));
        let unknown = self.lists.not_understood("service-resolver");
        let turned = unknown.symmetric_difference(&self.unknown).cloned();
        let services = come.chain(gone).chain(turned).collect();
        let changed = Changed { services, limits: limits != self.limits };
        self.unknown = unknown;
        self.resolvers = resolvers;
        self.limits = limits;
        changed
    }

    /// The resolver of a service, if it has one. `Err`: it has, and no version of it could be
    /// understood; without its default subset the name would lead to instances that it must not reach.
    pub(super) fn resolver(&self, service: &str) -> Result<Option<&Resolver>, String> {
        let name = lower(service);
        if self.unknown.contains(&*name) {
            return Err(
                "its service-resolver cannot be understood: it has no name until that is mended".to_owned()
            );
        }
        Ok(self.resolvers.get(&*name).map(|resolver| &**resolver))
    }

    /// What sets start from, with the limits of the gateway's own entry, field by field.
    pub(super) fn policy(&self, base: &SetPolicy) -> SetPolicy {
        let mut policy = base.clone();
        let limits = &mut policy.limits;
        limits.max_connections = self.limits.0.or(limits.max_connections);
        limits.max_pending = self.limits.1.or(limits.max_pending);
        policy
    }

    pub(super) fn rejected(&self) -> Vec<Rejected> {
        bounded(self.lists.rejected().cloned().collect())
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = Problem> + '_ {
        self.lists.warnings().cloned()
    }
}

/// A name as Consul compares it; nearly all are in lower case already.
fn lower(name: &str) -> Cow<'_, str> {
    match has_capitals(name) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// Whether a name is written otherwise than it is in the mesh.
pub(super) fn has_capitals(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_uppercase())
}
