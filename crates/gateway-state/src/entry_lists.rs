//! Config entries as Consul lists them, with the last good version of each.

use crate::{
    catalog::{CatalogFile, keep_last_good},
    document::{self, Documents, Entry},
    problem::Problem,
    snapshot::Rejected,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// The endpoint that lists all kinds at once. Those of one kind, or of one entry of it, are below it.
const ALL_KINDS: &str = "config";

/// What is in use of all lists.
#[derive(Debug)]
pub(crate) struct EntryLists {
    /// Kinds that count.
    kinds: &'static [&'static str],
    /// By endpoint: one list of all kinds, or one of each kind.
    lists: BTreeMap<Box<str>, CatalogFile>,
}

impl EntryLists {
    /// Nothing yet, of these kinds.
    pub(crate) fn new(kinds: &'static [&'static str]) -> Self {
        Self { kinds, lists: BTreeMap::new() }
    }

    /// What an endpoint answers now: a list of entries, or one entry. Each endpoint's answer stands for itself.
    pub(crate) fn set(&mut self, endpoint: &str, body: &[u8]) {
        let path: Arc<Path> = Path::new("/v1").join(endpoint).into();
        let parsed = document::parse_answer(&path, body, self.kinds);
        if !parsed.unreadable
            && let Some(kind) = endpoint.strip_prefix(ALL_KINDS).and_then(|rest| rest.strip_prefix('/'))
        {
            self.take_over(kind);
        }
        let list = keep_last_good(path, parsed, self.lists.get(endpoint));
        self.lists.insert(endpoint.into(), list);
    }

    /// All entries in use.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lists.values().flat_map(|list| &list.documents.entries)
    }

    /// What is wrong with their newest versions.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        self.lists.values().flat_map(|list| &list.rejected)
    }

    /// What is doubtful.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.lists.values().flat_map(|list| &list.warnings)
    }

    /// Entries of a kind of which no version was ever understood, by name in lower case.
    pub(crate) fn not_understood(&self, kind: &str) -> BTreeSet<Arc<str>> {
        let name = |it: &Rejected| {
            let name = it.document.strip_prefix(kind)?.strip_prefix(' ')?.split(' ').next()?;
            Some(Arc::from(name.to_ascii_lowercase()))
        };
        self.rejected().filter(|it| !it.kept).filter_map(name).collect()
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
