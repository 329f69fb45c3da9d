//! Config entries as Consul lists them, with the last good version of each.

use super::bounded;
use crate::{
    catalog::{CatalogFile, keep_last_good},
    document::{self, Body, Documents, Entry, Resolver},
    mesh::{Rejected, SetPolicy},
    problem::Problem,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

/// The kinds that a mesh gateway decides on.
const KINDS: [&str; 3] = ["service-resolver", "service-defaults", "mesh"];

/// The endpoint that lists all kinds at once. Those of one kind, or of one entry of it, are below it.
const ALL_KINDS: &str = "config";

/// What is in use of all lists.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By endpoint: one list of all kinds, or one of each kind.
    lists: BTreeMap<Box<str>, CatalogFile>,
    /// By name in lower case: Consul finds entries in any.
    resolvers: HashMap<Arc<str>, Arc<Resolver>>,
    /// Services whose resolver could never be understood, likewise.
    unknown: BTreeSet<Arc<str>>,
    limits: (Option<u32>, Option<u32>),
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
        let path: Arc<Path> = Path::new("/v1").join(endpoint).into();
        let parsed = document::parse_answer(&path, body, &KINDS);
        if !parsed.unreadable
            && let Some(kind) = endpoint.strip_prefix(ALL_KINDS).and_then(|rest| rest.strip_prefix('/'))
        {
            self.take_over(kind);
        }
        let list = keep_last_good(path, parsed, self.lists.get(endpoint));
        self.lists.insert(endpoint.into(), list);

        let mut resolvers = HashMap::new();
        let mut limits = (None, None);
        for entry in self.entries() {
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
        let unknown = self.not_understood();
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

    fn not_understood(&self) -> BTreeSet<Arc<str>> {
        let rejected = self.lists.values().flat_map(|list| &list.rejected).filter(|it| !it.kept);
        let name = |it: &Rejected| {
            let name = it.document.strip_prefix("service-resolver ")?.split(' ').next()?;
            Some(Arc::from(&*lower(name)))
        };
        rejected.filter_map(name).collect()
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
        bounded(self.lists.values().flat_map(|list| list.rejected.iter().cloned()).collect())
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = Problem> + '_ {
        self.lists.values().flat_map(|list| list.warnings.iter().cloned())
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lists.values().flat_map(|list| &list.documents.entries)
    }

    /// A list of this kind has come: what the list of all kinds said of it, when that was still answered,
    /// is out of date from now on. The other kinds of it stay until their lists come.
    fn take_over(&mut self, kind: &str) {
        let Some(all) = self.lists.get_mut(ALL_KINDS) else { return };
        let mut documents = Documents::clone(&all.documents);
        documents.entries.retain(|entry| entry.kind != kind.split('/').next().unwrap_or_default());
        all.documents = Arc::new(documents);
        // The lists that came in its place say what is wrong now.
        all.rejected.clear();
        all.warnings.clear();
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
