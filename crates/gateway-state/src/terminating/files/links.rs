//! The links of the gateway's own entry, with `*` expanded.

use super::{
    LinkFiles, LinkRow, ServiceKey, TerminatingOptions,
    catalog::{Catalog, Key, lower},
};
use crate::{
    catalog::{In, References, wildcard},
    compile::is,
    document::{Body, Entry, Link, LinkTls, MeshDoc, nearest},
    problem::Problem,
    terminating::LinkKind,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A link to one service.
pub(super) struct One<'a> {
    pub(super) key: ServiceKey,
    kind: LinkKind,
    from_wildcard: bool,
    pub(super) link: &'a Link,
}

/// All of them.
pub(super) struct Expanded<'a> {
    entry: Option<In<'a, Entry>>,
    links: BTreeMap<Key, One<'a>>,
}

/// An explicit link for a name takes the place of the wildcard's, with nothing inherited.
pub(super) fn expand<'a>(catalog: &Catalog<'a>, mesh: &'a MeshDoc) -> Expanded<'a> {
    let Some((entry, links)) = catalog.own else { return Expanded { entry: None, links: BTreeMap::new() } };
    let own = &mesh.identity;
    let namespace = |link: &'a Link| {
        link.namespace.as_ref().or(entry.document.namespace.as_ref()).unwrap_or(&own.namespace)
    };
    let destinations = destinations(catalog, mesh);
    let kind = |key: &Key| match destinations.contains(key) && !catalog.has_instances(key) {
        true => LinkKind::Destination,
        false => LinkKind::Service,
    };
    let mut expanded = BTreeMap::new();
    for link in links.iter().filter(|link| *link.name != *"*") {
        let namespace = namespace(link);
        let lower = lower(namespace, &link.name);
        let key = ServiceKey { namespace: namespace.clone(), name: link.name.clone() };
        let one = One { key, kind: kind(&lower), from_wildcard: false, link };
        expanded.entry(lower).or_insert(one);
    }
    for link in links.iter().filter(|link| *link.name == *"*") {
        let namespace = namespace(link);
        for name in wildcard(catalog.merged, own, namespace) {
            let lower = lower(namespace, name);
            let known = expanded.get(&lower);
            // Of two spellings of one name the same counts, whatever the order of files.
            if known.is_some_and(|known| !known.from_wildcard || known.key.name <= *name) {
                continue;
            }
            let key = ServiceKey { namespace: namespace.clone(), name: name.clone() };
            let one = One { key, kind: kind(&lower), from_wildcard: true, link };
            expanded.insert(lower, one);
        }
    }
    Expanded { entry: Some(entry), links: expanded }
}

/// Services whose `service-defaults` have a `Destination`.
fn destinations(catalog: &Catalog<'_>, mesh: &MeshDoc) -> BTreeSet<Key> {
    let own = &mesh.identity;
    let entries = catalog.merged.entries.iter().map(|it| it.document);
    entries
        .filter(|it| matches!(&it.body, Body::Defaults(defaults) if defaults.destination.is_some()))
        .filter(|it| is(it.partition.as_ref(), &own.partition))
        .map(|it| lower(it.namespace.as_ref().unwrap_or(&own.namespace), &it.name))
        .collect()
}

impl One<'_> {
    pub(super) fn row(&self, read: &mut dyn FnMut(&LinkTls) -> LinkFiles) -> LinkRow {
        LinkRow {
            key: self.key.clone(),
            kind: self.kind,
            from_wildcard: self.from_wildcard,
            host_rewrite: self.link.host_rewrite,
            tls: self.link.tls.as_ref().map(read),
        }
    }
}

impl<'a> Expanded<'a> {
    pub(super) fn all(&self) -> impl Iterator<Item = &One<'a>> {
        self.links.values()
    }

    pub(super) fn entry(&self) -> Option<In<'a, Entry>> {
        self.entry
    }

    pub(super) fn get(&self, key: &ServiceKey) -> Option<&One<'a>> {
        self.links.get(&lower(&key.namespace, &key.name))
    }

    /// A problem with a link, or with one key of it.
    pub(super) fn problem(&self, link: &Link, key: &str, message: String, root: &Path) -> Problem {
        let file = self.entry.map_or_else(|| root.to_owned(), |entry| PathBuf::from(&*entry.file.path));
        let dot = if key.is_empty() || link.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{key}", link.path);
        Problem { file, line: Some(link.line), path, message, hint: None }
    }

    /// Private keys for TLS towards instances that others can read.
    pub(super) fn keys(&self, references: &mut dyn References) -> Vec<Problem> {
        let mut seen = BTreeSet::new();
        let keys = self.links.values().filter_map(|one| one.link.tls.as_ref()?.client.as_ref());
        let mut problems = Vec::new();
        for (_, key) in keys.filter(|(_, key)| seen.insert(&key.path)) {
            if let (Some(message), Some(entry)) = (references.key(key), self.entry) {
                let file = PathBuf::from(&*entry.file.path);
                let path = key.key.clone();
                problems.push(Problem { file, line: Some(key.line), path, message, hint: None });
            }
        }
        problems
    }

    /// What is doubtful about the entry, and about settings that name services.
    pub(super) fn warnings(
        &self,
        catalog: &Catalog<'_>,
        service: &str,
        options: &TerminatingOptions,
        mesh: &MeshDoc,
        root: &Path,
    ) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let of_root = |message: String, hint: Option<String>| Problem {
            file: root.to_owned(),
            line: None,
            path: String::new(),
            message,
            hint,
        };
        let Some((_, links)) = catalog.own else {
            let entries = catalog.merged.entries.iter().map(|it| it.document);
            let gateways = entries.filter(|it| matches!(it.body, Body::Terminating(_)));
            let hint = nearest(service, gateways.map(|it| &*it.name)).map(str::to_owned);
            let message =
                format!("there is no terminating-gateway entry named {service:?}: no service is linked");
            warnings.push(of_root(message, hint));
            return warnings;
        };
        for link in links {
            if link.idle_sni {
                let message =
                    "without effect: there is no CAFile, so no TLS towards the instances".to_owned();
                warnings.push(self.problem(link, "SNI", message, root));
            }
            if link.tls.as_ref().is_some_and(|tls| tls.sni.is_empty()) {
                let message =
                    "not set: any certificate of the CAs in CAFile is accepted, whatever its name".to_owned();
                warnings.push(self.problem(link, "SNI", message, root));
            }
        }
        let names: BTreeSet<Arc<str>> = self.links.values().map(|one| one.key.name.clone()).collect();
        for name in options.services.keys() {
            let key = match name.split_once('/') {
                Some((namespace, name)) => lower(namespace, name),
                None => lower(&mesh.identity.namespace, name),
            };
            if !self.links.contains_key(&key) {
                let hint = nearest(name, names.iter().map(|name| &**name)).map(str::to_owned);
                let message = format!("there are settings for service {name:?}, which is not linked");
                warnings.push(of_root(message, hint));
            }
        }
        warnings
    }
}
