//! What an operator may choose, from four places: flag, environment, file, default, in this order.
//! In the environment `GATEWAY_` variables come before those of Consul's own commands.
//!
//! One table (`table`) has every key with its type, default, range and meaning. The flags of the
//! command line, the `GATEWAY_` variables, the keys of the file and the reference in the
//! documentation are all made from it, so a setting cannot exist in one place and not in another.
//! All problems are found before any is reported.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod address;
mod checks;
mod consul;
mod cross;
mod draft;
mod environment;
mod file;
pub mod format;
mod keys;
mod kind;
mod origin;
mod own;
mod problem;
mod reference;
mod sources;
mod table;
mod terminating;
#[cfg(test)]
mod tests;

pub use consul::{ConsulSettings, ConsulTuning, OwnService, Register, Source};
pub use gateway_runtime::access_log::AccessLogMode;
pub use gateway_runtime::telemetry::LogFormat;
pub use mesh_endpoints::Ejection;
pub use origin::{Origin, Shown};
pub use problem::{SettingProblem, SettingsError};
pub use reference::settings_reference;
pub use terminating::{Reauthorize, ServiceSettings, TerminatingSettings};

use draft::Draft;
pub(crate) use keys::{Group, Key};

/// Port of a mesh gateway where none is given, as in Consul.
pub const DEFAULT_PORT: u16 = 8443;

/// Which gateway a program is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// `mesh-gw`: passes mTLS on by its server name.
    #[default]
    Mesh,
    /// `terminating-gw`: stands in the mesh for services outside of it.
    Terminating,
}

impl Role {
    /// Name of the program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Mesh => "mesh-gw",
            Self::Terminating => "terminating-gw",
        }
    }

    /// Its word in `consul connect envoy -gateway=`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Terminating => "terminating",
        }
    }

    /// Name of the service that it is in the catalog, unless the settings say otherwise.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Mesh => "mesh-gateway",
            Self::Terminating => "terminating-gateway",
        }
    }

    /// Why Consul's gRPC port is of no use to it.
    pub(crate) fn no_grpc(self) -> &'static str {
        match self {
            Self::Mesh => "a mesh gateway needs no certificate and no configuration from Consul's gRPC port",
            Self::Terminating => "certificates and configuration come over Consul's HTTP API",
        }
    }

    /// One sentence for the help text.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Mesh => {
                "A mesh gateway: passes mTLS connections on by their server name, without ending them."
            }
            Self::Terminating => {
                "A terminating gateway: accepts mTLS for services outside the mesh, judges callers by intentions, and \
                 connects to the services in clear or by TLS."
            }
        }
    }
}

/// The settings of one process, complete and valid.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// Which gateway this is.
    pub role: Role,
    /// Name of the gateway's own service in the catalog.
    pub service: String,
    /// Where the services come from.
    pub source: Source,
    /// Name and address of each listener, never empty, names and addresses unique.
    pub listen: Vec<(String, SocketAddr)>,
    /// `HOST:PORT` by which other datacenters reach this gateway. An endpoint with this address is
    /// the gateway itself.
    pub wan_address: Option<String>,
    /// Address of the admin endpoint.
    pub admin_bind: SocketAddr,
    /// File with the token for what changes state on the admin endpoint; without it, nothing does.
    pub admin_token_file: Option<PathBuf>,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: String,
    /// How log lines and access records are written.
    pub log_format: LogFormat,
    /// Which connections get an access record.
    pub access_log: AccessLogMode,
    /// Where access records go; standard error if not set.
    pub access_log_file: Option<PathBuf>,
    /// Time that open connections get when the process is told to end.
    pub drain_time: Duration,
    /// Threads that carry traffic, at least 1.
    pub workers: usize,
    /// Percent of healthy endpoints below which health is ignored; 0 = never.
    pub panic_threshold: u8,
    /// Deadlines and periods.
    pub timers: Timers,
    /// Bounds.
    pub limits: Limits,
    /// When an endpoint that fails is left out.
    pub ejection: Ejection,
    /// What only a terminating gateway looks at.
    pub terminating: TerminatingSettings,
    /// What the operator should know once, for the log.
    pub notes: Vec<String>,
    /// What the operator should be warned of at every start.
    pub warnings: Vec<String>,
    shown: Vec<Shown>,
}

