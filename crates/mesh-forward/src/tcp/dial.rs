//! Connecting to one of several endpoints, within one budget of time.
//!
//! [`start`] does all that can be done without waiting: on the same host, and for an endpoint that
//! refuses there, that is everything. Otherwise [`Dialling`] waits: an endpoint that refuses is
//! followed by another at once; one that stays silent gets company after a third of the budget, and
//! again after two thirds. The first that answers is taken. At most three are tried, or fewer where
//! the plan says so: nothing was sent to any of them before, so trying is safe, but each costs the
//! endpoint a connection.
//!
//! Only connect failures count against an endpoint; what happens later is not its fault for sure.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use mesh_endpoints::{EjectionNotice, EndpointSet, Pick, Refused};
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::socket::{Keepalive, clear_writable, connect, local_address, register, send};

/// Endpoints that one connection tries at most, whatever its plan says.
pub const MOST_ATTEMPTS: usize = 3;

/// Endpoints that are looked at for one connection, those passed over included.
const MOST_LOOKED_AT: usize = 8;

/// What a dial needs to know beside its endpoints.
#[derive(Clone, Debug)]
pub struct DialPlan {
    /// Time for all attempts together.
    pub budget: Duration,
    /// Keepalive of the upstream connection.
    pub keepalive: Option<Keepalive>,
    /// Addresses that are the gateway itself.
    pub own: Arc<OwnAddresses>,
    /// Endpoints to try: 1 to [`MOST_ATTEMPTS`]; more counts as that many.
    pub attempts: u8,
    /// The address of this host that connections leave from; the kernel chooses one otherwise. The
    /// kernel keeps a port of it for each connection, so that it has about 28,000 of them
    /// (`net.ipv4.ip_local_port_range`), whatever their endpoints are. An endpoint of the other
    /// family cannot be dialled then; it is passed over and is no attempt.
    pub source: Option<IpAddr>,
    /// A handshake follows the connect: the [`Pick`] goes on counting as connecting, and the caller
    /// says how the handshake went by [`Pick::connected`] or [`Pick::failed`].
    pub handshake: bool,
}

impl DialPlan {
    fn most_attempts(&self) -> u8 {
        self.attempts.clamp(1, u8::try_from(MOST_ATTEMPTS).unwrap_or(u8::MAX))
    }

    /// Whether an endpoint is of the source address's family.
    fn check_family(&self, endpoint: SocketAddr) -> Result<(), DialError> {
        match self.source {
            Some(source_address) if source_address.is_ipv4() != endpoint.is_ipv4() => {
                Err(DialError::Source { endpoint, source_address, errno: Errno::AFNOSUPPORT })
            }
            _ => Ok(()),
        }
    }
}

/// Where this gateway itself listens or is advertised: dialling there would be a loop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    /// Listening or advertised addresses; with an unspecified IP, that port on every address of
    /// this host.
    pub addresses: Vec<SocketAddr>,
}

/// A connection to an endpoint.
#[derive(Debug)]
pub struct Dialled {
    /// Connected and nonblocking.
    pub socket: Socket,
    /// The endpoint, counted as open.
    pub pick: Pick,
    /// How many of the first bytes it has taken.
    pub sent: usize,
    /// How many endpoints were tried, this one included.
    pub attempts: u8,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The endpoint set refused to name an endpoint: empty, or at a limit.
    #[error("no endpoint to try: {0:?}")]
    NoEndpoint(Refused),
    /// The endpoint is the gateway itself. A mistake in the documents; another try cannot help.
    #[error("endpoint {0} is this gateway itself")]
    Loop(SocketAddr),
    /// Every endpoint tried refused or was unreachable; the last one is named.
    #[error("endpoint {0} refused: {1}")]
    Failed(SocketAddr, Errno),
    /// No endpoint answered within the budget; the last one tried is named.
    #[error("endpoint {0} did not answer in time")]
    TimedOut(SocketAddr),
    /// This process has no descriptor or memory left for another socket.
    #[error("no socket: {0}")]
    NoSocket(Errno),
    /// The plan's source address cannot be used for this endpoint: it is of the other family, not of
    /// this host, or has no port left. Not the endpoint's fault.
    #[error("cannot dial {endpoint} from {source_address}: {errno}")]
    Source {
        /// The endpoint.
        endpoint: SocketAddr,
        /// [`DialPlan::source`].
        source_address: IpAddr,
        /// What the system says.
        errno: Errno,
    },
}

/// A dial that led nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct DialFailure {
    /// Why, by the last endpoint tried.
    pub error: DialError,
    /// How many endpoints were tried.
    pub attempts: u8,
}

/// What [`start`] achieved without waiting.
#[derive(Debug)]
pub enum Start {
    /// Connected, and some or all of the first bytes are sent.
    Connected(Dialled),
    /// Somebody has to wait: [`Dialling::finish`].
    Waiting(Dialling),
}

