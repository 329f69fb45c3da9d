//! What of a catalog a terminating gateway looks at, found by service.

use super::ServiceKey;
use crate::{
    catalog::{In, Merged, is_local},
    compile::is,
    document::{Body, Entry, Instance, Intentions, Kind, Leaf, Link, MeshDoc},
    snapshot::MeshIdentity,
    terminating::Config,
};
use intentions::{Intention, Pattern};
use std::{collections::HashMap, sync::Arc};

/// Namespace and name in lower case.
pub(super) type Key = (String, String);

pub(super) struct Catalog<'a> {
    pub(super) merged: &'a Merged<'a>,
    pub(super) config: Config,
    /// The gateway's own entry.
    pub(super) own: Option<(In<'a, Entry>, &'a [Link])>,
    instances: HashMap<Key, Vec<In<'a, Instance>>>,
    leaves: HashMap<String, In<'a, Leaf>>,
    exact: HashMap<Key, (In<'a, Entry>, &'a Intentions)>,
    /// Intentions for all services, or for all of a namespace.
    wildcards: Vec<Arc<Intention>>,
}

impl<'a> Catalog<'a> {
    pub(super) fn of(merged: &'a Merged<'a>, mesh: &'a MeshDoc, service: &str) -> Self {
        let own = &mesh.identity;
        let entries = merged.entries.iter().map(|it| it.document);
        let config = Config::of(entries, service, &own.namespace, &own.partition);
        let mut instances: HashMap<Key, Vec<In<'a, Instance>>> = HashMap::new();
        for it in &merged.instances {
            if it.document.kind == Kind::Plain && is_local(it.document, own) {
                let namespace = it.document.namespace().unwrap_or(&own.namespace);
                instances.entry(lower(namespace, &it.document.service)).or_default().push(*it);
            }
        }
        let mut catalog = Self {
            merged,
            config,
            own: None,
            instances,
            leaves: HashMap::new(),
            exact: HashMap::new(),
            wildcards: Vec::new(),
        };
        for leaf in &merged.leaves {
            catalog.leaves.entry(leaf.document.service.to_ascii_lowercase()).or_insert(*leaf);
        }
        for it in merged.entries.iter().filter(|it| is(it.document.partition.as_ref(), &own.partition)) {
            catalog.entry(*it, own, service);
        }
        catalog
    }

    fn entry(&mut self, it: In<'a, Entry>, own: &MeshIdentity, service: &str) {
        let entry: &'a Entry = it.document;
        match &entry.body {
            Body::Terminating(links)
                if entry.name.eq_ignore_ascii_case(service)
                    && is(entry.namespace.as_ref(), &own.namespace) =>
            {
                self.own.get_or_insert((it, links));
            }
            Body::Intentions(intentions) if *entry.name == *"*" => {
                self.wildcards.extend(intentions.rows.iter().cloned());
            }
            Body::Intentions(intentions) => {
                let namespace = entry.namespace.as_ref().unwrap_or(&own.namespace);
                self.exact.entry(lower(namespace, &entry.name)).or_insert((it, intentions));
            }
            _ => {}
        }
    }

    /// Whether the catalog has a service of this name.
    pub(super) fn has_instances(&self, key: &Key) -> bool {
        self.instances.contains_key(key)
    }

    /// Its instances, in the order of the files.
    pub(super) fn instances(&self, key: &ServiceKey) -> impl Iterator<Item = In<'a, Instance>> {
        self.instances.get(&lower(&key.namespace, &key.name)).into_iter().flatten().copied()
    }

    /// Its certificate. A `[[Leaf]]` names no namespace: it is of the mesh's own.
    pub(super) fn leaf(&self, key: &ServiceKey, own: &MeshIdentity) -> Option<In<'a, Leaf>> {
        let here = key.namespace.eq_ignore_ascii_case(&own.namespace);
        here.then(|| self.leaves.get(&key.name.to_ascii_lowercase()).copied()).flatten()
    }

    /// Intentions for it, those for all services included.
    pub(super) fn intentions(&self, key: &ServiceKey) -> Vec<Arc<Intention>> {
        let exact = self.exact.get(&lower(&key.namespace, &key.name));
        let exact = exact.into_iter().flat_map(|(_, intentions)| &intentions.rows);
        let of_namespace = |intention: &&Arc<Intention>| match &intention.destination.namespace {
            Pattern::Any => true,
            Pattern::Exact(namespace) => **namespace == *key.namespace,
        };
        exact.chain(self.wildcards.iter().filter(of_namespace)).cloned().collect()
    }

    /// The entry with its own intentions.
    pub(super) fn intentions_entry(&self, key: &ServiceKey) -> Option<In<'a, Entry>> {
        self.exact.get(&lower(&key.namespace, &key.name)).map(|(entry, _)| *entry)
    }
}

pub(super) fn lower(namespace: &str, name: &str) -> Key {
    (namespace.to_ascii_lowercase(), name.to_ascii_lowercase())
}
