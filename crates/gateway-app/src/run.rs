//! A mesh gateway's process from its settings to its exit code.
//!
//! This thread is the control thread: it reads files, resolves names, answers the admin endpoint,
//! sweeps connections and waits for signals. Traffic runs on the workers.
//!
//! Order of the start: settings and files first, so that their mistakes end the process before a
//! socket is opened; then addresses, bound but not listening; then the listeners, which is when the
//! gateway is ready.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_runtime::access_log::{AccessLog, AccessLogConfig};
use gateway_runtime::admin::{Admin, AdminDeps, AdminLimits, AdminToken};
use gateway_runtime::drain::Drain;
use gateway_runtime::listener::{AcceptConfig, BindError, Bound, Handler};
use gateway_runtime::metrics::{Metrics, NONE};
use gateway_runtime::process::{self, Signal, Signals, exit};
use gateway_runtime::ready::Ready;
use gateway_runtime::reason::Reason;
use gateway_runtime::registry::{Registry, SweepLimits};
use gateway_runtime::telemetry::{LineLimiter, LogControl, start_logging};
use gateway_runtime::worker::Workers;
use gateway_state::mesh::MeshSnapshot;
use gateway_state::{FileSource, Loaded, Reader, SourceHandle};
use mesh_endpoints::{Limits as SetLimits, SetPolicy};
use mesh_forward::dns::{Names, NamesConfig};
use mesh_forward::tcp::socket::Keepalive;
use mesh_forward::tcp::{PipeConfig, Pipes, RelayConfig};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::catalog::source_config;
use crate::figures;
use crate::live::Live;
use crate::pages::MeshPages;
use crate::parts::{HelloMemory, Parts, Recorder, own_addresses};
use crate::reconcile::Reconciler;
use crate::settings::Settings;

/// Runs a gateway until it is told to end. Returns its exit code.
///
/// `flow` makes the role's handler of connections from the shared parts.
#[must_use]
pub fn run<H: Handler>(settings: &Settings, flow: impl FnOnce(Arc<Parts>) -> H) -> u8 {
    let log = match start_logging(&settings.log_level, settings.log_format) {
        Ok(log) => log,
        Err(error) => {
            report_without_log(&error.to_string());
            return exit::BAD_SETTINGS;
        }
    };
    process::log_panics();
    // Parts of the runtime panic where the system refuses them something: that is a failure like
    // others, with an exit code of its own.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(gateway(settings, log.clone(), flow)),
            Err(error) => Err(Failure::Internal(format!("cannot start the control thread: {error}"))),
        }
    }));
    let outcome = outcome.unwrap_or_else(|_| {
        Err(Failure::Internal("the control thread has panicked; the line above says where".to_owned()))
    });
    let code = match outcome {
        Ok(()) => exit::CLEAN,
        Err(failure) => failure.report(),
    };
    log.flush(settings.timers.last_words);
    code
}

/// For the one failure that comes before there is a log.
#[expect(clippy::print_stderr, reason = "there is no log yet")]
fn report_without_log(line: &str) {
    eprintln!("{line}");
}

/// Why the process ends before it was told to.
enum Failure {
    /// Own files are wrong; the lines are said one by one.
    Files(Vec<String>),
    /// An address of its own is not to be had.
    Address(String),
    /// A fault of the process or its system.
    Internal(String),
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::of_address(&error.source, error.to_string())
    }
}

impl Failure {
    /// An address is taken, foreign or not permitted; anything else is the system's want.
    fn of_address(source: &io::Error, line: String) -> Self {
        match source.kind() {
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied => {
                Self::Address(line)
            }
            _ => Self::Internal(line),
        }
    }

    fn report(self) -> u8 {
        match self {
            Self::Files(lines) => {
                for line in &lines {
                    tracing::error!("{line}");
                }
                exit::BAD_SETTINGS
            }
            Self::Address(line) => {
                tracing::error!("{line}");
                exit::ADDRESS_IN_USE
            }
            Self::Internal(line) => {
                tracing::error!("{line}");
                exit::INTERNAL
            }
        }
    }
}

