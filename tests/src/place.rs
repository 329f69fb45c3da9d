//! Where a socket or a process lives: in the network of this process, or in a namespace.

use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::process::{Child, Command};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::Netns;

/// A blocking connect in a namespace gives up after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A network to live in.
#[derive(Debug, Clone, Default)]
pub enum Place {
    /// The network of this process.
    #[default]
    Here,
    /// A network namespace.
    Inside(Netns),
}

impl From<&Netns> for Place {
    fn from(netns: &Netns) -> Self {
        Place::Inside(netns.clone())
    }
}

impl Place {
    /// Connects to `to`.
    ///
    /// # Errors
    /// As the kernel says.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let stream = match self {
            Place::Here => new_socket(to)?.connect(to).await?,
            Place::Inside(netns) => {
                let netns = netns.clone();
                let connect = move || netns.run(move || StdStream::connect_timeout(&to, CONNECT_TIMEOUT));
                let stream = tokio::task::spawn_blocking(connect).await.map_err(io::Error::other)???;
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream)?
            }
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Binds a socket to `to` without listening: its port answers with a reset.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn bind(&self, to: SocketAddr) -> io::Result<TcpSocket> {
        let bind = move || {
            let socket = new_socket(to)?;
            socket.set_reuseaddr(true)?;
            socket.bind(to).map(|()| socket)
        };
        match self {
            Place::Here => bind(),
            Place::Inside(netns) => netns.run(bind)?,
        }
    }

    /// Listens on `at`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn listen(&self, at: SocketAddr) -> io::Result<TcpListener> {
        self.bind(at)?.listen(1024)
    }

    /// Starts a process.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        match self {
            Place::Here => command.spawn(),
            // A child is born in the namespace of the thread that makes it.
            Place::Inside(netns) => netns.run(move || command.spawn())?,
        }
    }

    /// Runs `work` where this is, on a thread that may wait; sockets and processes made there stay there.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        match self {
            Place::Here => Ok(work()),
            Place::Inside(netns) => netns.run(work),
        }
    }
}

fn new_socket(for_address: SocketAddr) -> io::Result<TcpSocket> {
    if for_address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}
