//! A gateway's process from its settings to its exit code.
//!
//! This thread is the control thread: it reads files, resolves names, answers the admin endpoint,
//! sweeps connections and waits for signals. Traffic runs on the workers.
//!
//! Order of the start: settings and files first, so that their mistakes end the process before a
//! socket is opened; then addresses, bound but not listening; then, where there is a Consul, its first
//! answers, however long they take; then the listeners, which is when the gateway is ready.

use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;
use gateway_runtime::admin::{Admin, AdminDeps};
use gateway_runtime::drain::Drain;
use gateway_runtime::listener::{AcceptConfig, BindError, Handler};
use gateway_runtime::metrics::{Metrics, NONE};
use gateway_runtime::process::{self, Signals, exit};
use gateway_runtime::ready::Ready;
use gateway_runtime::registry::Registry;
use gateway_runtime::telemetry::{LineLimiter, LogControl, start_logging};
use gateway_runtime::worker::Workers;
use gateway_state::Snapshot;
use mesh_forward::dns::Names;
use tokio::sync::oneshot;

use crate::figures;
use crate::live::Live;
use crate::pages::GatewayPages;
use crate::parts::{HelloMemory, Parts, Recorder};
use crate::reconcile::Reconciler;
use crate::role::{AppRole, SnapshotOf};
use crate::settings::{Role, Settings, Source};
use control::{Control, Ended};
use feed::Opened;
use listeners::Listeners;

mod config;
mod control;
mod dialling;
mod end;
pub(crate) mod feed;
mod listeners;