/// What happened on the way, for counters and logs.
pub trait DialObserver {
    /// `address` refused, was unreachable or stayed silent.
    fn failed(&self, address: SocketAddr, why: DialError);
    /// `address` is left out for a while.
    fn ejected(&self, notice: &EjectionNotice);
}

/// Attempts under way.
#[derive(Debug)]
pub struct Dialling {
    set: Arc<EndpointSet>,
    plan: DialPlan,
    /// Not to be picked again.
    tried: Vec<SocketAddr>,
    attempts: u8,
    /// There is nobody else.
    exhausted: bool,
    pending: Vec<Attempt>,
    last: Option<DialError>,
}

#[derive(Debug)]
struct Attempt {
    socket: Option<Socket>,
    pick: Pick,
    since: tokio::time::Instant,
}

/// A socket, before or after the runtime has begun to watch it.
#[derive(Debug)]
pub enum Socket {
    /// Nobody watches it yet.
    New(OwnedFd),
    /// The runtime of this thread watches it.
    Watched(TcpStream),
}

impl Socket {
    /// The socket, watched by the runtime of this thread.
    ///
    /// # Errors
    /// When the runtime cannot watch it: out of memory or of watches.
    pub fn watch(self) -> io::Result<TcpStream> {
        match self {
            Self::New(fd) => register(fd),
            Self::Watched(stream) => Ok(stream),
        }
    }
}

/// Picks and dials, and sends `first` (which may be empty) as soon as it connects, all without
/// waiting.
///
/// # Errors
/// [`DialFailure`] when every endpoint failed at once, or none may be tried.
pub fn start(
    set: &Arc<EndpointSet>,
    plan: &DialPlan,
    now: Instant,
    random: &mut dyn FnMut() -> u64,
    first: &[u8],
    observer: &dyn DialObserver,
) -> Result<Start, DialFailure> {
    start_beside(set, plan, now, random, first, observer, &[])
}

/// The same for a connection that has tried the endpoints `beside` in vain already: they are left out,
/// and count among its attempts.
///
/// # Errors
/// As for [`start`]; [`Refused::AllTried`] when there is no other endpoint or no attempt left.
pub fn start_beside(
    set: &Arc<EndpointSet>,
    plan: &DialPlan,
    now: Instant,
    random: &mut dyn FnMut() -> u64,
    first: &[u8],
    observer: &dyn DialObserver,
    beside: &[SocketAddr],
) -> Result<Start, DialFailure> {
    let mut tried = [UNSPECIFIED; MOST_LOOKED_AT];
    tried.iter_mut().zip(beside).for_each(|(slot, known)| *slot = *known);
    let mut count = beside.len().min(MOST_LOOKED_AT);
    let mut attempts = u8::try_from(count).unwrap_or(u8::MAX);
    let mut last = None;
    while attempts < plan.most_attempts() && count < MOST_LOOKED_AT {
        let pick = set.pick(now, random(), tried.get(..count).unwrap_or_default()).map_err(|refused| {
            DialFailure { error: last.unwrap_or(DialError::NoEndpoint(refused)), attempts }
        })?;
        let address = pick.address();
        if let Some(slot) = tried.get_mut(count) {
            *slot = address;
        }
        count += 1;
        if let Err(error) = plan.check_family(address) {
            last = Some(error);
            continue;
        }
        attempts += 1;
        match open_and_send(address, plan, first) {
            Ok((socket, Some(sent))) => {
                let (mut pick, socket) = (pick, Socket::New(socket));
                if !plan.handshake {
                    pick.connected();
                }
                return Ok(Start::Connected(Dialled { socket, pick, sent, attempts }));
            }
            Ok((socket, None)) => {
                return Ok(Start::Waiting(Dialling {
                    set: Arc::clone(set),
                    plan: plan.clone(),
                    tried: tried.get(..count).unwrap_or_default().to_vec(),
                    attempts,
                    exhausted: false,
                    pending: vec![Attempt::new(socket, pick)],
                    last,
                }));
            }
            Err(error @ DialError::Failed(..)) => {
                fail(pick, now, error, observer);
                last = Some(error);
            }
            // Somebody else may be the right one.
            Err(error @ (DialError::Loop(_) | DialError::Source { .. })) => last = Some(error),
            Err(error) => return Err(DialFailure { error, attempts }),
        }
    }
    Err(DialFailure { error: last.unwrap_or(DialError::NoEndpoint(Refused::AllTried)), attempts })
}

