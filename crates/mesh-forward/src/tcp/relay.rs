//! Both directions of one connection, in one task.
//!
//! [`Relay`] is a future written by hand: its largest state is what every idle connection pays, so
//! it holds two sockets, a few words per direction and nothing else.
//!
//! Ends: when one side has sent its FIN and all its bytes are written, the other side is told by a
//! FIN of ours and its direction goes on. When both have ended both sockets are closed. A reset on
//! one side is a reset on the other, so that a cut stream never looks complete.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mesh_endpoints::Pick;
use tokio::net::TcpStream;

use super::closing::wait_for_tick;
use super::copy::{Broken, BrokenSide, Direction};
use super::dial::{Dialled, Socket};
use super::pipes::Pipes;
use super::socket::{deregister, has_ended, register, reset_on_close, shutdown_write};

/// Counts what a connection moves, and tells it when to stop.
pub trait Meter {
    /// So many bytes went from the client to the upstream.
    fn up(&self, bytes: u64);
    /// So many bytes went from the upstream to the client.
    fn down(&self, bytes: u64);
    /// The connection has become bulk and is spliced.
    fn spliced(&self);
    /// Whether somebody has cut the connection; keeps the waker for when somebody does.
    fn poll_cut(&self, cx: &Context<'_>) -> bool;
    /// What broke the connection; called before [`ended`](Self::ended), where there is an error to
    /// tell of. Only [`StreamRelay`](super::StreamRelay) tells.
    fn failed(&mut self, _error: &io::Error) {}
    /// The connection has ended and its sockets are closed. Called once; not called when the relay
    /// is dropped before its end.
    fn ended(&mut self, end: End);
}

/// How connections are relayed; one for the process.
#[derive(Debug)]
pub struct RelayConfig {
    /// Pipes for bulk.
    pub pipes: Pipes,
    /// Length of the tick at which the last FIN is looked for; zero waits for events only.
    /// Default 8 ms. Bytes that a client sends after its upstream has ended wait at most so long,
    /// once.
    pub closing_tick: Duration,
    /// Connections of one worker that share a tick; more wait for events. Default 16.
    pub closing_per_tick: usize,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            pipes: Pipes::new(Default::default()),
            closing_tick: Duration::from_millis(8),
            closing_per_tick: 16,
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides ended their streams.
    Closed,
    /// The client reset the connection, or vanished.
    ClientReset,
    /// The upstream reset the connection, or vanished.
    UpstreamReset,
    /// The client closed its TLS stream without `close_notify`: what it sent may be incomplete.
    ClientTruncated,
    /// The upstream closed its TLS stream without `close_notify`: what it sent may be incomplete.
    UpstreamTruncated,
    /// The client sent a fatal TLS alert, or what is no TLS.
    ClientBroken,
    /// The upstream sent a fatal TLS alert, or what is no TLS.
    UpstreamBroken,
    /// The meter said so.
    Cut,
    /// The runtime refused to watch the sockets: out of memory, or shutting down.
    Internal,
}

/// A connection under way. It owns both sockets and the [`Pick`], so that the endpoint is counted
/// as busy until the last byte.
#[derive(Debug)]
#[must_use = "a relay does nothing until it is polled"]
pub struct Relay<M: Meter> {
    links: Links,
    up: Direction,
    down: Direction,
    meter: M,
    config: Arc<RelayConfig>,
    told: bool,
    looked: bool,
    said_spliced: bool,
    _pick: Pick,
}

#[derive(Debug)]
enum Links {
    Watched {
        client: TcpStream,
        upstream: TcpStream,
    },
    /// Off the runtime until the tick.
    Waiting {
        client: OwnedFd,
        upstream: OwnedFd,
        due: Instant,
    },
    Gone,
}

/// What a look at the connection says.
enum Look {
    Watched,
    NotYet,
    Ended(End),
}

impl<M: Meter> Relay<M> {
    /// Joins a client with what was dialled for it. `first` are the bytes already read from the
    /// client; what of them was not yet written goes first.
    ///
    /// # Errors
    /// When the runtime cannot watch the sockets (out of memory or of watches). Both are closed.
    pub fn new(
        client: Socket,
        dialled: Dialled,
        first: &[u8],
        meter: M,
        config: Arc<RelayConfig>,
    ) -> io::Result<Self> {
        let Dialled { socket, pick, sent, .. } = dialled;
        meter.up(sent as u64);
        Ok(Self {
            links: Links::Watched { client: client.watch()?, upstream: socket.watch()? },
            up: Direction::to_dialled(first.get(sent..).unwrap_or_default().to_vec()),
            down: Direction::new(),
            meter,
            config,
            told: false,
            looked: false,
            said_spliced: false,
            _pick: pick,
        })
    }

