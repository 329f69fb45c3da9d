//! Listening sockets: bound at the start, one per worker, serving when the gateway is ready.
//!
//! The kernel spreads connections over the workers (`SO_REUSEPORT`). The first socket of a port is
//! bound, and begins to listen, without that option, so that a port taken by anybody else is an
//! error and not a shared port: another gateway of the same user, too, also one that starts at the
//! same moment.
//!
//! When the process runs out of descriptors or memory, or has as many connections as it may,
//! accepting pauses with a growing back-off and says so; what is open goes on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::drain::DrainWatch;
use crate::registry::{ConnGuard, Registry};
use crate::worker::Workers;

/// Connections that one wake-up of a worker accepts before the others have their turn.
const BATCH: usize = 64;

/// Takes over accepted connections.
pub trait Handler: Send + Sync + 'static {
    /// Called on the worker that will carry the connection, within its runtime. It must not block;
    /// what takes time it spawns.
    fn accept(&self, conn: Accepted);

    /// Accepting has paused, for the first time or again after it went on.
    fn paused(&self, pause: &Pause<'_>);

    /// Accepting goes on after a pause.
    fn resumed(&self, listener: &str);
}

/// A connection that was accepted and registered.
pub struct Accepted {
    /// Nonblocking, `TCP_NODELAY` set, not watched by the runtime.
    pub socket: OwnedFd,
    /// Its registration.
    pub guard: ConnGuard,
}

/// Why accepting pauses.
#[derive(Clone, Copy, Debug)]
pub struct Pause<'a> {
    /// Name of the listener.
    pub listener: &'a str,
    /// Label of the metric.
    pub cause: PauseCause,
    /// What the system said.
    pub error: Option<Errno>,
}

/// Why accepting pauses: a label of bounded values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PauseCause {
    /// No descriptor is left to the process or to the system.
    Descriptors,
    /// The system has no memory for a socket.
    Memory,
    /// As many connections are open as the settings allow.
    Connections,
    /// Any other failure of `accept(2)`.
    Other,
}

impl PauseCause {
    /// The word in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::Connections => "connections",
            Self::Other => "other",
        }
    }
}

/// How a listener accepts.
#[derive(Clone, Debug)]
pub struct AcceptConfig {
    /// Open connections of the process above which accepting pauses. Shared, and read at each accept:
    /// whoever made it may move it while listeners serve.
    pub max_connections: Arc<AtomicUsize>,
    /// First pause; it doubles up to 16 times this.
    pub backoff: Duration,
}

/// A port that is bound but does not listen yet: a connection to it is refused.
#[derive(Debug)]
pub struct Bound {
    name: Arc<str>,
    address: SocketAddr,
    first: OwnedFd,
}

/// The address is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("listener {name}: cannot bind {address}: {source}{}", way_out(source))]
pub struct BindError {
    /// Name of the listener.
    pub name: String,
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process has this port: stop it or choose another address",
        io::ErrorKind::AddrNotAvailable => "; no interface of this host has this address",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE: grant it or choose a higher port"
        }
        _ => "",
    }
}

impl Bound {
    /// Binds `address`. Port 0 lets the kernel choose one.
    ///
    /// # Errors
    /// When the address is taken, not of this host, or not permitted.
    pub fn bind(name: &str, address: SocketAddr) -> Result<Self, BindError> {
        let fail = |source: Errno| BindError { name: name.to_owned(), address, source: source.into() };
        let first = bind_one(address, Share::Not).map_err(fail)?;
        let address = rustix::net::getsockname(&first).and_then(SocketAddr::try_from).map_err(fail)?;
        Ok(Self { name: name.into(), address, first })
    }

    /// Name of the listener.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address with the port that the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Listens, and accepts on every worker until `drain` starts. What waits in the kernel's queue
    /// at that moment is still accepted: after that the tasks that are returned end.
    ///
    /// # Errors
    /// When somebody else has begun to listen on the address since it was bound.
    pub fn serve<H: Handler>(
        self,
        workers: &Workers,
        registry: &Arc<Registry>,
        handler: &Arc<H>,
        drain: &DrainWatch,
        config: &AcceptConfig,
    ) -> Result<Vec<JoinHandle<()>>, BindError> {
        let Self { name, address, first } = self;
        let sockets = listen_all(address, first, workers.count()).map_err(|errno| BindError {
            name: name.as_ref().to_owned(),
            address,
            source: errno.into(),
        })?;
        let accept = |(worker, socket)| {
            let acceptor = Acceptor {
                worker,
                name: Arc::clone(&name),
                registry: Arc::clone(registry),
                handler: Arc::clone(handler),
                config: config.clone(),
                pause: None,
            };
            workers.spawn_on(worker, acceptor.run(socket, drain.clone()))
        };
        Ok(sockets.into_iter().enumerate().filter_map(accept).collect())
    }
}

/// Bounded by `net.core.somaxconn` besides.
const BACKLOG: i32 = 4096;
const BATCHES_IN_QUEUE: usize = BACKLOG as usize / BATCH + 1;

