//! Sockets by rustix: the calls that the relay and the dialler need, each one system call.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as StdStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// TCP keepalive of a connection; a field that is `None` keeps the kernel's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
    /// Unanswered probes after which the connection is dead.
    pub probes: Option<u32>,
}

/// Begins to connect to `address` without waiting, from `source` if there is one.
///
/// # Errors
/// What `socket(2)`, `bind(2)` or `connect(2)` says at once: no descriptor left, no route, bad address.
pub(crate) fn connect(
    address: SocketAddr,
    source: Option<IpAddr>,
    keepalive: Option<Keepalive>,
) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = rustix::net::socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        None,
    )?;
    if let Some(keepalive) = keepalive {
        sockopt::set_socket_keepalive(&fd, true)?;
        if let Some(idle) = keepalive.idle {
            sockopt::set_tcp_keepidle(&fd, idle)?;
        }
        if let Some(interval) = keepalive.interval {
            sockopt::set_tcp_keepintvl(&fd, interval)?;
        }
        if let Some(probes) = keepalive.probes {
            sockopt::set_tcp_keepcnt(&fd, probes)?;
        }
    }
    if let Some(source) = source {
        rustix::net::bind(&fd, &SocketAddr::new(source, 0))?;
    }
    match rustix::net::connect(&fd, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(fd),
        Err(errno) => Err(errno),
    }
}

/// Reads what is there; `Ok(0)` is the end of the stream.
///
/// # Errors
/// `AGAIN` when nothing is there; `CONNRESET` and the like when the peer is gone.
pub fn recv(fd: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    retry(|| rustix::net::recv(&fd, &mut *buffer, RecvFlags::empty())).map(|(_, n)| n)
}

/// Whether the stream has ended with nothing left to read.
///
/// # Errors
/// When it was reset.
pub(crate) fn has_ended(fd: impl AsFd) -> Result<bool, Errno> {
    let mut byte = [0u8; 1];
    match retry(|| rustix::net::recv(&fd, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT)) {
        Ok((_, n)) => Ok(n == 0),
        Err(Errno::AGAIN) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Writes what the socket takes now.
///
/// # Errors
/// `AGAIN` when it takes nothing (also while it is still connecting); otherwise the peer is gone.
pub(crate) fn send(fd: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    retry(|| rustix::net::send(&fd, bytes, SendFlags::NOSIGNAL))
}

/// Tells the peer that no more bytes come. A peer that is gone already needs no telling.
pub(crate) fn shutdown_write(fd: impl AsFd) {
    let _gone = rustix::net::shutdown(fd, Shutdown::Write);
}

/// Makes the coming close a reset, so that a cut stream does not look like a complete one.
pub fn reset_on_close(fd: impl AsFd) {
    let _gone = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
}

/// Sends small messages at once.
pub(crate) fn set_nodelay(fd: impl AsFd) {
    // A failure costs latency, not correctness.
    let _slower = sockopt::set_tcp_nodelay(fd, true);
}

/// The socket's own address.
pub(crate) fn local_address(fd: impl AsFd) -> Option<SocketAddr> {
    rustix::net::getsockname(fd).ok()?.try_into().ok()
}

/// Gives a nonblocking socket to the runtime of this thread.
///
/// # Errors
/// What `epoll_ctl(2)` says: out of memory or of watches.
pub fn register(fd: OwnedFd) -> io::Result<TcpStream> {
    TcpStream::from_std(StdStream::from(fd))
}

/// Takes a socket back from the runtime.
///
/// # Errors
/// What `epoll_ctl(2)` says; the socket is closed then.
pub(crate) fn deregister(stream: TcpStream) -> io::Result<OwnedFd> {
    stream.into_std().map(OwnedFd::from)
}

/// Notes that reading would block, without asking the kernel again.
///
/// Sound on a current-thread runtime: no event can be delivered between the read that showed the
/// socket empty and this call, and a later one is a new edge.
pub fn clear_readable(stream: &TcpStream) {
    let _noted = stream.try_io(Interest::READABLE, would_block);
}

/// Notes that writing would block.
pub(crate) fn clear_writable(stream: &TcpStream) {
    let _noted = stream.try_io(Interest::WRITABLE, would_block);
}

fn would_block() -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}