async fn gateway<H: Handler>(
    settings: &Settings,
    log: LogControl,
    flow: impl FnOnce(Arc<Parts>) -> H,
) -> Result<(), Failure> {
    let Loaded { source, reader, .. } = load(settings)?;
    let handle = source.handle();
    let descriptors = process::raise_fd_limit();
    let connections = settings.limits.connections(descriptors.soft);
    let metrics = Arc::new(Metrics::new(settings.limits.services_in_metrics));
    metrics.set_build_info(env!("CARGO_PKG_VERSION"), settings.role.program());
    let token = settings.admin_token_file.as_deref().map(read_token).transpose()?;
    let access_log = Arc::new(open_access_log(settings, &metrics)?);
    let mut signals = Signals::listen().map_err(|error| Failure::Internal(error.to_string()))?;

    let workers = NonZeroUsize::new(settings.workers).unwrap_or(NonZeroUsize::MIN);
    let workers = Workers::start(workers)
        .map_err(|error| Failure::Internal(format!("cannot start the workers: {error}")))?;
    let bound = bind(settings)?;
    let admin = Admin::bind(settings.admin_bind)
        .map(|admin| admin.with_limits(admin_limits(settings)))
        .map_err(|error| {
            let address = settings.admin_bind;
            let line =
                format!("admin endpoint: cannot bind {address}: {error}; choose another with --admin-bind");
            Failure::of_address(&error, line)
        })?;

    let names = Names::new(names_config(settings));
    let lookups = Arc::clone(names.counters());
    let mut reconciler = Reconciler::new(names, set_policy(settings));
    let live = Arc::new(Live::new(reconciler.first(reader.current())));
    let parts = Arc::new(Parts {
        live: Arc::clone(&live),
        metrics: Arc::clone(&metrics),
        relay: Arc::new(relay_config(settings)),
        hello_limits: sni_peek::Limits { max_bytes: settings.limits.hello_bytes },
        hello_timeout: settings.timers.hello,
        hello_memory: HelloMemory::new(settings.limits.hello_memory),
        connect_timeout: settings.timers.connect,
        remote_keepalive: remote_keepalive(settings),
        own: Arc::new(own_addresses(&bound, settings.wan_address.as_deref())),
        lines: LineLimiter::new(settings.timers.log_quiet, 1_024, metrics.log_suppressed.clone()),
    });
    let recorder = Recorder { nowhere: metrics.service(NONE), access_log: Arc::clone(&access_log) };
    let registry = Arc::new(Registry::new(workers.count(), Box::new(recorder)));

    figures::refresh(&parts, &registry, &lookups, &handle, log.dropped());
    let (drain, watch) = Drain::new();
    let ready = Ready::new(&["listeners"]);
    ready.follow(watch.clone());
    tracing::info!(address = %admin.local_addr(), "admin endpoint");
    if !admin.local_addr().ip().is_loopback() {
        tracing::warn!(
            "the admin endpoint is not on loopback: whoever reaches it reads what the gateway knows"
        );
    }
    let pages = Arc::new(MeshPages::new(settings, &parts, &registry, reader.clone()));
    let deps = AdminDeps { ready: ready.clone(), metrics: Arc::clone(&metrics), pages, log, token };
    let (stop_admin, admin_stopped) = oneshot::channel::<()>();
    let admin = tokio::spawn(admin.serve(deps, async move { drop(admin_stopped.await) }));

    let handler = Arc::new(flow(Arc::clone(&parts)));
    let accept = AcceptConfig { max_connections: connections, backoff: settings.timers.accept_backoff };
    // Names that answer in time are known before the first connection comes.
    drop(tokio::time::timeout(settings.timers.connect, reconciler.names_settled()).await);
    reconciler.resolved(&live);
    let mut acceptors = Vec::new();
    for listener in bound {
        let (name, address) = (listener.name().to_owned(), listener.local_addr());
        let served = listener.serve(&workers, &registry, &handler, &watch, accept);
        acceptors.extend(served.map_err(Failure::from)?);
        tracing::info!(listener = name, %address, "listening");
    }
    ready.set("listeners", Ok(()));

    follow(source)?;
    let control =
        Control { parts: &parts, registry: &registry, settings, handle: &handle, reader, reconciler };
    control.until_told(&mut signals, &access_log).await;
    let cut = end(settings, &drain, acceptors, &registry, &mut signals).await;
    tracing::info!(cut, "ended");
    let stuck = workers.stop(settings.timers.last_words);
    if stuck > 0 {
        tracing::error!(stuck, "workers did not end; the process ends without them");
    }
    // Whoever reads a page now gets it; whoever comes later is refused.
    let _gone = stop_admin.send(());
    drop(tokio::time::timeout(settings.timers.last_words, admin).await);
    access_log.flush(settings.timers.last_words);
    Ok(())
}

