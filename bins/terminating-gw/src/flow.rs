//! One connection through the terminating gateway, as far as it can be decided without waiting.
//!
//! It is registered before anything is decided about it, so that no change of rules can slip in between.
//! Its hello names a linked service; a name that leads to none that is served is answered by a reset,
//! before a single byte of TLS. Then the handshake begins ([`crate::session`]).

use std::sync::Arc;

use gateway_app::hello::{Incomplete, Step, cut, detail_of, lower_cased};
use gateway_app::live::{LiveRoute, MatchedService, why_not_served};
use gateway_app::parts::Parts;
use gateway_app::reasons;
use gateway_app::terminating::TerminatingKept;
use gateway_runtime::listener::{Accepted, Handler, Pause};
use gateway_runtime::metrics::ServiceMetrics;
use gateway_runtime::reason::Reason;
use gateway_runtime::registry::{ConnGuard, Refusal};
use gateway_state::Rule;
use gateway_state::terminating::{LinkedService, TerminatingSnapshot};
use mesh_forward::tcp::dial::Socket;
use mesh_forward::tcp::socket::{recv, reset_on_close};
use mesh_forward::tcp::with_scratch;
use rustix::io::Errno;
use sni_peek::{ClientHello, Parsed};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::session;

/// The terminating gateway's handler of connections; shared by all workers.
pub(crate) struct Flow {
    gateway: Arc<Gateway>,
}

/// What all connections share.
pub(crate) struct Gateway {
    pub(crate) parts: Arc<Parts<TerminatingSnapshot>>,
    pub(crate) kept: Arc<TerminatingKept>,
}

/// A connection that is being dealt with.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) guard: ConnGuard,
    /// For the whole handshake, the hello included.
    pub(crate) deadline: Instant,
}

/// What a hello asks for.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) sni: Arc<str>,
    pub(crate) alpn: Option<Box<str>>,
    pub(crate) rule: Rule,
    pub(crate) route: Arc<LiveRoute>,
    pub(crate) service: Arc<LinkedService>,
    pub(crate) figures: Arc<ServiceMetrics>,
}

impl Asked {
    /// What is known of the connection, should it end before it has an endpoint.
    pub(crate) fn refusal(&self) -> Refusal<'_> {
        Refusal {
            sni: Some(&self.sni),
            alpn: self.alpn.as_deref(),
            service: Some(&self.figures),
            rule: Some(self.rule.as_str()),
            ..Refusal::default()
        }
    }
}

impl Flow {
    pub(crate) fn new(gateway: Gateway) -> Self {
        Self { gateway: Arc::new(gateway) }
    }
}

impl Handler for Flow {
    fn accept(&self, conn: Accepted) {
        with_scratch(|buffer| begin(&self.gateway, conn, buffer));
    }

    fn paused(&self, pause: &Pause<'_>) {
        self.gateway.parts.accept_paused(pause);
    }

    fn resumed(&self, listener: &str) {
        tracing::info!(listener, "accepting again");
    }
}

/// The first look at a connection: its hello has nearly always arrived.
fn begin(gateway: &Arc<Gateway>, conn: Accepted, buffer: &mut [u8]) {
    let Accepted { socket, guard } = conn;
    let deadline = Instant::now() + gateway.parts.hello_timeout;
    let bytes = match recv(&socket, buffer) {
        // By FIN or, as some health checks do, by a reset.
        Ok(0) | Err(Errno::CONNRESET) => return guard.refuse(Reason::Probe, Refusal::default()),
        Ok(n) => buffer.get(..n).unwrap_or_default(),
        Err(Errno::AGAIN) => &[],
        Err(_) => return guard.refuse(Reason::ClientReset, Refusal::default()),
    };
    let parsed = sni_peek::parse(bytes, &gateway.parts.hello_limits);
    let asked = match &parsed {
        Parsed::Hello(hello) => match asked(&gateway.parts, hello) {
            Ok(asked) => Some(asked),
            Err(refused) => {
                reset_on_close(&socket);
                return refused.record(guard);
            }
        },
        Parsed::NeedMore { .. } => None,
        refused => {
            reset_on_close(&socket);
            let reason = reasons::of_hello(refused).unwrap_or(Reason::Internal);
            let detail = detail_of(refused);
            return guard.refuse(reason, Refusal { detail: detail.as_deref(), ..Refusal::default() });
        }
    };
    let stream = match Socket::New(socket).watch() {
        Ok(stream) => stream,
        Err(error) => {
            let detail = error.to_string();
            let refusal = Refusal { detail: Some(&detail), ..Refusal::default() };
            return guard.refuse(Reason::Internal, refusal);
        }
    };
    let (gateway, hello) = (Arc::clone(gateway), bytes.to_vec());
    let client = Client { stream, guard, deadline };
    // It ends with its sockets, by a deadline, or when the registry cuts it.
    tokio::spawn(async move {
        let asked_of = match asked {
            Some(asked) => Some((client, hello, asked)),
            // Waiting for a hello is rare, and its state is not paid for by those who wait for nothing.
            None => Box::pin(wait_for_hello(&gateway, client, &hello)).await,
        };
        if let Some((client, hello, asked)) = asked_of
            && let Some(relay) = Box::pin(session::open(&gateway, client, hello, asked)).await
        {
            relay.await;
        }
    });
}

