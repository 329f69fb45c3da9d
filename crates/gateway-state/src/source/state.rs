//! What is known of a catalog, and one step from there to what its files say now.

use super::{
    SourceConfig,
    fingerprint::{Contents, Fingerprint, read},
    references::Named,
    report,
    scan::{Scan, ScanError, scan, ways},
    settle::{Ready, Settle},
};
use crate::{
    catalog::{Before, CatalogFile, Files, keep_last_good, merge},
    document::{self, Format, MeshDoc},
    problem::{Problem, Problems},
    role::{Compile, Input, Role},
    snapshot::{FileStatus, Head, OwnOptions, Rejected, Snapshot},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// Problems in a snapshot, and warnings; the rest is counted. A folder that was copied into itself gives
/// one for each document.
const MAX_SHOWN: usize = 1000;

/// Bounds of the time until something is looked at for no other reason than that time has passed.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// A catalog as it was last read.
#[derive(Debug)]
pub(super) struct State<R: Role> {
    root: PathBuf,
    config: SourceConfig<R::Options>,
    files: Files,
    /// What each file was when it was read last, whether it could be used or not.
    fingerprints: HashMap<Arc<Path>, Fingerprint>,
    mesh: MeshDoc,
    named: Named,
    scan: Scan,
    /// What merging left out last.
    left_out: Vec<Rejected>,
    compiler: R::Compiler,
    snapshot: Arc<R::Snapshot>,
}

/// What a step came to.
#[derive(Debug)]
pub(super) struct Step<S> {
    /// The next snapshot, if anything differs.
    pub(super) snapshot: Option<Arc<S>>,
    /// Whether nothing new went wrong.
    pub(super) ok: bool,
}

impl<R: Role> State<R> {
    /// Reads everything; every problem is one too many.
    pub(super) fn load(
        root: PathBuf,
        config: SourceConfig<R::Options>,
        now: SystemTime,
    ) -> Result<Self, Problems> {
        let refuse = |problems: Vec<Problem>, warnings: Vec<Problem>| Problems::new(problems, warnings);
        let found = scan(&root, config.max_files, config.max_bytes)
            .map_err(|error| refuse(vec![of_path(&root, &error.to_string())], Vec::new()))?;
        let mut rejected: Vec<Rejected> =
            found.unreadable.iter().map(|(path, message)| unreadable(path, message)).collect();
        if found.files.is_empty() {
            let message = "no file in it has a name that ends in .toml or .json";
            rejected.push(unreadable(&root, message));
        }
        let mut files = Files::new();
        let mut fingerprints = HashMap::with_capacity(found.files.len());
        for path in found.files.keys() {
            let path: Arc<Path> = path.as_path().into();
            match read_file(&path, config.max_bytes, None) {
                Ok((fingerprint, file)) => {
                    fingerprints.insert(path.clone(), fingerprint);
                    files.insert(path, file);
                }
                Err(Failed::Moving) => rejected.push(unreadable(&path, "was written while it was read")),
                Err(Failed::Read(message)) => rejected.push(unreadable(&path, &message)),
            }
        }
        rejected.extend(files.values().flat_map(|file| file.rejected.iter().cloned()));
        let mut named = Named::default();
        let merged = merge(&files, Before { files: &Files::new(), left_out: &[] }, None, &root, &mut named);
        let mesh = merged.mesh.cloned();
        let mut compiler = R::Compiler::new(&config);
        let outcome = compiler.compile(Input {
            merged: &merged,
            mesh: mesh.as_ref(),
            root: &root,
            first: true,
            references: &mut named,
            now,
        });
        rejected.extend(merged.rejected.iter().cloned());
        rejected.extend(outcome.rejected);
        let mut warnings = merged.warnings;
        warnings.extend(outcome.warnings);
        let mesh = match mesh {
            Some(mesh) if rejected.is_empty() => mesh,
            _ => {
                let problems = rejected.into_iter().map(|rejected| rejected.problem).collect();
                return Err(refuse(problems, warnings));
            }
        };
        let snapshot = Arc::new(compiler.snapshot(Head {
            generation: 1,
            mesh: mesh.identity.clone(),
            rejected,
            warnings,
            files: statuses(&files),
            own: OwnOptions::default(),
            compiled: outcome.compiled,
        }));
        Ok(Self {
            root,
            config,
            files,
            fingerprints,
            mesh,
            named,
            scan: found,
            left_out: Vec::new(),
            compiler,
            snapshot,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn config(&self) -> &SourceConfig<R::Options> {
        &self.config
    }

    pub(super) fn snapshot(&self) -> &Arc<R::Snapshot> {
        &self.snapshot
    }

    /// Folders of the catalog, and all paths that have to be watched by the ways they are reached.
    pub(super) fn watched(&self) -> (&[PathBuf], impl Iterator<Item = &Path>) {
        let links = self.scan.links.iter().map(PathBuf::as_path);
        (&self.scan.folders, links.chain(self.named.paths()))
    }

    /// Paths that are not what they were when they were read, of the catalog and of what it names.
    pub(super) fn changed(&self) -> Vec<PathBuf> {
        let mut changed = self.named.changed();
        match scan(&self.root, self.config.max_files, self.config.max_bytes) {
            Ok(found) => {
                changed.extend(self.differs(&found));
                // Folders that were not there, or cannot be read any more.
                if found.folders != self.scan.folders || found.unreadable != self.scan.unreadable {
                    changed.push(self.root.clone());
                }
            }
            Err(_) => changed.push(self.root.clone()),
        }
        changed
    }

    fn differs(&self, found: &Scan) -> Vec<PathBuf> {
        let new = found
            .files
            .iter()
            .filter(|(path, now)| self.fingerprints.get(path.as_path()) != Some(*now))
            .map(|(path, _)| path.clone());
        let gone = self.files.keys().map(|path| &**path).filter(|path| {
            !found.files.contains_key(*path)
                && !found.unreadable.iter().any(|(folder, _)| path.starts_with(folder))
        });
        new.chain(gone.map(Path::to_owned)).collect()
    }

    /// How long it takes until time alone changes something.
    pub(super) fn until_change(&self, now: SystemTime) -> Duration {
        let at = self.compiler.next_change();
        // A clock that jumps is noticed within the hour; one that stands still is not asked in a loop.
        let until = at.map_or(MAX_WAIT, |at| at.duration_since(now).unwrap_or_default());
        until.clamp(MIN_WAIT, MAX_WAIT)
    }

    /// Takes over what is ready to be read. What has changed and is not ready is handed to `settle`.
    pub(super) fn step(
        &mut self,
        ready: &Ready,
        settle: &mut Settle,
        now: Instant,
        wall_clock: SystemTime,
    ) -> Step<R::Snapshot> {
        let mut problems = Vec::new();
        let before = self.files.clone();
        let mut files_read = 0;
        match scan(&self.root, self.config.max_files, self.config.max_bytes) {
            Err(error) => problems.push(self.root_problem(&error)),
            Ok(found) => {
                let changed = if ready.all {
                    found.files.keys().cloned().chain(self.gone(&found)).collect()
                } else {
                    self.differs(&found)
                };
                for path in changed {
                    let ways = ways(&path);
                    let now_elsewhere = self.moved_to(&path, &found, ready);
                    if !ready.all && !now_elsewhere && (settle.waits(&ways) || !ready.holds(&ways)) {
                        // Nobody said that it is whole: it has to be quiet first.
                        if !settle.waits(&ways) {
                            settle.written(ways.into_iter().next_back().unwrap_or(path), now);
                        }
                        continue;
                    }
                    files_read += 1;
                    if found.files.contains_key(&path) {
                        self.reread(&path, settle, now);
                    } else {
                        self.files.remove(path.as_path());
                        self.fingerprints.remove(path.as_path());
                    }
                }
                problems.extend(found.unreadable.iter().map(|(path, message)| unreadable(path, message)));
                self.scan = found;
            }
        }
        self.named.moving =
            self.named.paths().filter(|path| settle.waits(&ways(path))).map(Path::to_owned).collect();
        self.publish(&before, problems, files_read, wall_clock)
    }

    /// Whether a file that is gone is there under another name, which is read in this step: nothing
    /// is to be waited for, and both names at once would be a duplicate.
    fn moved_to(&self, path: &Path, found: &Scan, ready: &Ready) -> bool {
        let Some(was) = self.fingerprints.get(path).filter(|_| !found.files.contains_key(path)) else {
            return false;
        };
        found.files.iter().any(|(other, now)| now == was && ready.holds(&ways(other)))
    }

    fn gone(&self, found: &Scan) -> Vec<PathBuf> {
        self.differs(found).into_iter().filter(|path| !found.files.contains_key(path)).collect()
    }

    fn root_problem(&self, error: &ScanError) -> Rejected {
        unreadable(&self.root, &format!("{error}; the catalog stays as it was read last"))
    }

    fn reread(&mut self, path: &Path, settle: &mut Settle, now: Instant) {
        let previous = self.files.get(path);
        let shared: Arc<Path> = previous.map_or_else(|| path.into(), |file| file.path.clone());
        let file = match read_file(&shared, self.config.max_bytes, previous) {
            Ok((fingerprint, file)) => {
                self.fingerprints.insert(shared.clone(), fingerprint);
                file
            }
            Err(Failed::Moving) => {
                settle.written(ways(path).into_iter().next_back().unwrap_or(path.to_owned()), now);
                return;
            }
            Err(Failed::Read(message)) => {
                // Without a fingerprint it is tried again whenever something is looked at.
                self.fingerprints.remove(&shared);
                let mut file = previous.cloned().unwrap_or_else(|| CatalogFile::empty(shared.clone()));
                file.rejected = vec![unreadable(path, &message)];
                file
            }
        };
        self.files.insert(shared, file);
    }

    /// Merges and compiles what there is now.
    fn publish(
        &mut self,
        before: &Files,
        problems: Vec<Rejected>,
        files_read: usize,
        now: SystemTime,
    ) -> Step<R::Snapshot> {
        self.named.start();
        let mut rejected = problems;
        rejected.extend(self.files.values().flat_map(|file| file.rejected.iter().cloned()));
        let before = Before { files: before, left_out: &self.left_out };
        let merged = merge(&self.files, before, Some(&self.mesh), &self.root, &mut self.named);
        let mesh = merged.mesh.unwrap_or(&self.mesh).clone();
        let outcome = self.compiler.compile(Input {
            merged: &merged,
            mesh: Some(&mesh),
            root: &self.root,
            first: false,
            references: &mut self.named,
            now,
        });
        rejected.extend(merged.rejected.iter().cloned());
        rejected.extend(outcome.rejected);
        let not_shown = rejected.len().saturating_sub(MAX_SHOWN);
        rejected.truncate(MAX_SHOWN);
        if not_shown > 0 {
            rejected.push(unreadable(&self.root, &format!("{not_shown} more problems")));
        }
        let mut warnings = merged.warnings;
        warnings.extend(outcome.warnings);
        warnings.truncate(MAX_SHOWN);
        self.left_out = merged.rejected;
        self.named.finish();
        self.mesh = mesh;
        let old = &self.snapshot;
        let files = statuses(&self.files);
        let identity = outcome.identity.as_ref().unwrap_or(&self.mesh.identity);
        let same = !outcome.changed
            && identity == old.mesh()
            && rejected == old.rejected()
            && warnings == old.warnings()
            && files == old.files();
        if same {
            return Step { snapshot: None, ok: true };
        }
        let snapshot = Arc::new(self.compiler.snapshot(Head {
            generation: old.generation() + 1,
            mesh: identity.clone(),
            rejected,
            warnings,
            files,
            own: OwnOptions::default(),
            compiled: outcome.compiled,
        }));
        let ok = report::change(&**old, &*snapshot, files_read);
        self.snapshot = snapshot.clone();
        Step { snapshot: Some(snapshot), ok }
    }
}

enum Failed {
    Moving,
    Read(String),
}

fn read_file(
    path: &Arc<Path>,
    limit: u64,
    previous: Option<&CatalogFile>,
) -> Result<(Fingerprint, CatalogFile), Failed> {
    let format = Format::of(path).ok_or_else(|| Failed::Read(ScanError::Format.to_string()))?;
    match read(path, limit) {
        Ok(Contents::Whole(fingerprint, bytes)) => {
            let parsed = document::parse(path, format, &bytes);
            Ok((fingerprint, keep_last_good(path.clone(), parsed, previous)))
        }
        Ok(Contents::Moving) => Err(Failed::Moving),
        Err(error) => Err(Failed::Read(format!("cannot be read: {error}"))),
    }
}

fn statuses(files: &Files) -> Vec<FileStatus> {
    files
        .values()
        .map(|file| FileStatus {
            path: PathBuf::from(&*file.path),
            documents: file.documents.count(),
            problems: file.rejected.len(),
        })
        .collect()
}

fn unreadable(path: &Path, message: &str) -> Rejected {
    Rejected { document: String::new(), kept: true, problem: of_path(path, message) }
}

fn of_path(path: &Path, message: &str) -> Problem {
    Problem {
        file: path.to_owned(),
        line: None,
        path: String::new(),
        message: message.to_owned(),
        hint: None,
    }
}