/// Follows the catalog on a thread of its own: a file system that hangs must not keep the control
/// thread from signals and pages. It ends with the process.
fn follow(source: FileSource) -> Result<(), Failure> {
    let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(source.run(std::future::pending())),
        Err(error) => tracing::error!(%error, "the catalog is not followed"),
    };
    let spawned = std::thread::Builder::new().name("catalog".to_owned()).spawn(run);
    spawned.map(drop).map_err(|error| Failure::Internal(format!("cannot follow the catalog: {error}")))
}

/// How long answers for names are gathered.
const BURST: Duration = Duration::from_millis(50);
/// What the control thread does while traffic flows.
struct Control<'a> {
    parts: &'a Arc<Parts>,
    registry: &'a Registry,
    settings: &'a Settings,
    handle: &'a SourceHandle,
    reader: Reader<MeshSnapshot>,
    reconciler: Reconciler,
}

impl Control<'_> {
    /// Follows the catalog, names and limits until the first signal to end.
    async fn until_told(mut self, signals: &mut Signals, access_log: &AccessLog) {
        let timers = &self.settings.timers;
        let limits = SweepLimits { idle: timers.idle, age: timers.max_age };
        let mut sweep = tokio::time::interval(timers.sweep);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut following, mut resolve_at) = (true, None);
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Reload => {
                        tracing::info!("told to read files again");
                        self.handle.reload();
                        access_log.reopen();
                    }
                    Signal::Drain | Signal::Now => break,
                },
                snapshot = self.reader.changed(), if following => if let Some(snapshot) = snapshot {
                    self.apply(snapshot);
                } else {
                    following = false;
                    tracing::error!("the catalog is no longer followed; what is in use stays. Please report this");
                },
                // Answers come in bursts: one pass for all.
                () = self.reconciler.names_changed(), if resolve_at.is_none() => {
                    resolve_at = Some(Instant::now() + BURST);
                }
                () = tokio::time::sleep_until(resolve_at.unwrap_or_else(Instant::now)), if resolve_at.is_some() => {
                    resolve_at = None;
                    self.reconciler.resolved(&self.parts.live);
                }
                _ = sweep.tick() => self.sweep(limits),
            }
        }
    }

    fn apply(&mut self, snapshot: Arc<MeshSnapshot>) {
        self.reconciler.apply(&self.parts.live, snapshot);
        let live = self.parts.live.load();
        let services: HashSet<&str> = live.routes().iter().map(|route| &*route.target().service).collect();
        self.parts.metrics.forget_services(|service| service == NONE || services.contains(service));
    }

    fn sweep(&self, limits: SweepLimits) {
        self.registry.sweep(limits);
        for (line, suppressed) in self.parts.lines.take_expired(std::time::Instant::now()) {
            tracing::info!(line = &*line, suppressed, "lines like this were left out of the log");
        }
    }
}

