//! What a terminating gateway knows: the services it stands for, their certificates and rules, and the
//! instances behind each.

mod assemble;
mod compile;
mod config;
mod contents;
mod files;
mod input;
mod leaf;
mod options;
mod origination;
mod service;
mod slot;
mod table;
mod trouble;
mod trust;

pub use crate::compile::NameMode;
use crate::{problem::Problem, snapshot::Snapshot};
pub use crate::{
    snapshot::{FileStatus, MeshIdentity, OwnOptions, Rejected, RemoteKeepalive},
    target::{Host, Rule, Target, TargetEndpoint},
};
pub(crate) use assemble::{Notes, TerminatingAssembler};
pub(crate) use config::{Config, KINDS};
pub use files::TerminatingRole;
pub(crate) use input::{LeafInput, LinkFiles, LinkRow, NamedFile};
pub use mesh_endpoints::SetPolicy;
use mtls::{MeshTls, TrustBundle};
pub use options::{ServiceOptions, TerminatingOptions};
pub use service::{LeafState, LinkKind, LinkedService, NotReady, Origination, ServiceKey};
use std::sync::Arc;
pub use table::{Linked, LinkedName, Lookup, SniTable};
pub(crate) use trouble::{About, Trouble, Weight};

/// Everything a terminating gateway knows at one moment; immutable, shared by all workers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TerminatingSnapshot {
    /// Counts up from 1; each published snapshot has its own.
    pub generation: u64,
    /// Who and where this gateway is.
    pub mesh: MeshIdentity,
    /// The names that clients may ask for. Also those of services that are not ready.
    pub table: SniTable,
    /// All linked services, sorted by namespace and name. A service that did not change is the same `Arc`
    /// as in the snapshot before; that its instances came or went does not change it.
    pub services: Arc<[Arc<LinkedService>]>,
    /// What is behind the names, sorted by id; the id is the name. Equal ones of two generations are the
    /// same `Arc`.
    pub targets: Arc<[Arc<Target>]>,
    /// The roots of the mesh's trust domain. `None` until they are known; then no service is ready.
    pub roots: Option<Arc<TrustBundle>>,
    /// TLS versions and cipher suites of the mesh entry.
    pub tls: Arc<MeshTls>,
    /// What holds where no intention decides.
    pub default_policy: intentions::DefaultPolicy,
    /// What is not in use because its newest version is wrong.
    pub rejected: Vec<Rejected>,
    /// What is in use but doubtful.
    pub warnings: Vec<Problem>,
    /// The files the catalog was read from; none where it comes from Consul.
    pub files: Vec<FileStatus>,
    /// What the gateway's own registration says.
    pub own: OwnOptions,
    /// Services compiled anew for this generation: itself, its certificate, or a target of it.
    pub compiled: u64,
}

impl TerminatingSnapshot {
    /// What is known before anything was read: generation 0, no service.
    pub(crate) fn nothing() -> Self {
        Self {
            generation: 0,
            mesh: MeshIdentity::nobody(),
            table: SniTable::default(),
            services: Arc::default(),
            targets: Arc::default(),
            roots: None,
            tls: Arc::default(),
            default_policy: intentions::DefaultPolicy::Deny,
            rejected: Vec::new(),
            warnings: Vec::new(),
            files: Vec::new(),
            own: OwnOptions::default(),
            compiled: 0,
        }
    }

    /// What a name leads to. The name must be lower-cased already; one that is not matches nothing.
    #[must_use]
    pub fn lookup(&self, sni_lowercase: &str) -> Lookup<'_> {
        self.table.lookup(sni_lowercase, &self.services, &self.targets)
    }

    /// A linked service by its name, and its namespace where that is not the gateway's own.
    #[must_use]
    pub fn service(&self, namespace: Option<&str>, name: &str) -> Option<&Arc<LinkedService>> {
        let namespace = namespace.unwrap_or(&self.mesh.namespace);
        let order = |service: &Arc<LinkedService>| {
            (&*service.key.namespace, &*service.key.name).cmp(&(namespace, name))
        };
        let index = self.services.binary_search_by(order).ok()?;
        self.services.get(index)
    }
}

impl Snapshot for TerminatingSnapshot {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn mesh(&self) -> &MeshIdentity {
        &self.mesh
    }

    fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    fn files(&self) -> &[FileStatus] {
        &self.files
    }

    fn own(&self) -> &OwnOptions {
        &self.own
    }

    fn compiled(&self) -> u64 {
        self.compiled
    }
}
