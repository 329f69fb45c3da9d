//! All files taken together.

use super::{CatalogFile, Files, In, References};
use crate::{
    document::{Document, Entry, FileRef, Instance, Leaf, MeshDoc, Route},
    problem::Problem,
    snapshot::{MeshIdentity, Rejected},
};
use std::{
    collections::HashSet,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    path::{Path, PathBuf},
};

/// What is in use of a catalog, each thing once.
#[derive(Debug)]
pub(crate) struct Merged<'a> {
    pub(crate) mesh: Option<&'a MeshDoc>,
    /// The newest one, which is in use or wrong.
    pub(crate) mesh_at: Option<In<'a, MeshDoc>>,
    pub(crate) instances: Vec<In<'a, Instance>>,
    pub(crate) entries: Vec<In<'a, Entry>>,
    pub(crate) leaves: Vec<In<'a, Leaf>>,
    pub(crate) routes: Vec<In<'a, Route>>,
    /// What was left out, on top of what the files themselves leave out.
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) warnings: Vec<Problem>,
}

impl Merged<'_> {
    /// What a catalog without documents comes to.
    pub(crate) fn nothing() -> Self {
        Self {
            mesh: None,
            mesh_at: None,
            instances: Vec::new(),
            entries: Vec::new(),
            leaves: Vec::new(),
            routes: Vec::new(),
            rejected: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// What was in use before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'b> {
    pub(crate) files: &'b Files,
    /// [`Merged::rejected`] of that time.
    pub(crate) left_out: &'b [Rejected],
}

/// Merges the files. Where two documents say the same
/// thing, the one that was in use already stays, else the first in the order of paths and lines.
///
/// `last` is the `[Mesh]` in use so far: it stays when there is none, or a wrong one.
pub(crate) fn merge<'a>(
    files: &'a Files,
    before: Before<'_>,
    last: Option<&'a MeshDoc>,
    root: &Path,
    references: &mut dyn References,
) -> Merged<'a> {
    let mut merger = Merger { before, in_use: None, hasher: RandomState::new(), rejected: Vec::new() };
    let meshes = merger.unique(all(files, |file| &file.documents.meshes), |_| Some("Mesh"), |_, _| true);
    let mesh = merger.mesh(&meshes, last, root, references);
    let nobody = MeshIdentity::nobody();
    let own = mesh.map_or(&nobody, |mesh| &mesh.identity);

    let instances = all(files, |file| &file.documents.instances);
    let instances = merger.unique(
        instances,
        |it| Some((Folded(&it.service), &it.host, it.port)),
        |a, b| a.same_as(b, own),
    );
    let instances = merger.unique(instances, |it| it.id.as_ref(), |a, b| a.same_as(b, own));
    let entries = all(files, |file| &file.documents.entries);
    let entries = merger.unique(entries, |it| Some(it.name()), |a, b| a.name() == b.name());
    let routes = all(files, |file| &file.documents.routes);
    let routes = merger.unique(routes, |it| Some(&it.sni), |a, b| a.sni == b.sni);
    let servers = all(files, |file| &file.documents.servers);
    merger.unique(servers, |it| Some(it.name()), |a, b| a.name() == b.name());
    let leaves = all(files, |file| &file.documents.leaves);
    let leaves = merger.unique(leaves, |it| Some(it.name()), |a, b| a.name() == b.name());
    let peers = all(files, |file| &file.documents.peers);
    let peers = merger.unique(peers, |it| Some(it.name()), |a, b| a.name() == b.name());

    for peer in &peers {
        for (file, message) in wrong(&peer.document.roots, references) {
            merger.reject(peer, problem_of(peer.file, file, message), false);
        }
    }
    // This gateway presents no leaf, so it may well run where those files are not, or not readable.
    let mut warnings: Vec<Problem> = files.values().flat_map(|file| file.warnings.iter().cloned()).collect();
    for leaf in &leaves {
        if let Some(message) = references.key(&leaf.document.key) {
            warnings.push(problem_of(leaf.file, &leaf.document.key, message));
        }
    }
    Merged {
        mesh,
        mesh_at: meshes.first().copied(),
        instances,
        entries,
        leaves,
        routes,
        rejected: merger.rejected,
        warnings,
    }
}

struct Merger<'b> {
    before: Before<'b>,
    /// What [`Self::was_in_use`] looks up; made when there is something to settle, which is rare.
    in_use: Option<HashSet<(&'b Path, String)>>,
    hasher: RandomState,
    rejected: Vec<Rejected>,
}