/// One listening socket per worker.
fn listen_all(address: SocketAddr, first: OwnedFd, workers: usize) -> Result<Vec<OwnedFd>, Errno> {
    rustix::net::listen(&first, BACKLOG)?;
    // The address is ours now: our other sockets may join it.
    sockopt::set_socket_reuseport(&first, true)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        let socket = bind_one(address, Share::WithOurs)?;
        rustix::net::listen(&socket, BACKLOG)?;
        sockets.push(socket);
    }
    Ok(sockets)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    Not,
    WithOurs,
}

fn bind_one(address: SocketAddr, share: Share) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of an earlier process that still fade away do not count as taken.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if share == Share::WithOurs {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    // Accepted sockets inherit it: no call per connection.
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

struct Acceptor<H> {
    worker: usize,
    name: Arc<str>,
    registry: Arc<Registry>,
    handler: Arc<H>,
    config: AcceptConfig,
    pause: Option<Duration>,
}

/// Why a batch ended.
enum Batch {
    Empty,
    Full,
    Pause(PauseCause, Option<Errno>),
}

impl<H: Handler> Acceptor<H> {
    async fn run(mut self, socket: OwnedFd, mut drain: DrainWatch) {
        // A listening socket under the type of a connection: the runtime watches any descriptor so,
        // and it keeps accept(2) ours, with its batches and without a registration per connection.
        let listener = match TcpStream::from_std(socket.into()) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(listener = &*self.name, %error, "cannot watch the listening socket");
                return;
            }
        };
        loop {
            tokio::select! {
                biased;
                ready = listener.ready(Interest::READABLE) => if ready.is_err() { return },
                () = drain.started() => break,
            }
            match self.batch(&listener) {
                Batch::Empty => {
                    self.resume();
                    drop(listener.try_io(Interest::READABLE, would_block));
                }
                Batch::Full => {
                    self.resume();
                    tokio::task::yield_now().await;
                    if drain.is_draining() {
                        break;
                    }
                }
                Batch::Pause(cause, error) => tokio::select! {
                    () = self.back_off(cause, error) => {}
                    () = drain.started() => break,
                },
            }
        }
        // A closed listener resets what waits in its queue: take it first, but no more than can wait.
        for _ in 0..BATCHES_IN_QUEUE {
            if !matches!(self.batch(&listener), Batch::Full) {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    fn batch(&mut self, listener: &TcpStream) -> Batch {
        for _ in 0..BATCH {
            if self.registry.open() >= self.config.max_connections.load(Ordering::Relaxed) {
                // Being full is no news until somebody is kept waiting.
                return if somebody_waits(listener) {
                    Batch::Pause(PauseCause::Connections, None)
                } else {
                    Batch::Empty
                };
            }
            match accept(listener) {
                Ok((socket, peer)) => {
                    if let Some(guard) = self.registry.register(self.worker, &self.name, peer) {
                        self.hand_over(Accepted { socket, guard });
                    }
                }
                Err(Errno::AGAIN) => return Batch::Empty,
                // The client has gone already, or a signal came.
                Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::PERM) => {}
                // The kernel says so also when nobody waits.
                Err(Errno::MFILE | Errno::NFILE) if !somebody_waits(listener) => return Batch::Empty,
                Err(errno @ (Errno::MFILE | Errno::NFILE)) => {
                    return Batch::Pause(PauseCause::Descriptors, Some(errno));
                }
                Err(errno @ (Errno::NOBUFS | Errno::NOMEM)) => {
                    return Batch::Pause(PauseCause::Memory, Some(errno));
                }
                Err(errno) => return Batch::Pause(PauseCause::Other, Some(errno)),
            }
        }
        Batch::Full
    }

    /// A mistake in the handler costs its connection, not the listener.
    fn hand_over(&self, conn: Accepted) {
        let handed = std::panic::catch_unwind(AssertUnwindSafe(|| self.handler.accept(conn)));
        if handed.is_err() {
            tracing::error!(listener = &*self.name, "the handler of a connection panicked");
        }
    }

    async fn back_off(&mut self, cause: PauseCause, error: Option<Errno>) {
        let pause = match self.pause {
            Some(last) => (last * 2).min(self.config.backoff * 16),
            None => {
                self.handler.paused(&Pause { listener: &self.name, cause, error });
                self.config.backoff
            }
        };
        self.pause = Some(pause);
        tokio::time::sleep(pause).await;
    }

    fn resume(&mut self) {
        if self.pause.take().is_some() {
            self.handler.resumed(&self.name);
        }
    }
}

fn accept(listener: impl AsFd) -> Result<(OwnedFd, SocketAddr), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    // No address means that the client has gone already.
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok()).ok_or(Errno::CONNABORTED)?;
    Ok((socket, peer))
}

fn somebody_waits(listener: &TcpStream) -> bool {
    let mut events = [PollFd::new(listener, PollFlags::IN)];
    rustix::event::poll(&mut events, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn would_block() -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}