/// Runs a gateway until it is told to end. Returns its exit code.
///
/// `flow` makes the role's handler of connections from the shared parts and from what the role keeps.
#[must_use]
pub fn run<R: AppRole, H: Handler>(
    settings: &Settings,
    flow: impl FnOnce(Arc<Parts<SnapshotOf<R>>>, Arc<R::Kept>) -> H,
) -> u8 {
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
            Ok(runtime) => runtime.block_on(gateway::<R, H>(settings, log.clone(), flow)),
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
    /// An address of its own is not to be had, or Consul refuses the registration.
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

async fn gateway<R: AppRole, H: Handler>(
    settings: &Settings,
    log: LogControl,
    flow: impl FnOnce(Arc<Parts<SnapshotOf<R>>>, Arc<R::Kept>) -> H,
) -> Result<(), Failure> {
    let opened = Opened::<R>::of(settings)?;
    let descriptors = process::raise_fd_limit();
    let connections = settings.limits.connections(descriptors.soft);
    let metrics = Arc::new(Metrics::new(settings.limits.services_in_metrics));
    metrics.set_build_info(env!("CARGO_PKG_VERSION"), settings.role.program());
    let token = settings.admin_token_file.as_deref().map(config::read_token).transpose()?;
    let access_log = Arc::new(config::open_access_log(settings, &metrics, R::JUDGES)?);
    let mut signals = Signals::listen().map_err(|error| Failure::Internal(error.to_string()))?;

    let workers = NonZeroUsize::new(settings.workers).unwrap_or(NonZeroUsize::MIN);
    let workers = Workers::start(workers)
        .map_err(|error| Failure::Internal(format!("cannot start the workers: {error}")))?;
    let mut bound = opened.bind(settings)?;
    let admin = Admin::bind(settings.admin_bind)
        .map(|admin| admin.with_limits(config::admin_limits(settings)))
        .map_err(|error| {
            let address = settings.admin_bind;
            let line =
                format!("admin endpoint: cannot bind {address}: {error}; choose another with --admin-bind");
            Failure::of_address(&error, line)
        })?;
    let feed = opened.source(settings, &mut bound)?;
    let (handle, reader) = (feed.handle.clone(), feed.reader.clone());
    say_start(settings, &*reader.current());
    let kept = Arc::new(R::keep(settings, &metrics, workers.count()));
    R::prepare(&kept, &reader.current());

    let names = Names::new(config::names_config(settings));
    let lookups = Arc::clone(names.counters());
    let mut reconciler = Reconciler::new(names, config::set_policy(settings));
    let live = Arc::new(Live::new(reconciler.first(reader.current())));
    let dialling =
        dialling::of(settings, reader.current().own(), bound.iter().map(|(_, it)| it.local_addr()));
    let parts = Arc::new(Parts {
        live: Arc::clone(&live),
        metrics: Arc::clone(&metrics),
        relay: Arc::new(config::relay_config(settings)),
        hello_limits: sni_peek::Limits { max_bytes: settings.limits.hello_bytes },
        hello_timeout: match R::ROLE {
            Role::Mesh => settings.timers.hello,
            Role::Terminating => settings.terminating.handshake,
        },
        hello_memory: HelloMemory::new(settings.limits.hello_memory),
        dialling: ArcSwap::from_pointee(dialling),
        lines: LineLimiter::new(settings.timers.log_quiet, 1_024, metrics.log_suppressed.clone()),
    });
    let recorder = Recorder { nowhere: metrics.service(NONE), access_log: Arc::clone(&access_log) };
    let registry = Arc::new(Registry::new(workers.count(), Box::new(recorder)));

    let role = (Arc::clone(&kept), R::refresh as fn(&R::Kept));
    figures::refresh(&parts, role, &registry, &lookups, &handle, log.dropped());
    let (drain, watch) = Drain::new();
    let conditions: Vec<_> = handle.conditions().into_iter().chain(R::CONDITIONS.iter().copied()).collect();
    let ready = Ready::new(&conditions);
    ready.follow(watch);
    tracing::info!(address = %admin.local_addr(), "admin endpoint");
    if !admin.local_addr().ip().is_loopback() {
        tracing::warn!(
            "the admin endpoint is not on loopback: whoever reaches it reads what the gateway knows"
        );
    }
    let pages = Arc::new(GatewayPages::<R>::new(settings, &parts, &kept, &registry, reader.clone(), &handle));
    let deps = AdminDeps { ready: ready.clone(), metrics: Arc::clone(&metrics), pages, log, token };
    let (stop_admin, admin_stopped) = oneshot::channel::<()>();
    let admin = tokio::spawn(admin.serve(deps, async move { drop(admin_stopped.await) }));

    let accept = AcceptConfig {
        max_connections: Arc::new(AtomicUsize::new(connections)),
        backoff: settings.timers.accept_backoff,
    };
    let handler = Arc::new(flow(Arc::clone(&parts), Arc::clone(&kept)));
    let control = Control::<R, H> {
        settings,
        parts: &parts,
        kept: &kept,
        registry: &registry,
        handle: &handle,
        ready: &ready,
        max_connections: (connections, Arc::clone(&accept.max_connections)),
        listeners: Listeners::new(&workers, &registry, handler, accept),
        reader,
        reconciler,
        activity: control::Activity::default(),
    };
    feed.follow()?;
    let Ended { listeners, outcome } = control.until_told(bound, &mut signals, &access_log).await;
    let cut = end::end(settings, &drain, listeners, &registry, &handle, &mut signals).await;
    tracing::info!(cut, "ended");
    let stuck = workers.stop(settings.timers.last_words);
    if stuck > 0 {
        tracing::error!(stuck, "workers did not end; the process ends without them");
    }
    // Whoever reads a page now gets it; whoever comes later is refused.
    let _gone = stop_admin.send(());
    drop(tokio::time::timeout(settings.timers.last_words, admin).await);
    access_log.flush(settings.timers.last_words);
    outcome
}

fn say_start(settings: &Settings, snapshot: &impl Snapshot) {
    let (version, program) = (env!("CARGO_PKG_VERSION"), settings.role.program());
    match &settings.source {
        Source::Catalog(path) => tracing::info!(
            version,
            catalog = %path.display(),
            files = snapshot.files().len(),
            names = snapshot.targets().len(),
            datacenter = &*snapshot.mesh().datacenter,
            "starting {program}"
        ),
        Source::Consul(consul) => {
            let agents: Vec<_> = consul.addresses.iter().map(ToString::to_string).collect();
            let (agents, service) = (agents.join(", "), settings.service.as_str());
            tracing::info!(version, consul = agents, service, "starting {program}");
        }
    }
    for warning in snapshot.warnings() {
        tracing::warn!("{warning}");
    }
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    for note in &settings.notes {
        tracing::info!("{note}");
    }
}
