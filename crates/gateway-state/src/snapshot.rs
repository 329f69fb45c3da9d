//! What the snapshots of all roles have in common.

use crate::{problem::Problem, target::Target};
use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// Everything a gateway of some role knows at one moment; immutable, shared by all workers.
///
/// The fields that all roles have, for code that does not care which role it runs. What a role decides
/// by (its name table, its services) is on the snapshot's own type.
pub trait Snapshot: fmt::Debug + Send + Sync + 'static {
    /// Counts up from 1; each published snapshot has its own. 0: nothing is known yet.
    fn generation(&self) -> u64;
    /// Who and where this gateway is.
    fn mesh(&self) -> &MeshIdentity;
    /// Everything that can be dialled, sorted by id; equal targets of two generations are the same `Arc`.
    fn targets(&self) -> &[Arc<Target>];
    /// What is not in use because its newest version is wrong.
    fn rejected(&self) -> &[Rejected];
    /// What is in use but doubtful.
    fn warnings(&self) -> &[Problem];
    /// The files the catalog was read from; none where it comes from Consul.
    fn files(&self) -> &[FileStatus];
    /// What the gateway's own registration says.
    fn own(&self) -> &OwnOptions;
    /// What was compiled anew for this generation; the rest is shared with the one before.
    fn compiled(&self) -> u64;

    /// Where the target of exactly this id stands in [`targets`](Self::targets).
    fn position(&self, id: &str) -> Option<usize> {
        self.targets().binary_search_by(|target| (*target.id).cmp(id)).ok()
    }
}

/// What is put into a snapshot besides what its role has compiled.
#[derive(Debug)]
pub struct Head {
    pub(crate) generation: u64,
    pub(crate) mesh: MeshIdentity,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) files: Vec<FileStatus>,
    pub(crate) own: OwnOptions,
    pub(crate) compiled: u64,
}

/// Who and where this gateway is, from the catalog's `[Mesh]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshIdentity {
    /// The datacenter whose services this gateway serves.
    pub datacenter: Arc<str>,
    /// The trust domain of the mesh, `<uuid>.consul`.
    pub trust_domain: Arc<str>,
    /// The admin partition, `default` in the community edition.
    pub partition: Arc<str>,
    /// The namespace of what names none, `default` in the community edition.
    pub namespace: Arc<str>,
    /// The DNS domain without its trailing dot, `consul` if not set.
    pub domain: Arc<str>,
}

impl MeshIdentity {
    /// What stands for it where a catalog has no `[Mesh]`.
    pub(crate) fn nobody() -> Self {
        let nothing: Arc<str> = "".into();
        Self {
            datacenter: nothing.clone(),
            trust_domain: nothing.clone(),
            partition: nothing.clone(),
            namespace: nothing.clone(),
            domain: nothing,
        }
    }
}

/// A document, or a whole file, whose new version is not in use; its last good version is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rejected {
    /// What was rejected: `service-resolver billing`, `Route *.example.com`, or empty for a file.
    pub document: String,
    /// Whether an older version of it is still in use.
    pub kept: bool,
    /// What is wrong with it.
    pub problem: Problem,
}

/// One file of the catalog as it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Its path, below the catalog's path.
    pub path: PathBuf,
    /// Documents of it that are in use.
    pub documents: usize,
    /// Problems of its newest version; 0 when all of it is in use.
    pub problems: usize,
}

/// What the registration of this gateway in Consul asks of it. All `None` where it runs from files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnOptions {
    /// Where to listen, by name; `None` = where the settings say.
    pub listeners: Option<Vec<(Arc<str>, SocketAddr)>>,
    /// Addresses by which others know it: dialling one of them would be a loop.
    pub advertised: Vec<SocketAddr>,
    /// `connect_timeout_ms`: time for connecting where no resolver says otherwise.
    pub connect_timeout: Option<Duration>,
    /// Keepalive towards gateways of other datacenters.
    pub remote_keepalive: Option<RemoteKeepalive>,
    /// `max_inbound_connections`.
    pub max_connections: Option<u32>,
}

/// `envoy_gateway_remote_tcp_*`: silence until the first probe, time between probes, probes without an
/// answer until the connection is dead. `None` = the system's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named like Consul's keys, explained above")]
pub struct RemoteKeepalive {
    pub time: Option<Duration>,
    pub interval: Option<Duration>,
    pub probes: Option<u32>,
}
