//! A static catalog: files read, checked, watched and published as snapshots.
//!
//! The only part of this crate that touches the system. What it decides: which files belong to a
//! catalog (`scan`), when a changed file may be read (`settle`), what has to be watched to notice
//! (`watch`), and when there is something to publish (`state`).

mod fingerprint;
mod references;
mod report;
mod run;
mod scan;
mod settle;
mod state;
mod watch;

use crate::{
    mesh::MeshRole,
    problem::Problems,
    publish::{Publisher, Reader},
    role::Role,
};
use mesh_endpoints::SetPolicy;
pub(crate) use references::Named;
use report::Counters;
use state::State;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::Notify;

/// How a catalog is read; `O` = what its role has to be told besides, see [`Role::Options`].
#[derive(Clone, Debug)]
pub struct SourceConfig<O = ()> {
    /// Service name of this gateway: its own entries have this name.
    pub service: String,
    /// A file that was written in place is read after this long without a further write, but at the
    /// latest after ten times as long. Default 50 ms.
    pub settle: Duration,
    /// How often the files are looked at even if nothing was reported, for file systems that report
    /// nothing. Default 30 s.
    pub poll: Duration,
    /// Most files of a catalog. Default 20,000.
    pub max_files: usize,
    /// Most bytes of all files of a catalog together. Default 256 MiB.
    pub max_bytes: u64,
    /// What every set of endpoints starts from: limits where no document has any, ejection, balancer.
    pub policy: SetPolicy,
    /// Settings of the role.
    pub role: O,
}

impl<O: Default> Default for SourceConfig<O> {
    fn default() -> Self {
        Self {
            service: "mesh-gateway".to_owned(),
            settle: Duration::from_millis(50),
            poll: Duration::from_secs(30),
            max_files: 20_000,
            max_bytes: 256 << 20,
            policy: SetPolicy::default(),
            role: O::default(),
        }
    }
}

/// A catalog of files; [`FileSource::load`] reads it, [`FileSource::run`] follows its changes.
#[derive(Debug)]
pub struct FileSource<R: Role = MeshRole> {
    state: State<R>,
    publisher: Publisher<R::Snapshot>,
    shared: Arc<Shared>,
}

/// A catalog that was read and is valid.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded<R: Role = MeshRole> {
    /// Follows the changes.
    pub source: FileSource<R>,
    /// The snapshots; the first is there already.
    pub reader: Reader<R::Snapshot>,
}

/// Reaches a source that is running elsewhere.
#[derive(Clone, Debug)]
pub struct SourceHandle {
    shared: Arc<Shared>,
}

/// Figures of a source, for metrics; all since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceStatus {
    /// Generation of the snapshot in use.
    pub generation: u64,
    /// Changes of which everything is in use.
    pub reloads_ok: u64,
    /// Changes of which something was rejected.
    pub reloads_failed: u64,
    /// Targets compiled anew.
    pub compiled_total: u64,
    /// Problems that keep something out of use now.
    pub rejected: u64,
}

#[derive(Debug, Default)]
struct Shared {
    reload: Notify,
    counters: Counters,
}

impl<R: Role> FileSource<R> {
    /// Reads and checks a whole catalog: a file, or a folder with everything below it whose name ends
    /// in `.toml` or `.json` and does not start with a dot.
    ///
    /// # Errors
    ///
    /// All problems of all files at once. Whoever wrote the files must correct them.
    pub fn load(path: &Path, config: &SourceConfig<R::Options>) -> Result<Loaded<R>, Problems> {
        let state = State::<R>::load(path.to_owned(), config.clone(), SystemTime::now())?;
        let snapshot = state.snapshot().clone();
        let shared = Arc::new(Shared::default());
        shared.counters.started(&*snapshot);
        let (publisher, reader) = Publisher::new(snapshot);
        Ok(Loaded { source: Self { state, publisher, shared }, reader })
    }

    /// What reaches this source while it runs: asks for a reload, reads its figures.
    #[must_use]
    pub fn handle(&self) -> SourceHandle {
        SourceHandle { shared: self.shared.clone() }
    }

    /// The catalog's path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.state.root()
    }
}

impl SourceHandle {
    /// Asks the running source to read all files again, changed or not, without waiting for them to
    /// settle.
    pub fn reload(&self) {
        self.shared.reload.notify_one();
    }

    /// The figures now.
    #[must_use]
    pub fn status(&self) -> SourceStatus {
        self.shared.counters.status()
    }
}
