//! Where the process gets its snapshots from: files, or a Consul.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use catalog_client::Client;
use gateway_runtime::listener::Bound;
use gateway_state::consul::{ConsulHandle, ConsulSource};
use gateway_state::{FileSource, Loaded, Reader, SourceHandle, SourceStatus};

use super::Failure;
use crate::catalog::source_config;
use crate::consul;
use crate::role::{AppRole, SnapshotOf};
use crate::settings::{OwnService, Settings, Source};

/// What of a source can be had without a socket.
pub(super) enum Opened<R: AppRole> {
    Files(Box<Loaded<R::State>>),
    Consul(Client),
}

/// A source that is not running yet.
pub(super) struct Feed<R: AppRole> {
    pub(super) reader: Reader<SnapshotOf<R>>,
    pub(super) handle: FeedHandle,
    source: Waiting<R>,
}

enum Waiting<R: AppRole> {
    Files(Box<FileSource<R::State>>),
    Consul(Box<ConsulSource<R::State>>),
}

/// Reaches the source while it runs.
#[derive(Clone, Debug)]
pub(crate) enum FeedHandle {
    Files(SourceHandle),
    Consul(Arc<ConsulHandle>),
}

impl<R: AppRole> Opened<R> {
    /// Reads the files of the settings: all of the catalog, or what the client of Consul needs.
    pub(super) fn of(settings: &Settings) -> Result<Self, Failure> {
        match &settings.source {
            Source::Catalog(path) => FileSource::<R::State>::load(path, &source_config::<R>(settings))
                .map(|loaded| Self::Files(Box::new(loaded)))
                .map_err(|problems| {
                    Failure::Files(problems.problems.iter().map(ToString::to_string).collect())
                }),
            Source::Consul(settings_of_consul) => consul::client(settings, settings_of_consul)
                .map(Self::Consul)
                .map_err(|error| Failure::Files(vec![error.to_string()])),
        }
    }

    /// Binds what is known to be listened on; the registration made elsewhere may say it later.
    pub(super) fn bind(&self, settings: &Settings) -> Result<Vec<(SocketAddr, Bound)>, Failure> {
        let registered_elsewhere =
            settings.consul().is_some_and(|consul| !matches!(consul.own, OwnService::Register(_)));
        if registered_elsewhere && settings.listens_by_default() {
            return Ok(Vec::new());
        }
        bind(&settings.listen)
    }

    /// The source. A registration is made with the ports that were bound, and may ask for more of them.
    pub(super) fn source(
        self,
        settings: &Settings,
        bound: &mut Vec<(SocketAddr, Bound)>,
    ) -> Result<Feed<R>, Failure> {
        match (self, settings.consul()) {
            (Self::Files(loaded), _) => {
                let Loaded { source, reader, .. } = *loaded;
                let handle = FeedHandle::Files(source.handle());
                Ok(Feed { reader, handle, source: Waiting::Files(Box::new(source)) })
            }
            (Self::Consul(client), Some(of_consul)) => {
                let registration = match &of_consul.own {
                    OwnService::Register(register) => {
                        let ports: BTreeMap<_, _> =
                            bound.iter().map(|(asked, bound)| (*asked, bound.local_addr())).collect();
                        let registration = consul::registration(settings, register, &ports)
                            .map_err(|error| Failure::Files(vec![error]))?;
                        let have: Vec<_> = ports.into_values().collect();
                        let mut more = consul::listeners(&registration);
                        more.retain(|(_, address)| !have.contains(address));
                        bound.extend(bind(&more)?);
                        Some(registration)
                    }
                    _ => None,
                };
                let (source, reader, handle) = consul::source::<R>(settings, of_consul, client, registration);
                let (handle, source) =
                    (FeedHandle::Consul(Arc::new(handle)), Waiting::Consul(Box::new(source)));
                Ok(Feed { reader, handle, source })
            }
            (Self::Consul(_), None) => Err(Failure::Internal("a client without settings for it".to_owned())),
        }
    }
}

/// Addresses as they were asked for, and what was bound for them.
fn bind(wanted: &[(String, SocketAddr)]) -> Result<Vec<(SocketAddr, Bound)>, Failure> {
    let bind = |(name, address): &(String, SocketAddr)| {
        Bound::bind(name, *address).map(|bound| (*address, bound)).map_err(Failure::from)
    };
    wanted.iter().map(bind).collect()
}

impl<R: AppRole> Feed<R> {
    /// Follows the source on a thread of its own: a file system that hangs, or a thousand answers at
    /// once, must not keep the control thread from signals and pages. It ends with the process.
    pub(super) fn follow(self) -> Result<(), Failure> {
        let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(async {
                match self.source {
                    Waiting::Files(source) => source.run(std::future::pending()).await,
                    Waiting::Consul(source) => source.run().await,
                }
            }),
            Err(error) => tracing::error!(%error, "the catalog is not followed"),
        };
        let spawned = std::thread::Builder::new().name("catalog".to_owned()).spawn(run);
        spawned.map(drop).map_err(|error| Failure::Internal(format!("cannot follow the catalog: {error}")))
    }
}

impl FeedHandle {
    /// What has to be true before the process is ready.
    pub(super) fn conditions(&self) -> Vec<&'static str> {
        match self {
            Self::Files(_) => vec!["listeners"],
            Self::Consul(_) => vec!["consul", "listeners"],
        }
    }

    pub(crate) fn reload(&self) {
        match self {
            Self::Files(handle) => handle.reload(),
            Self::Consul(handle) => handle.reload(),
        }
    }

    pub(crate) fn status(&self) -> SourceStatus {
        match self {
            Self::Files(handle) => handle.status(),
            Self::Consul(handle) => handle.status(),
        }
    }

    pub(crate) fn consul(&self) -> Option<&Arc<ConsulHandle>> {
        match self {
            Self::Files(_) => None,
            Self::Consul(handle) => Some(handle),
        }
    }
}
