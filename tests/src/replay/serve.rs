//! The listeners and their connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::answer::{Shared, answer};
use super::journal::Open;
use crate::Place;

/// An agent's own figure.
const STREAMS: u32 = 250;
const BUSY: &str = "Your IP is issuing too many concurrent connections, please rate limit your calls\n";
/// For a client that was turned away to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the listeners obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) listening: bool,
    /// All connections made before it grew are to end.
    pub(super) cut: u64,
    pub(super) limit: Option<usize>,
}

/// One address. Its port is held by a socket that does not listen, so that it can refuse and come back.
pub(super) struct Port {
    pub(super) place: Place,
    pub(super) kept: TcpSocket,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
}

impl Port {
    pub(super) fn new(place: &Place, bind: SocketAddr, tls: Option<TlsAcceptor>) -> std::io::Result<Self> {
        let kept = place.bind(bind)?;
        let address = kept.local_addr()?;
        Ok(Port { place: place.clone(), kept, address, tls })
    }

    fn listen(&self) -> std::io::Result<TcpListener> {
        self.place.listen(self.address)
    }
}

/// Listens, as long as it is told to, until it is aborted.
pub(super) async fn run(
    port: Port,
    first: TcpListener,
    shared: Arc<Shared>,
    mut orders: watch::Receiver<Orders>,
) {
    let _kept = &port.kept;
    let mut connections = tokio::task::JoinSet::new();
    let mut listener = Some(first);
    loop {
        let now = *orders.borrow_and_update();
        if now.listening && listener.is_none() {
            // The port is ours; what can fail is a lack of descriptors, and then the next order tries again.
            listener = port.listen().ok();
        } else if !now.listening {
            listener = None;
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            accepted = accepted => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let (shared, tls, mut orders) = (shared.clone(), port.tls.clone(), orders.clone());
                connections.spawn(async move {
                    let cut = orders.borrow_and_update().cut;
                    let limit = orders.borrow().limit;
                    tokio::select! {
                        () = connection(stream, tls, limit, shared) => {}
                        _ = orders.wait_for(|orders| orders.cut > cut) => {}
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    stream: tokio::net::TcpStream,
    tls: Option<TlsAcceptor>,
    limit: Option<usize>,
    shared: Arc<Shared>,
) {
    let open = Open::new(&shared.journal, limit);
    let Some(acceptor) = tls else {
        return match open {
            Some(open) => serve(stream, false, open, shared).await,
            None => turn_away(stream).await,
        };
    };
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    match open {
        Some(open) => serve(stream, http2, open, shared).await,
        // As an agent: HTTP/2 has no way to say it.
        None if http2 => {}
        None => turn_away(stream).await,
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    http2: bool,
    open: Open,
    shared: Arc<Shared>,
) {
    let open = Arc::new(open);
    let service = service_fn(|request| answer(shared.clone(), open.clone(), request));
    let io = TokioIo::new(stream);
    // How a connection ends is seen at the other end.
    if http2 {
        let service = {
            let (shared, open) = (shared.clone(), open.clone());
            service_fn(move |request| answer(shared.clone(), open.clone(), request))
        };
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.max_concurrent_streams(STREAMS).serve_connection(io, service).await;
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.header_read_timeout(None).serve_connection(io, service).await;
    }
}

async fn turn_away(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let text = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BUSY}",
        BUSY.len()
    );
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
    // What it has sent must be read, or the kernel ends the connection with a reset that overtakes the text.
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(FAREWELL, stream.read_to_end(&mut rest)).await;
}
