//! Sockets to an agent, TLS included.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::names;
use super::site::Site;
use crate::config::{ClientLimits, ClientTimers, Target};

/// Bytes kept of the first that came: enough for a status line.
const FIRST: usize = 16;

/// Keepalive probes without an answer after which the connection is dead.
const PROBES: u32 = 3;

/// A socket that is ready for HTTP.
pub(super) struct Opened {
    pub(super) io: Watched,
    /// ALPN chose HTTP/2.
    pub(super) http2: bool,
}

/// Why an address cannot be used.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) text: String,
    /// It was reached, and ended the connection before anything was said.
    pub(super) died: bool,
}

/// Connects, and ends the TLS handshake. Every address of a name is tried.
pub(super) async fn open(
    site: &Site,
    tls: Option<&Arc<rustls::ClientConfig>>,
    timers: &ClientTimers,
    limits: &ClientLimits,
) -> Result<Opened, Refusal> {
    let unreached = |text: String| Refusal { text, died: false };
    match &site.address.target {
        Target::Unix(path) => within(timers.connect, secured(unix(path), site, tls)).await,
        Target::Tcp { host, port } => {
            let most = limits.addresses_per_name;
            let looked_up =
                names::resolve(host, most, Path::new(names::RESOLV_CONF), Path::new(names::HOSTS));
            let addresses = timeout(timers.connect, looked_up)
                .await
                .map_err(|_| {
                    unreached(format!("no name server answered for {host:?} in {:?}", timers.connect))
                })?
                .map_err(unreached)?;
            let mut last = unreached(format!("{host:?} has no address"));
            for address in addresses {
                let stream = tcp(address, *port, timers.keepalive);
                match within(timers.connect, secured(stream, site, tls)).await {
                    Ok(opened) => return Ok(opened),
                    Err(refusal) => last = refusal,
                }
            }
            Err(last)
        }
    }
}

async fn within(
    time: Duration,
    opening: impl Future<Output = Result<Opened, Refusal>>,
) -> Result<Opened, Refusal> {
    timeout(time, opening)
        .await
        .unwrap_or_else(|_| Err(Refusal { text: format!("no connection within {time:?}"), died: false }))
}

async fn tcp(address: IpAddr, port: u16, keepalive: Duration) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(keepalive)
        .with_interval((keepalive / 4).max(Duration::from_secs(1)))
        .with_retries(PROBES);
    SockRef::from(&socket).set_tcp_keepalive(&probes)?;
    socket.connect(SocketAddr::new(address, port)).await
}

async fn unix(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

async fn secured<S: Socket + 'static>(
    connecting: impl Future<Output = io::Result<S>>,
    site: &Site,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Opened, Refusal> {
    let stream = connecting.await.map_err(|error| Refusal { text: unreachable(&error), died: false })?;
    let (Some(name), Some(tls)) = (&site.tls_name, tls) else {
        return Ok(Opened { io: Watched::new(Box::new(stream)), http2: false });
    };
    let connector = TlsConnector::from(Arc::clone(tls));
    let stream = connector
        .connect(name.clone(), stream)
        .await
        .map_err(|error| Refusal { text: untrusted(&error), died: dies(&error) })?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Opened { io: Watched::new(Box::new(stream)), http2 })
}

fn unreachable(error: &io::Error) -> String {
    format!("{error}; is a Consul agent listening there? (--http-addr, CONSUL_HTTP_ADDR)")
}

/// What an agent over its limit does to a handshake.
fn dies(error: &io::Error) -> bool {
    let broken = matches!(tls_error(error), Some(rustls::Error::InvalidMessage(_)));
    broken || matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn untrusted(error: &io::Error) -> String {
    let way_out = match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "; say which name it has with --tls-server-name (CONSUL_TLS_SERVER_NAME)",
        Some(rustls::Error::InvalidCertificate(_)) => {
            "; is the agent's CA the one of --ca-file (CONSUL_CACERT)?"
        }
        Some(rustls::Error::AlertReceived(
            AlertDescription::BadCertificate | AlertDescription::CertificateRequired,
        )) => {
            "; the agent takes only clients with a certificate of its CA: give --client-cert and --client-key"
        }
        Some(rustls::Error::InvalidMessage(_)) => "; does the agent speak plain HTTP there?",
        _ => "",
    };
    format!("TLS: {error}{way_out}")
}

/// An error with what caused it, each said once.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    if text.contains("CertificateRequired") {
        text.push_str("; the agent wants a certificate: --client-cert and --client-key");
    }
    text
}

/// What can be read and written.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A socket that remembers the first bytes that came. An agent over its limit of connections says so
/// before it was asked anything, where an HTTP client does not listen.
pub(super) struct Watched {
    io: Box<dyn Socket>,
    pub(super) first: First,
}

pub(super) type First = Arc<OnceLock<Box<[u8]>>>;

impl Watched {
    fn new(io: Box<dyn Socket>) -> Self {
        Self { io, first: First::default() }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if self.first.get().is_none()
            && let Some(come) = buffer.filled().get(before..)
            && !come.is_empty()
        {
            self.first.get_or_init(|| come.iter().copied().take(FIRST).collect());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