/// Deadlines and periods of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timers {
    /// For a whole ClientHello, from accepting on.
    pub hello: Duration,
    /// For connecting to an endpoint, all attempts together, unless the service's resolver says
    /// otherwise.
    pub connect: Duration,
    /// Without a byte in either direction; zero = no limit.
    pub idle: Duration,
    /// From accepting on; zero = no limit.
    pub max_age: Duration,
    /// How often idle and aged connections are looked for.
    pub sweep: Duration,
    /// Quiet time after a change of the catalog before it is read.
    pub catalog_settle: Duration,
    /// How often the catalog is looked at without being told of a change.
    pub catalog_poll: Duration,
    /// How often the names of endpoints are resolved again.
    pub dns_refresh: Duration,
    /// For one look-up of a name.
    pub dns_lookup: Duration,
    /// After a look-up that failed; doubles.
    pub dns_retry: Duration,
    /// Longest such pause.
    pub dns_retry_max: Duration,
    /// First pause of accepting when descriptors or memory are out.
    pub accept_backoff: Duration,
    /// How long the last FIN of a connection may wait for company.
    pub closing_tick: Duration,
    /// Silence after which a connection to a remote gateway is probed; zero = never.
    pub remote_keepalive: Duration,
    /// Time between such probes.
    pub remote_keepalive_interval: Duration,
    /// For the head of a request to the admin endpoint, and for its answer.
    pub admin_request: Duration,
    /// Longest life of a connection to the admin endpoint.
    pub admin_connection: Duration,
    /// A line of the same kind and cause is logged once in this time.
    pub log_quiet: Duration,
    /// At the end: longest wait for each part of the process.
    pub last_words: Duration,
}

/// Bounds of a process. Each is a number of things or of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one ClientHello, record headers included.
    pub hello_bytes: usize,
    /// Bytes of all incomplete ClientHellos together.
    pub hello_memory: usize,
    /// Open connections of the process; 0 = what the limit of descriptors allows, see
    /// [`Limits::connections`].
    pub max_connections: usize,
    /// Open connections of one service whose documents set no limit; 0 = none.
    pub connections_per_service: u32,
    /// Pending connects of one service whose documents set no limit; 0 = none.
    pub pending_per_service: u32,
    /// Bytes of all pipes together; 0 = bulk is copied.
    pub pipe_memory: usize,
    /// Bytes of one pipe.
    pub pipe_size: usize,
    /// Pipes kept open while nobody uses them.
    pub pipe_spare: usize,
    /// Connections of one worker that share a closing tick.
    pub closing_per_tick: usize,
    /// Connections to the admin endpoint.
    pub admin_connections: usize,
    /// Services with metrics of their own; the others share one.
    pub services_in_metrics: usize,
    /// Host names of endpoints that are resolved.
    pub names: usize,
    /// Files of the catalog.
    pub catalog_files: usize,
    /// Bytes of all files of the catalog.
    pub catalog_bytes: u64,
    /// Access records a second in mode `problems`.
    pub access_log_per_second: u32,
    /// Unanswered probes after which a connection to a remote gateway is dead.
    pub remote_keepalive_probes: u32,
}

/// Where settings come from, besides their defaults. Both flags and environment may hold secrets.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Sources {
    /// Key and value of each flag, in the order given; a list has one pair per element.
    pub flags: Vec<(&'static str, String)>,
    /// The environment; only `GATEWAY_` variables and those of Consul's own commands are looked at.
    pub environment: Vec<(OsString, OsString)>,
    /// The settings file named by `--config`. `GATEWAY_CONFIG` names it otherwise.
    pub config: Option<PathBuf>,
}