    fn poll_directions(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Links::Watched { client, upstream } = &self.links else { return Poll::Ready(End::Internal) };
        let (meter, pipes) = (&self.meter, &self.config.pipes);
        if let Poll::Ready(Err(broken)) = self.down.poll(upstream, client, pipes, cx, &|n| meter.down(n)) {
            return Poll::Ready(end_of(broken, End::UpstreamReset, End::ClientReset));
        }
        if let Poll::Ready(Err(broken)) = self.up.poll(client, upstream, pipes, cx, &|n| meter.up(n)) {
            return Poll::Ready(end_of(broken, End::ClientReset, End::UpstreamReset));
        }
        if !self.said_spliced && (self.up.is_spliced() || self.down.is_spliced()) {
            self.said_spliced = true;
            meter.spliced();
        }
        match (self.up.is_finished(), self.down.is_finished()) {
            (true, true) => return Poll::Ready(End::Closed),
            (true, false) if !self.told => {
                self.told = true;
                shutdown_write(upstream);
            }
            (false, true) if !self.told => {
                self.told = true;
                shutdown_write(client);
                self.look_later(cx);
            }
            _ => {}
        }
        Poll::Pending
    }

    /// Takes a connection whose upstream has ended off the runtime until the next tick.
    ///
    /// The other way round it would not do: a client that ends its side first waits for an answer,
    /// and the answer must not wait.
    fn look_later(&mut self, cx: &Context<'_>) {
        if self.looked || self.config.closing_tick.is_zero() || !self.up.is_at_rest() {
            return;
        }
        self.looked = true;
        let Some(due) = wait_for_tick(cx, self.config.closing_tick, self.config.closing_per_tick) else {
            return;
        };
        let Links::Watched { client, upstream } = std::mem::replace(&mut self.links, Links::Gone) else {
            return;
        };
        if let (Ok(client), Ok(upstream)) = (deregister(client), deregister(upstream)) {
            self.links = Links::Waiting { client, upstream, due };
        }
    }

    /// At the tick: whether the client has ended. If not, the connection waits for events again.
    fn look(&mut self) -> Look {
        let (client, upstream) = match std::mem::replace(&mut self.links, Links::Gone) {
            Links::Waiting { client, upstream, due } if Instant::now() < due => {
                self.links = Links::Waiting { client, upstream, due };
                return Look::NotYet;
            }
            Links::Waiting { client, upstream, .. } => (client, upstream),
            watched => {
                self.links = watched;
                return Look::Watched;
            }
        };
        let ended = has_ended(&client);
        if ended == Ok(true) {
            return Look::Ended(End::Closed);
        }
        if ended.is_err() {
            self.links = Links::Waiting { client, upstream, due: Instant::now() };
            return Look::Ended(End::ClientReset);
        }
        if let (Ok(client), Ok(upstream)) = (register(client), register(upstream)) {
            self.links = Links::Watched { client, upstream };
        }
        Look::Watched
    }

    /// Closes both sockets; a stream that was cut is reset.
    fn close(&mut self, end: End) {
        self.up.release(&self.config.pipes);
        self.down.release(&self.config.pipes);
        let links = std::mem::replace(&mut self.links, Links::Gone);
        if end == End::Closed {
            return;
        }
        match links {
            Links::Watched { client, upstream } => {
                reset_on_close(&client);
                reset_on_close(&upstream);
            }
            Links::Waiting { client, upstream, .. } => {
                reset_on_close(&client);
                reset_on_close(&upstream);
            }
            Links::Gone => {}
        }
    }
}

impl<M: Meter + Unpin> Future for Relay<M> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let polled = if this.meter.poll_cut(cx) {
            Poll::Ready(End::Cut)
        } else {
            match this.look() {
                Look::Watched => this.poll_directions(cx),
                Look::NotYet => Poll::Pending,
                Look::Ended(end) => Poll::Ready(end),
            }
        };
        if let Poll::Ready(end) = polled {
            this.close(end);
            this.meter.ended(end);
        }
        polled.map(|_| ())
    }
}

impl<M: Meter> Drop for Relay<M> {
    fn drop(&mut self) {
        // A pipe that is not given back would stay on the account of the pool.
        self.up.release(&self.config.pipes);
        self.down.release(&self.config.pipes);
    }
}

fn end_of(broken: Broken, source: End, sink: End) -> End {
    match broken.side {
        BrokenSide::Source => source,
        BrokenSide::Sink => sink,
        BrokenSide::Runtime => End::Internal,
    }
}