/// A socket with the bytes that it has taken, or one that is still connecting.
fn open_and_send(
    address: SocketAddr,
    plan: &DialPlan,
    first: &[u8],
) -> Result<(OwnedFd, Option<usize>), DialError> {
    let socket = open(address, plan)?;
    match send(&socket, first) {
        Ok(sent) => Ok((socket, Some(sent))),
        // Nothing was sent: a connecting socket takes no bytes.
        Err(Errno::AGAIN) => Ok((socket, None)),
        Err(errno) => Err(DialError::Failed(address, errno)),
    }
}

const UNSPECIFIED: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

impl Dialling {
    /// Waits for the first endpoint that answers, and sends it `first`.
    ///
    /// # Errors
    /// [`DialFailure`] when none did within the budget.
    pub async fn finish(
        mut self,
        mut random: impl FnMut() -> u64,
        first: &[u8],
        observer: &(dyn DialObserver + Sync),
    ) -> Result<Dialled, DialFailure> {
        let outcome = self.race(&mut random, first, observer).await;
        outcome.map_err(|error| DialFailure { error, attempts: self.attempts })
    }

    async fn race(
        &mut self,
        random: &mut impl FnMut() -> u64,
        first: &[u8],
        observer: &(dyn DialObserver + Sync),
    ) -> Result<Dialled, DialError> {
        let started = tokio::time::Instant::now();
        let end = started + self.plan.budget;
        let slice = self.plan.budget / u32::try_from(MOST_ATTEMPTS).unwrap_or(1);
        let mut company = started + slice;
        loop {
            let until = if self.may_try_more() { company.min(end) } else { end };
            match self.wait(until, first, observer).await {
                Waited::Connected(dialled) => {
                    self.blame_the_silent(slice, observer);
                    return Ok(dialled);
                }
                Waited::AllFailed if self.may_try_more() => {}
                Waited::AllFailed => {
                    return Err(self.last.unwrap_or(DialError::NoEndpoint(Refused::AllTried)));
                }
                Waited::Silence if tokio::time::Instant::now() < end => {}
                Waited::Silence => return Err(self.give_up(slice, observer)),
            }
            company = tokio::time::Instant::now() + slice;
            if let Err(error) = self.try_another(random, observer)
                && self.pending.is_empty()
            {
                return Err(self.last.unwrap_or(error));
            }
        }
    }

    fn may_try_more(&self) -> bool {
        !self.exhausted && self.attempts < self.plan.most_attempts() && self.tried.len() < MOST_LOOKED_AT
    }

    /// Starts one more attempt. With nobody left to try, what is pending remains.
    fn try_another(
        &mut self,
        random: &mut dyn FnMut() -> u64,
        observer: &(dyn DialObserver + Sync),
    ) -> Result<(), DialError> {
        while self.may_try_more() {
            let now = tokio::time::Instant::now().into_std();
            let pick = match self.set.pick(now, random(), &self.tried) {
                Ok(pick) => pick,
                Err(refused) => {
                    // Nobody else is there, now or later: do not ask again.
                    self.exhausted = true;
                    return Err(DialError::NoEndpoint(refused));
                }
            };
            let address = pick.address();
            self.tried.push(address);
            if let Err(error) = self.plan.check_family(address) {
                self.last = Some(error);
                continue;
            }
            self.attempts += 1;
            match open(address, &self.plan) {
                Ok(socket) => {
                    self.pending.push(Attempt::new(socket, pick));
                    return Ok(());
                }
                Err(error @ DialError::Failed(..)) => {
                    fail(pick, now, error, observer);
                    self.last = Some(error);
                }
                Err(error @ (DialError::Loop(_) | DialError::Source { .. })) => self.last = Some(error),
                Err(error) => {
                    self.last = Some(error);
                    return Err(error);
                }
            }
        }
        Err(self.last.unwrap_or(DialError::NoEndpoint(Refused::AllTried)))
    }

    async fn wait(
        &mut self,
        until: tokio::time::Instant,
        first: &[u8],
        observer: &(dyn DialObserver + Sync),
    ) -> Waited {
        let mut timer = std::pin::pin!(sleep_until(until));
        poll_fn(|cx| self.poll_wait(timer.as_mut(), cx, first, observer)).await
    }

    fn poll_wait(
        &mut self,
        timer: std::pin::Pin<&mut Sleep>,
        cx: &mut Context<'_>,
        first: &[u8],
        observer: &dyn DialObserver,
    ) -> Poll<Waited> {
        let mut index = 0;
        while let Some(attempt) = self.pending.get_mut(index) {
            match attempt.poll(cx, first) {
                Poll::Pending => index += 1,
                Poll::Ready(Ok((socket, sent))) => {
                    let mut pick = self.pending.swap_remove(index).pick;
                    if !self.plan.handshake {
                        pick.connected();
                    }
                    let attempts = self.attempts;
                    return Poll::Ready(Waited::Connected(Dialled { socket, pick, sent, attempts }));
                }
                Poll::Ready(Err(errno)) => {
                    let pick = self.pending.swap_remove(index).pick;
                    let error = DialError::Failed(pick.address(), errno);
                    self.last = Some(error);
                    fail(pick, tokio::time::Instant::now().into_std(), error, observer);
                }
            }
        }
        if self.pending.is_empty() {
            return Poll::Ready(Waited::AllFailed);
        }
        timer.poll(cx).map(|()| Waited::Silence)
    }

