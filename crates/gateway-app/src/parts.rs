//! What the role's flow works with: one shared value per process, read by all workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use gateway_runtime::budget::Budget;
use gateway_runtime::listener::Pause;
use gateway_runtime::metrics::{Metrics, ServiceMetrics};
use gateway_runtime::record::ConnRecord;
use gateway_runtime::registry::RecordSink;
use gateway_runtime::telemetry::LineLimiter;
use gateway_state::mesh::MeshSnapshot;
use gateway_state::terminating::{LinkedService, TerminatingSnapshot};
use mesh_endpoints::{EjectionNotice, Refused};
use mesh_forward::tcp::dial::{DialPlan, OwnAddresses};
use mesh_forward::tcp::socket::Keepalive;
use mesh_forward::tcp::{DialError, RelayConfig};

use crate::live::{Live, LiveRoute};

/// Shared parts of a gateway.
#[derive(Debug)]
pub struct Parts<S = MeshSnapshot> {
    /// The state in use.
    pub live: Arc<Live<S>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How connections are relayed.
    pub relay: Arc<RelayConfig>,
    /// Bounds of a hello.
    pub hello_limits: sni_peek::Limits,
    /// Time for a whole hello, from the accept; where TLS is ended, for the whole handshake.
    pub hello_timeout: Duration,
    /// Memory of all hellos that wait for something.
    pub hello_memory: HelloMemory,
    /// How endpoints are dialled where their own documents do not say.
    pub dialling: ArcSwap<Dialling>,
    /// Keeps a repeated line from filling the log.
    pub lines: LineLimiter,
}

/// What holds for dialling any endpoint: of the settings, or of the gateway's own registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialling {
    /// Time for connecting.
    pub connect_timeout: Duration,
    /// Keepalive towards gateways of other datacenters and partitions.
    pub remote_keepalive: Option<Keepalive>,
    /// Where this gateway itself is.
    pub own: Arc<OwnAddresses>,
}

/// The memory of hellos, in two parts: strangers fill the one, and only what a route was found for
/// gets into the other.
#[derive(Debug)]
pub struct HelloMemory {
    /// Hellos that have not arrived as a whole: three quarters.
    pub incomplete: Arc<Budget>,
    /// Whole hellos whose endpoint is being dialled: one quarter.
    pub whole: Arc<Budget>,
}

impl HelloMemory {
    /// Shares `bytes` between the two.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let whole = bytes / 4;
        Self { incomplete: Budget::new(bytes - whole), whole: Budget::new(whole) }
    }

    /// Bytes in use now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.incomplete.used() + self.whole.used()
    }
}

impl Parts<MeshSnapshot> {
    /// How the endpoints of a route are dialled.
    #[must_use]
    pub fn dial_plan(&self, route: &LiveRoute) -> DialPlan {
        let dialling = self.dialling.load();
        DialPlan {
            budget: route.connect_timeout(dialling.connect_timeout),
            keepalive: dialling.remote_keepalive.filter(|_| route.target().remote),
            own: Arc::clone(&dialling.own),
            attempts: MESH_ATTEMPTS,
            source: None,
            handshake: false,
        }
    }
}

impl Parts<TerminatingSnapshot> {
    /// How the endpoints of a linked service are dialled: one further endpoint where the first one fails
    /// (terminating-gateway rules 6.2).
    #[must_use]
    pub fn dial_plan(&self, service: &LinkedService, route: &LiveRoute) -> DialPlan {
        let dialling = self.dialling.load();
        DialPlan {
            budget: route.connect_timeout(dialling.connect_timeout),
            keepalive: dialling.remote_keepalive,
            own: Arc::clone(&dialling.own),
            attempts: 2,
            source: service.source_address,
            handshake: service.origination.is_some(),
        }
    }
}

/// As many endpoints as a connection through a mesh gateway tries.
const MESH_ATTEMPTS: u8 = 3;

impl<S> Parts<S> {
    /// Accepting has paused.
    pub fn accept_paused(&self, pause: &Pause<'_>) {
        self.metrics.accept_paused.with(pause.cause.as_str()).inc();
        let error = pause.error.map(|errno| errno.to_string());
        self.say(&format!("paused:{}:{}", pause.listener, pause.cause.as_str()), |suppressed| {
            tracing::warn!(
                listener = pause.listener,
                cause = pause.cause.as_str(),
                error,
                suppressed,
                "accepting pauses; open connections go on. Raise the limit of open files, or max_connections"
            );
        });
    }

    /// An endpoint is left out for a while.
    pub fn ejected(&self, route: &LiveRoute, notice: &EjectionNotice) {
        route.figures(&self.metrics).ejected();
        let service = &*route.target().service;
        self.say(&format!("ejected:{}:{}", service, notice.address), |suppressed| {
            tracing::warn!(
                service,
                endpoint = %notice.address,
                seconds = notice.duration.as_secs(),
                suppressed,
                "endpoint is left out: its connects failed in a row"
            );
        });
    }

    /// A connection could not be dialled for a reason that an operator should hear of.
    pub fn dial_failed(&self, route: &LiveRoute, error: &DialError) {
        let service = &*route.target().service;
        match error {
            DialError::Loop(address) => self.say(&format!("loop:{address}"), |suppressed| {
                tracing::error!(
                    service,
                    endpoint = %address,
                    suppressed,
                    "refused to dial this gateway itself: correct the endpoint of the service"
                );
            }),
            DialError::NoEndpoint(refused @ (Refused::Connections { .. } | Refused::Pending { .. })) => {
                self.say(&format!("limit:{service}"), |suppressed| {
                    tracing::warn!(service, suppressed, "connection refused: {refused}");
                });
            }
            DialError::Source { endpoint, source_address, errno } => {
                self.say(&format!("source:{source_address}"), |suppressed| {
                    tracing::error!(
                        service,
                        %endpoint,
                        %source_address,
                        %errno,
                        suppressed,
                        "connections cannot leave from the source address: correct source_address"
                    );
                });
            }
            DialError::NoSocket(errno) => self.say("no-socket", |suppressed| {
                tracing::warn!(%errno, suppressed, "no socket for an endpoint: raise the limit of open files");
            }),
            _ => {}
        }
    }

    /// Says a line unless its like was just said.
    pub fn say(&self, key: &str, line: impl FnOnce(u64)) {
        if let Some(suppressed) = self.lines.allow(key, Instant::now()) {
            line(suppressed);
        }
    }
}

/// Writes the record of each connection into metrics and access log.
#[derive(Debug)]
pub struct Recorder {
    /// Figures of connections whose name led nowhere.
    pub nowhere: Arc<ServiceMetrics>,
    /// The access log.
    pub access_log: Arc<gateway_runtime::access_log::AccessLog>,
}

impl RecordSink for Recorder {
    fn finished(&self, record: &ConnRecord<'_>, service: Option<&ServiceMetrics>) {
        service.unwrap_or(&self.nowhere).finished(record);
        self.access_log.write(record);
    }
}
