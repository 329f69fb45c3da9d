//! What stays in use of a file's older version when parts of its newer one are wrong.

use super::CatalogFile;
use crate::{
    document::{Broken, Document, Documents, Parsed},
    mesh::Rejected,
    problem::Problem,
};
use std::{collections::HashSet, path::Path, sync::Arc};

/// Makes a parsed file into one that can be used, with the older version filling the gaps.
///
/// A broken document that still has its name is replaced by the older one of that name. One whose
/// name cannot be read could be any that is missing now, so all of its table that are missing stay.
/// Of a file that is no TOML or JSON everything stays.
pub(crate) fn keep_last_good(
    path: Arc<Path>,
    mut parsed: Parsed,
    previous: Option<&CatalogFile>,
) -> CatalogFile {
    let reject = |document: String, kept: bool, problems: &[Problem]| -> Vec<Rejected> {
        problems
            .iter()
            .map(|problem| Rejected { document: document.clone(), kept, problem: problem.clone() })
            .collect()
    };
    if parsed.unreadable {
        let documents = previous.map(|file| file.documents.clone()).unwrap_or_default();
        let rejected = reject(String::new(), documents.count() > 0, &parsed.problems);
        let warnings = previous.map(|file| file.warnings.clone()).unwrap_or_default();
        return CatalogFile { path, documents, rejected, warnings };
    }
    let nothing = Documents::default();
    let old = previous.map_or(&nothing, |file| &file.documents);
    let mut rejected = Vec::new();
    let mut named = 0;
    for broken in &parsed.broken {
        let kept = fill(&mut parsed.documents, old, broken);
        let document = broken.name.clone().or(broken.table.map(str::to_owned)).unwrap_or_default();
        let problems = parsed.problems.get(broken.problems.clone()).unwrap_or_default();
        named = named.max(broken.problems.end);
        rejected.extend(reject(document, kept, problems));
    }
    rejected.extend(reject(String::new(), false, parsed.problems.get(named..).unwrap_or_default()));
    CatalogFile { path, documents: Arc::new(parsed.documents), rejected, warnings: parsed.warnings }
}

fn fill(new: &mut Documents, old: &Documents, broken: &Broken) -> bool {
    let wanted = |table| broken.table.is_none_or(|broken| broken == table);
    let name = broken.name.as_deref();
    let mut kept = false;
    if wanted("Mesh") {
        kept |= refill(&mut new.meshes, &old.meshes, name);
    }
    if wanted("Leaf") {
        kept |= refill(&mut new.leaves, &old.leaves, name);
    }
    if wanted("Instance") {
        kept |= refill(&mut new.instances, &old.instances, name);
    }
    if wanted("Server") {
        kept |= refill(&mut new.servers, &old.servers, name);
    }
    if wanted("Peer") {
        kept |= refill(&mut new.peers, &old.peers, name);
    }
    if wanted("Entry") {
        kept |= refill(&mut new.entries, &old.entries, name);
    }
    if wanted("Route") {
        kept |= refill(&mut new.routes, &old.routes, name);
    }
    kept
}

/// Takes over what is missing: the one of this name, or all.
fn refill<D: Document>(new: &mut Vec<D>, old: &[D], name: Option<&str>) -> bool {
    let present: HashSet<String> = new.iter().map(Document::name).collect();
    let missing = old.iter().filter(|document| {
        let own = document.name();
        name.is_none_or(|name| name == own) && !present.contains(&own)
    });
    let before = new.len();
    new.extend(missing.cloned());
    new.len() > before
}
