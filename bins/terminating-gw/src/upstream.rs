//! The only way out: an endpoint of the service that was asked for, for a caller that was permitted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gateway_app::live::LiveRoute;
use gateway_app::reasons;
use gateway_app::terminating::Permit;
use gateway_runtime::reason::Reason;
use gateway_runtime::registry::{ConnGuard, Refusal};
use gateway_state::terminating::Origination;
use mesh_endpoints::{EjectionNotice, Pick};
use mesh_forward::tcp::dial::{self, DialObserver, DialPlan, Dialled, MOST_ATTEMPTS, Start};
use mesh_forward::tcp::{DialError, DialFailure};
use mtls::Originator;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::flow::{Asked, Gateway};
use crate::streams::Upstream;

/// A connection to an endpoint.
pub(crate) struct Connected {
    pub(crate) stream: Upstream,
    pub(crate) pick: Pick,
    pub(crate) attempts: u8,
    /// From the first dial on.
    pub(crate) took: Duration,
}

/// Why there is none.
pub(crate) struct Failed {
    reason: Reason,
    endpoint: Option<SocketAddr>,
    attempts: u8,
    detail: Option<String>,
}

impl Failed {
    /// For what has nothing to do with an endpoint.
    pub(crate) fn plain(reason: Reason) -> Self {
        Self { reason, endpoint: None, attempts: 0, detail: None }
    }

    pub(crate) fn record(self, guard: ConnGuard, asked: &Asked) {
        let Self { reason, endpoint, attempts, detail } = &self;
        let refusal = Refusal {
            endpoint: *endpoint,
            attempts: *attempts,
            detail: detail.as_deref(),
            ..asked.refusal()
        };
        guard.refuse(*reason, refusal);
    }
}

/// Connects to an endpoint of the service that `asked` names, by TLS where its link says so: never in
/// clear then.
pub(crate) async fn connect(gateway: &Gateway, _permit: &Permit, asked: &Asked) -> Result<Connected, Failed> {
    let parts = &gateway.parts;
    let plan = parts.dial_plan(&asked.service, &asked.route);
    let since = Instant::now();
    match &asked.service.origination {
        None => {
            let Dialled { socket, pick, attempts, .. } = dial(gateway, asked, &plan, &[]).await?;
            let stream = socket.watch().map_err(|error| Failed::internal(&error))?;
            // Small messages go at once. A failure costs latency, not correctness.
            let _slower = stream.set_nodelay(true);
            Ok(Connected { stream: Upstream::Plain(stream), pick, attempts, took: since.elapsed() })
        }
        Some(Origination::Broken { why }) => {
            gateway.kept.tls.upstream_failures.with("files").inc();
            parts.say(&format!("files:{}", asked.figures.name()), |suppressed| {
                let service = asked.figures.name();
                tracing::error!(service, why = &**why, suppressed, "TLS to the service cannot be spoken");
            });
            Err(Failed { detail: Some(why.to_string()), ..Failed::plain(Reason::UpstreamTls) })
        }
        Some(Origination::Ready(originator)) => {
            let mut tried = Vec::with_capacity(MOST_ATTEMPTS);
            let mut failed: Option<Failed> = None;
            loop {
                let Dialled { socket, pick, attempts, .. } = match dial(gateway, asked, &plan, &tried).await {
                    Ok(dialled) => dialled,
                    // What went wrong with an endpoint says more than that there is no other.
                    Err(error) => return Err(failed.unwrap_or(error)),
                };
                let stream = socket.watch().map_err(|error| Failed::internal(&error))?;
                let _slower = stream.set_nodelay(true);
                match originate(gateway, asked, &plan, originator, stream, pick).await {
                    Ok((stream, pick)) => {
                        return Ok(Connected { stream, pick, attempts, took: since.elapsed() });
                    }
                    Err((address, detail)) => {
                        tried.push(address);
                        failed = Some(Failed {
                            reason: Reason::UpstreamTls,
                            endpoint: Some(address),
                            attempts,
                            detail: Some(detail),
                        });
                    }
                }
            }
        }
    }
}

/// TLS over a connection. If it fails, that counts against the endpoint as a failed connect does.
async fn originate(
    gateway: &Gateway,
    asked: &Asked,
    plan: &DialPlan,
    originator: &Originator,
    stream: TcpStream,
    mut pick: Pick,
) -> Result<(Upstream, Pick), (SocketAddr, String)> {
    let (cause, detail) = match timeout(plan.budget, originator.originate(stream)).await {
        Ok(Ok(originated)) => {
            pick.connected();
            gateway.kept.tls.upstream_handshakes.inc();
            return Ok((Upstream::Tls(Box::new(originated.stream)), pick));
        }
        Ok(Err(error)) => (error.reason(), error.to_string()),
        Err(_) => ("timeout", "the TLS handshake was not finished in time".to_owned()),
    };
    gateway.kept.tls.upstream_failures.with(cause).inc();
    let (address, service) = (pick.address(), asked.figures.name());
    gateway.parts.say(&format!("upstream-tls:{service}:{cause}"), |suppressed| {
        tracing::warn!(service, endpoint = %address, why = &*detail, suppressed, "TLS to an endpoint failed");
    });
    if let Some(notice) = pick.failed(Instant::now()) {
        gateway.parts.ejected(&asked.route, &notice);
    }
    Err((address, detail))
}

async fn dial(
    gateway: &Gateway,
    asked: &Asked,
    plan: &DialPlan,
    tried: &[SocketAddr],
) -> Result<Dialled, Failed> {
    let observer = Observer { gateway, route: &asked.route };
    let mut random = || fastrand::u64(..);
    let set = asked.route.set();
    let started = dial::start_beside(set, plan, Instant::now(), &mut random, &[], &observer, tried);
    let dialled = match started {
        Ok(Start::Connected(dialled)) => Ok(dialled),
        Ok(Start::Waiting(dialling)) => dialling.finish(random, &[], &observer).await,
        Err(failure) => Err(failure),
    };
    dialled.map_err(|DialFailure { error, attempts }| {
        gateway.parts.dial_failed(&asked.route, &error);
        let endpoint = match error {
            DialError::Loop(address) | DialError::Failed(address, _) | DialError::TimedOut(address) => {
                Some(address)
            }
            DialError::Source { endpoint, .. } => Some(endpoint),
            _ => None,
        };
        Failed { reason: reasons::of_dial(&error), endpoint, attempts, detail: Some(error.to_string()) }
    })
}

impl Failed {
    fn internal(error: &std::io::Error) -> Self {
        Self { detail: Some(error.to_string()), ..Self::plain(Reason::Internal) }
    }
}

/// Counts and tells what happens to endpoints while they are dialled.
struct Observer<'a> {
    gateway: &'a Gateway,
    route: &'a LiveRoute,
}

impl DialObserver for Observer<'_> {
    fn failed(&self, address: SocketAddr, why: DialError) {
        tracing::debug!(service = &*self.route.target().service, %address, %why, "endpoint failed");
    }

    fn ejected(&self, notice: &EjectionNotice) {
        self.gateway.parts.ejected(self.route, notice);
    }
}