/// Drains: refuses new connections, waits for the open ones, cuts what is left. Returns how many.
async fn end(
    settings: &Settings,
    drain: &Drain,
    acceptors: Vec<JoinHandle<()>>,
    registry: &Registry,
    signals: &mut Signals,
) -> usize {
    let deadline = Instant::now() + settings.drain_time;
    drain.start(deadline);
    tracing::info!(
        open = registry.open(),
        seconds = settings.drain_time.as_secs_f64(),
        "draining: no new connections; a second signal ends at once"
    );
    let emptied = async {
        // First they take what waits in the kernel's queues.
        for acceptor in acceptors {
            drop(acceptor.await);
        }
        while registry.open() > 0 {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        () = emptied => return 0,
        () = tokio::time::sleep_until(deadline) => {}
        () = told_again(signals) => {}
    }
    let cut = registry.cut_all(Reason::DrainCut);
    let gone = async {
        while registry.open() > 0 {
            tokio::time::sleep(POLL).await;
        }
    };
    drop(tokio::time::timeout(settings.timers.last_words, gone).await);
    cut
}

/// How often the number of open connections is looked at while draining.
const POLL: Duration = Duration::from_millis(20);

async fn told_again(signals: &mut Signals) {
    while signals.next().await != Signal::Now {}
}

fn load(settings: &Settings) -> Result<Loaded, Failure> {
    let loaded = FileSource::load(&settings.catalog, &source_config(settings))
        .map_err(|problems| Failure::Files(problems.problems.iter().map(ToString::to_string).collect()))?;
    let snapshot = loaded.reader.current();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        catalog = %settings.catalog.display(),
        files = snapshot.files.len(),
        names = snapshot.table.targets().len(),
        datacenter = &*snapshot.mesh.datacenter,
        "starting {}",
        settings.role.program()
    );
    for warning in &snapshot.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded)
}

fn bind(settings: &Settings) -> Result<Vec<Bound>, Failure> {
    let bind = |(name, address): &(String, _)| Bound::bind(name, *address).map_err(Failure::from);
    settings.listen.iter().map(bind).collect()
}

fn admin_limits(settings: &Settings) -> AdminLimits {
    let timers = &settings.timers;
    AdminLimits {
        connections: settings.limits.admin_connections,
        header: timers.admin_request,
        request: timers.admin_request,
        connection: timers.admin_connection,
    }
}

fn relay_config(settings: &Settings) -> RelayConfig {
    let limits = &settings.limits;
    RelayConfig {
        pipes: Pipes::new(PipeConfig {
            size: limits.pipe_size,
            memory: limits.pipe_memory,
            spare: limits.pipe_spare,
        }),
        closing_tick: settings.timers.closing_tick,
        closing_per_tick: limits.closing_per_tick,
    }
}

fn remote_keepalive(settings: &Settings) -> Option<Keepalive> {
    let timers = &settings.timers;
    (!timers.remote_keepalive.is_zero()).then_some(Keepalive {
        idle: Some(timers.remote_keepalive),
        interval: Some(timers.remote_keepalive_interval),
        probes: Some(settings.limits.remote_keepalive_probes),
    })
}

/// What the settings add to every endpoint set.
fn set_policy(settings: &Settings) -> SetPolicy {
    let bound = |limit: u32| (limit > 0).then_some(limit);
    SetPolicy {
        ejection: settings.ejection,
        panic_threshold: settings.panic_threshold,
        limits: SetLimits {
            max_connections: bound(settings.limits.connections_per_service),
            max_pending: bound(settings.limits.pending_per_service),
        },
        ..SetPolicy::default()
    }
}

fn names_config(settings: &Settings) -> NamesConfig {
    NamesConfig {
        refresh: settings.timers.dns_refresh,
        lookup_timeout: settings.timers.dns_lookup,
        retry: settings.timers.dns_retry,
        retry_max: settings.timers.dns_retry_max,
        max_names: settings.limits.names,
        ..NamesConfig::default()
    }
}

fn read_token(file: &Path) -> Result<AdminToken, Failure> {
    AdminToken::from_file(file).map_err(|error| Failure::Files(vec![error.to_string()]))
}

fn open_access_log(settings: &Settings, metrics: &Metrics) -> Result<AccessLog, Failure> {
    let config = AccessLogConfig {
        mode: settings.access_log,
        format: settings.log_format,
        file: settings.access_log_file.clone(),
        per_second: settings.limits.access_log_per_second,
        ..AccessLogConfig::default()
    };
    AccessLog::open_with(&config, metrics).map_err(|error| Failure::Files(vec![error.to_string()]))
}