    /// An endpoint that stayed silent for a third of the budget and was overtaken counts as failed;
    /// one that was only just asked does not.
    fn blame_the_silent(&mut self, slice: Duration, observer: &(dyn DialObserver + Sync)) {
        let now = tokio::time::Instant::now().into_std();
        for attempt in self.pending.drain(..).filter(|attempt| attempt.since.elapsed() >= slice) {
            let error = DialError::TimedOut(attempt.pick.address());
            fail(attempt.pick, now, error, observer);
        }
    }

    fn give_up(&mut self, slice: Duration, observer: &(dyn DialObserver + Sync)) -> DialError {
        let silent = self.pending.first().map(|attempt| DialError::TimedOut(attempt.pick.address()));
        self.blame_the_silent(slice, observer);
        silent.or(self.last).unwrap_or(DialError::NoEndpoint(Refused::AllTried))
    }
}

enum Waited {
    Connected(Dialled),
    AllFailed,
    Silence,
}

impl Attempt {
    fn new(socket: OwnedFd, pick: Pick) -> Self {
        Self { socket: Some(Socket::New(socket)), pick, since: tokio::time::Instant::now() }
    }

    fn poll(&mut self, cx: &mut Context<'_>, first: &[u8]) -> Poll<Result<(Socket, usize), Errno>> {
        let stream = match self.socket.take().map(Socket::watch) {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => {
                return Poll::Ready(Err(Errno::from_io_error(&error).unwrap_or(Errno::NOMEM)));
            }
            None => return Poll::Ready(Err(Errno::BADF)),
        };
        let polled = poll_send(&stream, cx, first);
        match polled {
            Poll::Ready(Ok(sent)) => Poll::Ready(Ok((Socket::Watched(stream), sent))),
            Poll::Ready(Err(errno)) => Poll::Ready(Err(errno)),
            Poll::Pending => {
                self.socket = Some(Socket::Watched(stream));
                Poll::Pending
            }
        }
    }
}

/// Sends as soon as the socket is connected.
fn poll_send(stream: &TcpStream, cx: &mut Context<'_>, first: &[u8]) -> Poll<Result<usize, Errno>> {
    loop {
        if ready!(stream.poll_write_ready(cx)).is_err() {
            return Poll::Ready(Err(Errno::CANCELED));
        }
        match send(stream, first) {
            // The event came before the connection.
            Err(Errno::AGAIN) => clear_writable(stream),
            done => return Poll::Ready(done),
        }
    }
}

fn open(address: SocketAddr, plan: &DialPlan) -> Result<OwnedFd, DialError> {
    if plan.own.addresses.contains(&address) || (address.ip().is_loopback() && plan.own.everywhere(address)) {
        return Err(DialError::Loop(address));
    }
    let socket =
        connect(address, plan.source, plan.keepalive).map_err(|errno| match (errno, plan.source) {
            (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM, _) => DialError::NoSocket(errno),
            (
                Errno::ADDRNOTAVAIL | Errno::ADDRINUSE | Errno::AFNOSUPPORT | Errno::INVAL,
                Some(source_address),
            ) => DialError::Source { endpoint: address, source_address, errno },
            _ => DialError::Failed(address, errno),
        })?;
    if plan.own.is_own(&socket, address) { Err(DialError::Loop(address)) } else { Ok(socket) }
}

impl OwnAddresses {
    /// Whether a listener on every address of this host has the port, and takes this kind of address.
    fn everywhere(&self, address: SocketAddr) -> bool {
        let takes = |own: &SocketAddr| own.is_ipv6() || address.is_ipv4();
        self.addresses
            .iter()
            .any(|own| own.ip().is_unspecified() && own.port() == address.port() && takes(own))
    }

    /// For such listeners: a connection to an address of this host leaves from the same address,
    /// because the kernel chooses it so. Asked only where the port is one of ours.
    fn is_own(&self, socket: &OwnedFd, address: SocketAddr) -> bool {
        self.everywhere(address) && local_address(socket).is_some_and(|local| local.ip() == address.ip())
    }
}

fn fail(pick: Pick, now: Instant, error: DialError, observer: &dyn DialObserver) {
    let address = pick.address();
    observer.failed(address, error);
    if let Some(notice) = pick.failed(now) {
        observer.ejected(&notice);
    }
}
