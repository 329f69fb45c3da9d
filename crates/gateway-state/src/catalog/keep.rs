//! What stays in use of a file's older version when parts of its newer one are wrong.

use super::CatalogFile;
use crate::{
    document::{Broken, Document, Documents, Parsed},
    problem::Problem,
    snapshot::Rejected,
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
    let gaps: Vec<&Broken> = parsed.broken.iter().filter(|broken| !broken.in_use).collect();
    let kept = fill(&mut parsed.documents, old, &gaps);
    let mut rejected = Vec::new();
    let mut named = 0;
    for broken in &parsed.broken {
        let document = broken.name.clone().or(broken.table.map(str::to_owned)).unwrap_or_default();
        let older = broken.name.as_ref().map_or(!kept.is_empty(), |name| kept.contains(name));
        let kept = older && !broken.in_use;
        let problems = parsed.problems.get(broken.problems.clone()).unwrap_or_default();
        named = named.max(broken.problems.end);
        rejected.extend(reject(document, kept, problems));
    }
    rejected.extend(reject(String::new(), false, parsed.problems.get(named..).unwrap_or_default()));
    CatalogFile { path, documents: Arc::new(parsed.documents), rejected, warnings: parsed.warnings }
}

/// Takes over what is missing, table by table. Answers with the names of what was taken over.
fn fill(new: &mut Documents, old: &Documents, broken: &[&Broken]) -> HashSet<String> {
    let mut kept = HashSet::new();
    if broken.is_empty() {
        return kept;
    }
    refill("Mesh", &mut new.meshes, &old.meshes, broken, &mut kept);
    refill("Leaf", &mut new.leaves, &old.leaves, broken, &mut kept);
    refill("Instance", &mut new.instances, &old.instances, broken, &mut kept);
    refill("Server", &mut new.servers, &old.servers, broken, &mut kept);
    refill("Peer", &mut new.peers, &old.peers, broken, &mut kept);
    refill("Entry", &mut new.entries, &old.entries, broken, &mut kept);
    refill("Route", &mut new.routes, &old.routes, broken, &mut kept);
    kept
}

fn refill<D: Document>(
    table: &'static str,
    new: &mut Vec<D>,
    old: &[D],
    broken: &[&Broken],
    kept: &mut HashSet<String>,
) {
    let mine = || broken.iter().filter(|broken| broken.table.is_none_or(|name| name == table));
    let names: HashSet<&str> = mine().filter_map(|broken| broken.name.as_deref()).collect();
    let all = mine().any(|broken| broken.name.is_none());
    if names.is_empty() && !all {
        return;
    }
    let present: HashSet<String> = new.iter().map(Document::name).collect();
    for document in old {
        let name = document.name();
        if (all || names.contains(name.as_str())) && !present.contains(&name) {
            new.push(document.clone());
            kept.insert(name);
        }
    }
}
