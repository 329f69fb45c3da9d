//! One connection through the mesh gateway.
//!
//! What can be done without waiting is done in one go on the worker that accepted the connection:
//! read the hello into the worker's buffer, find its name in the table, pick an endpoint, connect,
//! send the hello on. For a client whose hello has arrived and an endpoint that is near, that is
//! everything, and only the relay remains. Whoever has to be waited for gets a task with a deadline
//! ([`crate::waiting`]).
//!
//! No byte is ever written to a client before its upstream has sent one.

use std::sync::Arc;
use std::time::Instant;

use gateway_app::hello::{detail_of, lower_cased};
use gateway_app::live::LiveRoute;
use gateway_app::parts::Parts;
use gateway_app::reasons;
use gateway_runtime::listener::{Accepted, Handler, Pause};
use gateway_runtime::reason::Reason;
use gateway_runtime::registry::{ConnGuard, ConnRoute, Refusal};
use gateway_state::mesh::Rule;
use mesh_endpoints::EjectionNotice;
use mesh_forward::tcp::dial::{self, DialObserver, Dialled, Socket, Start};
use mesh_forward::tcp::socket::recv;
use mesh_forward::tcp::{DialError, DialFailure, Relay, with_scratch};
use rustix::io::Errno;
use sni_peek::{ClientHello, Parsed};

use crate::connection::{Connection, Counted};
use crate::waiting;

/// The mesh gateway's handler of connections; shared by all workers.
pub(crate) struct Flow {
    pub(crate) parts: Arc<Parts>,
}

/// A connection whose hello is being dealt with.
pub(crate) struct Client {
    pub(crate) socket: Socket,
    pub(crate) guard: ConnGuard,
}

/// What the table says about a hello, kept while an endpoint is dialled.
pub(crate) struct Decided {
    pub(crate) sni: Arc<str>,
    pub(crate) alpn: Option<Box<str>>,
    pub(crate) rule: Rule,
    pub(crate) route: Arc<LiveRoute>,
    pub(crate) since: Instant,
}

impl Decided {
    /// What is known of the connection, should it end before it has an endpoint.
    pub(crate) fn refusal<'a>(&'a self, parts: &Parts) -> Refusal<'a> {
        Refusal {
            sni: Some(&self.sni),
            alpn: self.alpn.as_deref(),
            service: Some(self.route.figures(&parts.metrics)),
            rule: Some(self.rule.as_str()),
            ..Refusal::default()
        }
    }
}

impl Handler for Flow {
    fn accept(&self, conn: Accepted) {
        let client = Client { socket: Socket::New(conn.socket), guard: conn.guard };
        if let Some(connection) = with_scratch(|buffer| begin(&self.parts, client, buffer)) {
            // It ends with its sockets, by a deadline, or when the registry cuts it.
            tokio::spawn(connection);
        }
    }

    fn paused(&self, pause: &Pause<'_>) {
        self.parts.accept_paused(pause);
    }

    fn resumed(&self, listener: &str) {
        tracing::info!(listener, "accepting again");
    }
}

/// The first look at a connection: its hello has nearly always arrived.
fn begin(parts: &Arc<Parts>, client: Client, buffer: &mut [u8]) -> Option<Connection> {
    let Socket::New(fd) = &client.socket else { return None };
    let bytes = match recv(fd, buffer) {
        // By FIN or, as some health checks do, by a reset.
        Ok(0) | Err(Errno::CONNRESET) => return refuse(client.guard, Reason::Probe, Refusal::default()),
        Ok(n) => buffer.get(..n).unwrap_or_default(),
        Err(Errno::AGAIN) => &[],
        Err(_) => return refuse(client.guard, Reason::ClientReset, Refusal::default()),
    };
    if bytes.is_empty() {
        return Some(waiting::for_hello(parts, client, bytes));
    }
    match sni_peek::parse(bytes, &parts.hello_limits) {
        Parsed::Hello(hello) => decided(parts, client, bytes, &hello),
        Parsed::NeedMore { .. } => Some(waiting::for_hello(parts, client, bytes)),
        refused => refuse_hello(client.guard, &refused),
    }
}