impl Settings {
    /// Reads all sources and says what holds.
    ///
    /// # Errors
    /// Every problem of every source, none only the first.
    pub fn load(role: Role, sources: &Sources) -> Result<Self, SettingsError> {
        sources::load(role, sources)
    }

    /// The defaults alone.
    ///
    /// # Errors
    /// Never with the table as it is; a test holds that.
    pub fn defaults(role: Role) -> Result<Self, SettingsError> {
        Self::load(role, &Sources::default())
    }

    /// Where the value of a key comes from; `None` for an unknown key.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.shown.iter().find(|shown| shown.key == key).map(|shown| &shown.origin)
    }

    /// Every key with its value as a person writes it and its origin, in the order of the reference.
    #[must_use]
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The catalog of files, where there is one.
    #[must_use]
    pub fn catalog_path(&self) -> Option<&Path> {
        match &self.source {
            Source::Catalog(path) => Some(path),
            Source::Consul(_) => None,
        }
    }

    /// How to reach Consul, where the services come from there.
    #[must_use]
    pub fn consul(&self) -> Option<&ConsulSettings> {
        match &self.source {
            Source::Catalog(_) => None,
            Source::Consul(consul) => Some(consul),
        }
    }

    /// Whether nobody said where to listen, so that a registration made elsewhere may.
    #[must_use]
    pub fn listens_by_default(&self) -> bool {
        let given = |key| self.origin(key).is_some_and(|origin| !origin.is_default());
        !given("address") && !given("bind_address")
    }

    fn finished(draft: Draft, source: Source) -> Self {
        Self {
            role: draft.role,
            listen: draft.listen(),
            service: draft.service,
            source,
            wan_address: draft.wan_address,
            admin_bind: draft.admin_bind,
            admin_token_file: draft.admin_token_file,
            log_level: draft.log_level,
            log_format: draft.log_format,
            access_log: draft.access_log,
            access_log_file: draft.access_log_file,
            drain_time: draft.drain_time,
            workers: draft.workers,
            panic_threshold: draft.panic_threshold,
            timers: draft.timers,
            limits: draft.limits,
            ejection: draft.ejection,
            terminating: draft.terminating,
            notes: draft.notes,
            warnings: draft.warnings,
            shown: draft.shown,
        }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: Vec<_> = self.flags.iter().map(|(name, _)| name).collect();
        f.debug_struct("Sources").field("flags", &flags).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Limits {
    /// Open connections that the process may have: `max_connections`, or what `descriptors` (the
    /// limit of open files; `None` = none) leaves after pipes and the process's own files, at two
    /// descriptors a connection.
    #[must_use]
    pub fn connections(&self, descriptors: Option<u64>) -> usize {
        if self.max_connections > 0 {
            return self.max_connections;
        }
        let Some(descriptors) = descriptors else { return MOST_CONNECTIONS };
        let free = descriptors.saturating_sub(self.descriptors_beside_connections());
        usize::try_from(free / 2).unwrap_or(MOST_CONNECTIONS).clamp(1, MOST_CONNECTIONS)
    }

    /// Descriptors for `connections` connections and everything else.
    #[must_use]
    pub fn descriptors_for(&self, connections: usize) -> u64 {
        self.descriptors_beside_connections().saturating_add(2 * connections as u64)
    }

    fn descriptors_beside_connections(&self) -> u64 {
        let pipes = self.pipe_memory.checked_div(self.pipe_size).unwrap_or(0) as u64;
        OWN_DESCRIPTORS + 2 * pipes
    }
}

/// Listeners, event queues, log files, admin connections (64 at most), watches of files.
const OWN_DESCRIPTORS: u64 = 192;
/// Where descriptors are unlimited, memory still is not.
const MOST_CONNECTIONS: usize = 1_000_000;
