//! A catalog folder for one test, and waiting for what becomes of it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its help ends")]

use gateway_state::{
    FileSource, Loaded, Problems, Reader, Role, Snapshot, SourceConfig, SourceHandle,
    mesh::{MeshRole, MeshSnapshot, MeshTable},
};
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;

pub(crate) const TD: &str = "6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul";

pub(crate) const MESH: &str = "[Mesh]\nDatacenter = \"fra1\"\n\
                        TrustDomain = \"6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul\"\n";

/// How long a test waits for something that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Catalog {
    folder: TempDir,
}

impl Catalog {
    /// A folder with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let catalog = Self { folder: TempDir::new().expect("a folder") };
        for (name, text) in files {
            catalog.write(name, text);
        }
        catalog
    }

    /// One file with `[Mesh]` and this.
    pub(crate) fn of(text: &str) -> Self {
        Self::new(&[("mesh.toml", MESH), ("rest.toml", text)])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.folder.path().join("catalog") } else { self.path("").join(name) }
    }

    /// Writes in place.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(path, text).expect("a file");
    }

    /// Writes elsewhere and renames into place.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.path(name)).expect("a rename");
    }

    pub(crate) fn load(&self) -> Result<Arc<MeshSnapshot>, Problems> {
        FileSource::<MeshRole>::load(&self.path(""), &config()).map(|loaded| loaded.reader.current())
    }

    pub(crate) fn table(&self) -> MeshTable {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).table.clone()
    }

    /// All problems, one a line, with paths from the catalog's folder.
    pub(crate) fn problems(&self) -> String {
        let problems = self.load().expect_err("a problem");
        problems.to_string().replace(&format!("{}/", self.path("").display()), "")
    }

    /// Starts to follow the folder.
    pub(crate) fn follow(&self, config: &SourceConfig) -> Followed {
        self.follow_as::<MeshRole>(config)
    }

    /// As a gateway of any role.
    pub(crate) fn follow_as<R: Role>(&self, config: &SourceConfig<R::Options>) -> Followed<R::Snapshot>
    where
        FileSource<R>: Send,
    {
        let loaded =
            FileSource::<R>::load(&self.path(""), config).unwrap_or_else(|problems| panic!("{problems}"));
        let Loaded { source, reader, .. } = loaded;
        let handle = source.handle();
        let task = tokio::spawn(source.run(std::future::pending()));
        Followed { reader, handle, task }
    }
}

pub(crate) struct Followed<S = MeshSnapshot> {
    pub(crate) reader: Reader<S>,
    pub(crate) handle: SourceHandle,
    task: tokio::task::JoinHandle<()>,
}

impl<S: Snapshot> Followed<S> {
    /// Waits for the first snapshot for which this holds; all before it are handed to it, too.
    pub(crate) async fn until(&mut self, mut holds: impl FnMut(&S) -> bool) -> Arc<S> {
        let last = self.reader.clone();
        let wait = async {
            let mut snapshot = self.reader.current();
            while !holds(&snapshot) {
                snapshot = self.reader.changed().await.expect("the source runs");
            }
            snapshot
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(snapshot) => snapshot,
            Err(_) => panic!("not seen; last: {:#?}", last.current()),
        }
    }
}

impl<S> Drop for Followed<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// As in production, but the poll is out of the way.
pub(crate) fn config() -> SourceConfig {
    SourceConfig { poll: Duration::from_secs(3600), ..SourceConfig::default() }
}

/// `<name>.default.fra1.internal.<trust domain>`
pub(crate) fn local(name: &str) -> String {
    format!("{name}.default.fra1.internal.{TD}")
}

/// What is behind a name, in one line: `10.0.0.1:1 w5, 10.0.0.2:1 w1 down`.
pub(crate) fn behind(table: &MeshTable, name: &str) -> Option<String> {
    let target = table.lookup(name)?.target;
    let endpoints = target.endpoints.iter().map(|endpoint| {
        let down = if endpoint.healthy { "" } else { " down" };
        format!("{endpoint} w{}{down}", endpoint.weight)
    });
    Some(endpoints.collect::<Vec<_>>().join(", "))
}

/// A sidecar.
pub(crate) fn sidecar(service: &str, address: &str) -> String {
    let (host, port) = address.rsplit_once(':').expect("a port");
    format!(
        "[[Instance]]\nService = \"{service}\"\nKind = \"connect-proxy\"\nAddress = \"{host}\"\nPort = {port}\n"
    )
}

/// The whole table as text, to compare two.
pub(crate) fn printed(snapshot: &MeshSnapshot) -> String {
    let targets = snapshot.table.targets().iter().map(|target| format!("{target:#?}\n"));
    format!("{:#?}\n{}", snapshot.mesh, targets.collect::<String>())
}