impl Merger<'_> {
    /// Leaves one of each. Things that are the same have the same key, and what has no key is like
    /// nothing else; `same` decides.
    fn unique<'a, D: Document, K: Hash>(
        &mut self,
        mut documents: Vec<In<'a, D>>,
        key: impl Fn(&'a D) -> Option<K>,
        same: impl Fn(&D, &D) -> bool,
    ) -> Vec<In<'a, D>> {
        let mut order: Vec<(u64, u32)> = (0_u32..)
            .zip(&documents)
            .filter_map(|(index, it)| Some((self.hasher.hash_one(key(it.document)?), index)))
            .collect();
        order.sort_unstable();
        if order.windows(2).all(|pair| matches!(pair, [a, b] if a.0 != b.0)) {
            return documents;
        }
        let mut out = vec![false; documents.len()];
        for group in order.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
            self.settle(group.iter().map(|(_, index)| *index as usize), &documents, &same, &mut out);
        }
        let mut out = out.into_iter();
        documents.retain(|_| !out.next().unwrap_or(false));
        documents
    }

    fn settle<'a, D: Document>(
        &mut self,
        group: impl Iterator<Item = usize>,
        documents: &[In<'a, D>],
        same: &impl Fn(&D, &D) -> bool,
        out: &mut [bool],
    ) {
        let mut indices: Vec<usize> = group.collect();
        // In use first, then in the order of files.
        indices.sort_by_cached_key(|index| {
            (documents.get(*index).is_none_or(|it| !self.was_in_use(it)), *index)
        });
        let mut stay: Vec<&In<'a, D>> = Vec::new();
        for index in indices {
            let Some(it) = documents.get(index) else { continue };
            match stay.iter().find(|other| same(it.document, other.document)) {
                None => stay.push(it),
                Some(other) => {
                    let (file, line) = (other.file.path.display(), other.document.place().line);
                    let message = format!("{} is already in {file}:{line}", other.document.name());
                    self.reject(it, problem_at(it.file, it.document, "", message), false);
                    if let Some(out) = out.get_mut(index) {
                        *out = true;
                    }
                }
            }
        }
    }

    fn was_in_use<D: Document>(&mut self, it: &In<'_, D>) -> bool {
        let Before { files, left_out } = self.before;
        let in_use = self.in_use.get_or_insert_with(|| {
            let mut in_use: HashSet<_> = files
                .values()
                .flat_map(|file| file.documents.names().into_iter().map(|name| (&*file.path, name)))
                .collect();
            for left in left_out {
                in_use.remove(&(left.problem.file.as_path(), left.document.clone()));
            }
            in_use
        });
        in_use.contains(&(&*it.file.path, it.document.name()))
    }

    fn mesh<'a>(
        &mut self,
        meshes: &[In<'a, MeshDoc>],
        last: Option<&'a MeshDoc>,
        root: &Path,
        references: &mut dyn References,
    ) -> Option<&'a MeshDoc> {
        let kept = last.is_some();
        let Some(newest) = meshes.first() else {
            let message = "the catalog has no [Mesh]; exactly one of its files must have it".to_owned();
            let problem =
                Problem { file: root.to_owned(), line: None, path: String::new(), message, hint: None };
            self.rejected.push(Rejected { document: "Mesh".to_owned(), kept, problem });
            return last;
        };
        let wrong = wrong(&newest.document.roots, references);
        let fine = wrong.is_empty();
        for (file, message) in wrong {
            self.reject(newest, problem_of(newest.file, file, message), kept);
        }
        if fine { Some(newest.document) } else { last }
    }

    fn reject<D: Document>(&mut self, it: &In<'_, D>, problem: Problem, kept: bool) {
        self.rejected.push(Rejected { document: it.document.name(), kept, problem });
    }
}

/// A name whose case does not count.
struct Folded<'a>(&'a str);

impl Hash for Folded<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut lower = [0; 32];
        for part in self.0.as_bytes().chunks(lower.len()) {
            for (lower, byte) in lower.iter_mut().zip(part) {
                *lower = byte.to_ascii_lowercase();
            }
            state.write(lower.get(..part.len()).unwrap_or_default());
        }
    }
}

fn all<'a, D>(files: &'a Files, list: impl Fn(&'a CatalogFile) -> &'a Vec<D>) -> Vec<In<'a, D>> {
    let count = files.values().map(|file| list(file).len()).sum();
    let mut documents = Vec::with_capacity(count);
    for file in files.values() {
        documents.extend(list(file).iter().map(|document| In { file, document }));
    }
    documents
}

fn wrong<'r>(files: &'r [FileRef], references: &mut dyn References) -> Vec<(&'r FileRef, String)> {
    files.iter().filter_map(|file| Some((file, references.certificates(file).err()?))).collect()
}

fn problem_of(file: &CatalogFile, named: &FileRef, message: String) -> Problem {
    let path = named.key.clone();
    Problem { file: PathBuf::from(&*file.path), line: Some(named.line), path, message, hint: None }
}

/// A problem of a document that shows only next to others.
pub(crate) fn problem_at(
    file: &CatalogFile,
    document: &impl Document,
    key: &str,
    message: String,
) -> Problem {
    let place = document.place();
    let mut path = place.path();
    if !path.is_empty() && !key.is_empty() {
        path.push('.');
    }
    path.push_str(key);
    Problem { file: PathBuf::from(&*file.path), line: Some(place.line), path, message, hint: None }
}