/// A whole hello: names the route and dials it.
pub(crate) fn decided(
    parts: &Arc<Parts>,
    client: Client,
    bytes: &[u8],
    hello: &ClientHello<'_>,
) -> Option<Connection> {
    let decided = match decide(parts, hello) {
        Ok(decided) => decided,
        Err(Nowhere { reason, sni, alpn }) => {
            return refuse(client.guard, reason, Refusal { sni, alpn, ..Refusal::default() });
        }
    };
    let plan = parts.dial_plan(&decided.route);
    let observer = Observer { parts, route: &decided.route };
    let mut random = || fastrand::u64(..);
    match dial::start(decided.route.set(), &plan, decided.since, &mut random, bytes, &observer) {
        Ok(Start::Connected(dialled)) => {
            relay(parts, client, decided, dialled, bytes).map(Connection::Relaying)
        }
        Ok(Start::Waiting(dialling)) => Some(waiting::for_endpoint(parts, client, decided, dialling, bytes)),
        Err(error) => refuse_dial(parts, client.guard, &decided, &error),
    }
}

/// Joins the two sides.
pub(crate) fn relay(
    parts: &Parts,
    client: Client,
    decided: Decided,
    dialled: Dialled,
    bytes: &[u8],
) -> Option<Relay<Counted>> {
    let Client { socket, guard } = client;
    guard.set_route(ConnRoute {
        sni: decided.sni,
        alpn: decided.alpn,
        service: Arc::clone(decided.route.figures(&parts.metrics)),
        rule: decided.rule.as_str(),
        endpoint: dialled.pick.address(),
        attempts: dialled.attempts,
        connect: decided.since.elapsed(),
    });
    match Relay::new(socket, dialled, bytes, Counted(guard), Arc::clone(&parts.relay)) {
        Ok(relay) => Some(relay),
        // The guard went with it and has recorded the end.
        Err(error) => {
            tracing::warn!(%error, "cannot watch a connection's sockets");
            None
        }
    }
}

/// A hello that leads nowhere.
struct Nowhere<'a> {
    reason: Reason,
    sni: Option<&'a str>,
    alpn: Option<&'a str>,
}

fn decide<'a>(parts: &Parts, hello: &'a ClientHello<'_>) -> Result<Decided, Nowhere<'a>> {
    let alpn = hello.alpn().next().and_then(|name| std::str::from_utf8(name).ok());
    let Some(sent) = hello.server_name() else {
        return Err(Nowhere { reason: Reason::NoSni, sni: None, alpn });
    };
    let live = parts.live.load();
    let mut lower = [0u8; 255];
    let Some(matched) = lower_cased(sent, &mut lower).and_then(|name| live.lookup(name)) else {
        return Err(Nowhere { reason: Reason::UnknownSni, sni: Some(sent), alpn });
    };
    let wildcard = matched.name.starts_with("*.");
    Ok(Decided {
        sni: if wildcard { sent.to_ascii_lowercase().into() } else { Arc::clone(matched.name) },
        alpn: alpn.map(|name| name.chars().take(64).collect()),
        rule: matched.rule,
        route: Arc::clone(matched.route),
        since: Instant::now(),
    })
}

pub(crate) fn refuse(guard: ConnGuard, reason: Reason, refusal: Refusal<'_>) -> Option<Connection> {
    guard.refuse(reason, refusal);
    None
}

fn refuse_hello(guard: ConnGuard, parsed: &Parsed<'_>) -> Option<Connection> {
    let reason = reasons::of_hello(parsed).unwrap_or(Reason::Internal);
    let detail = detail_of(parsed);
    refuse(guard, reason, Refusal { detail: detail.as_deref(), ..Refusal::default() })
}

pub(crate) fn refuse_dial(
    parts: &Parts,
    guard: ConnGuard,
    decided: &Decided,
    failure: &DialFailure,
) -> Option<Connection> {
    let DialFailure { error, attempts } = failure;
    let endpoint = match error {
        DialError::Loop(address) | DialError::Failed(address, _) | DialError::TimedOut(address) => {
            Some(*address)
        }
        _ => None,
    };
    parts.dial_failed(&decided.route, error);
    let refusal =
        Refusal { endpoint, attempts: *attempts, detail: Some(&error.to_string()), ..decided.refusal(parts) };
    refuse(guard, reasons::of_dial(error), refusal)
}

/// Counts and tells what happens to endpoints while they are dialled.
pub(crate) struct Observer<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) route: &'a LiveRoute,
}

impl DialObserver for Observer<'_> {
    fn failed(&self, address: std::net::SocketAddr, why: DialError) {
        tracing::debug!(service = &*self.route.target().service, %address, %why, "endpoint failed");
    }

    fn ejected(&self, notice: &EjectionNotice) {
        self.parts.ejected(self.route, notice);
    }
}