/// Waits for the rest of a hello that begins with `first`.
async fn wait_for_hello(gateway: &Gateway, client: Client, first: &[u8]) -> Option<(Client, Vec<u8>, Asked)> {
    let Client { stream, guard, deadline } = client;
    let mut hello = Incomplete::new(&gateway.parts);
    let step = if first.is_empty() { Step::More } else { hello.push(first) };
    let outcome = tokio::select! {
        biased;
        reason = cut(&guard) => Err((reason, None)),
        outcome = timeout_at(deadline, hello.rest(&stream, step)) => {
            outcome.unwrap_or(Err((Reason::HelloTimeout, None)))
        }
    };
    if let Err((reason, detail)) = outcome {
        if reason != Reason::Probe {
            reset_on_close(&stream);
        }
        guard.refuse(reason, Refusal { detail: detail.as_deref(), ..Refusal::default() });
        return None;
    }
    let Some(whole) = hello.hello() else {
        guard.refuse(Reason::Internal, Refusal::default());
        return None;
    };
    match asked(&gateway.parts, &whole) {
        Ok(asked) => Some((Client { stream, guard, deadline }, hello.bytes().to_vec(), asked)),
        Err(refused) => {
            reset_on_close(&stream);
            refused.record(guard);
            None
        }
    }
}

/// A hello that leads nowhere.
struct Refused {
    reason: Reason,
    sni: Option<Arc<str>>,
    alpn: Option<Box<str>>,
    figures: Option<Arc<ServiceMetrics>>,
    detail: Option<String>,
}

impl Refused {
    fn record(self, guard: ConnGuard) {
        let Self { reason, sni, alpn, figures, detail } = &self;
        let refusal = Refusal {
            sni: sni.as_deref(),
            alpn: alpn.as_deref(),
            service: figures.as_deref(),
            detail: detail.as_deref(),
            ..Refusal::default()
        };
        guard.refuse(*reason, refusal);
    }
}

/// Which linked service a hello asks for: by the whole name, without case, and nothing else will do
/// (terminating-gateway rules 4.2).
fn asked(parts: &Parts<TerminatingSnapshot>, hello: &ClientHello<'_>) -> Result<Asked, Refused> {
    let alpn = hello.alpn().next().and_then(|name| std::str::from_utf8(name).ok());
    let alpn: Option<Box<str>> = alpn.map(|name| name.chars().take(64).collect());
    let Some(sent) = hello.server_name() else {
        return Err(Refused { reason: Reason::NoSni, sni: None, alpn, figures: None, detail: None });
    };
    let live = parts.live.load();
    let mut lower = [0u8; 255];
    let found = lower_cased(sent, &mut lower).map_or(MatchedService::Unknown, |name| live.lookup(name));
    match found {
        MatchedService::Served { matched, service } => Ok(Asked {
            sni: Arc::clone(matched.name),
            alpn,
            rule: matched.rule,
            route: Arc::clone(matched.route),
            service: Arc::clone(service),
            figures: Arc::clone(matched.route.figures(&parts.metrics)),
        }),
        MatchedService::NotServed { service } => Err(Refused {
            reason: Reason::ServiceNotReady,
            sni: Some(sent.into()),
            alpn,
            figures: Some(parts.metrics.service(&service.key.to_string())),
            detail: why_not_served(service),
        }),
        MatchedService::Unknown => Err(Refused {
            reason: Reason::UnknownSni,
            sni: Some(sent.into()),
            alpn,
            figures: None,
            detail: None,
        }),
    }
}
