//! A small HTTP server that does as it is told: answers, holds, refuses, dies.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsAcceptor;

/// Streams that Consul takes on one HTTP/2 connection.
const STREAMS: u32 = 250;

/// Consul's answer to a connection too many.
const REFUSAL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\n\
    Connection: close\r\n\r\nYour IP is issuing too many concurrent connections, please rate limit your calls\n";

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn blocks(&self) -> bool {
        self.target.contains("index=")
    }
}

/// What to do with a request.
pub(crate) enum Reply {
    Now(Response<Bytes>),
    /// Held until the agent is told to release.
    Held(Response<Bytes>),
}

pub(crate) fn ok(body: &'static str) -> Response<Bytes> {
    Response::builder().header("X-Consul-Index", "7").body(Bytes::from_static(body.as_bytes())).unwrap()
}

pub(crate) fn status(status: u16, body: &'static str) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
}

/// Answers at once what does not block, holds what does.
pub(crate) fn holding(seen: &Seen) -> Reply {
    if seen.blocks() { Reply::Held(ok("[\"held\"]")) } else { Reply::Now(ok("[]")) }
}

/// What happens to a connection above the agent's limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Above {
    /// It is told, before it says anything.
    Refused,
    /// It is closed.
    Closed,
}

type Handler = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) most_open: AtomicUsize,
    pub(crate) turned_away: AtomicUsize,
    pub(crate) held: AtomicUsize,
    pub(crate) cancelled: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
}

struct Inner {
    counts: Counts,
    handler: Handler,
    release: watch::Sender<u64>,
    most: AtomicUsize,
    above: Above,
    tls: Option<TlsAcceptor>,
}

/// The server. It ends, with its connections, when it is dropped.
pub(crate) struct Agent {
    pub(crate) address: String,
    inner: Arc<Inner>,
    listening: JoinHandle<()>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Agent {
    pub(crate) async fn plain(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", None, usize::MAX, Above::Refused, handler).await
    }

    pub(crate) async fn limited(most: usize, above: Above) -> Self {
        Self::at("127.0.0.1:0", None, most, above, holding).await
    }

    pub(crate) async fn tls(
        config: Arc<rustls::ServerConfig>,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::at("127.0.0.1:0", Some(config), usize::MAX, Above::Refused, handler).await
    }

    pub(crate) async fn at(
        address: &str,
        tls: Option<Arc<rustls::ServerConfig>>,
        most: usize,
        above: Above,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let bound = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https://" } else { "" };
        let (inner, connections) = parts(tls, most, above, Arc::new(handler));
        let listening = tokio::spawn({
            let (inner, connections) = (Arc::clone(&inner), Arc::clone(&connections));
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let task = tokio::spawn(serve(Arc::clone(&inner), stream));
                    connections.lock().unwrap().push(task.abort_handle());
                }
            }
        });
        Self { address: format!("{scheme}{bound}"), inner, listening, connections }
    }

    pub(crate) fn unix(path: &Path, handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (inner, connections) = parts(None, usize::MAX, Above::Refused, Arc::new(handler));
        let listening = tokio::spawn({
            let (inner, connections) = (Arc::clone(&inner), Arc::clone(&connections));
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let task = tokio::spawn(serve(Arc::clone(&inner), stream));
                    connections.lock().unwrap().push(task.abort_handle());
                }
            }
        });
        Self { address: format!("unix://{}", path.display()), inner, listening, connections }
    }

    /// Answers everything that is held now.
    pub(crate) fn release(&self) {
        self.inner.release.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn set_most(&self, most: usize) {
        self.inner.most.store(most, Ordering::SeqCst);
    }

    pub(crate) fn accepted(&self) -> usize {
        self.inner.counts.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> usize {
        self.inner.counts.open.load(Ordering::SeqCst)
    }

    pub(crate) fn most_open(&self) -> usize {
        self.inner.counts.most_open.load(Ordering::SeqCst)
    }

    pub(crate) fn turned_away(&self) -> usize {
        self.inner.counts.turned_away.load(Ordering::SeqCst)
    }

    pub(crate) fn held(&self) -> usize {
        self.inner.counts.held.load(Ordering::SeqCst)
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.inner.counts.cancelled.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inner.counts.seen.lock().unwrap().clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.listening.abort();
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }
}

fn parts(
    tls: Option<Arc<rustls::ServerConfig>>,
    most: usize,
    above: Above,
    handler: Handler,
) -> (Arc<Inner>, Arc<Mutex<Vec<AbortHandle>>>) {
    let inner = Inner {
        counts: Counts::default(),
        handler,
        release: watch::Sender::new(0),
        most: AtomicUsize::new(most),
        above,
        tls: tls.map(TlsAcceptor::from),
    };
    (Arc::new(inner), Arc::default())
}

/// A count that goes down when it is dropped.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn new(count: &'a AtomicUsize) -> (Self, usize) {
        let now = count.fetch_add(1, Ordering::SeqCst) + 1;
        (Self(count), now)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(inner: Arc<Inner>, mut stream: S) {
    let counts = &inner.counts;
    counts.accepted.fetch_add(1, Ordering::SeqCst);
    if counts.open.load(Ordering::SeqCst) >= inner.most.load(Ordering::SeqCst) {
        counts.turned_away.fetch_add(1, Ordering::SeqCst);
        let Some(tls) = &inner.tls else {
            if inner.above == Above::Refused {
                let _ = stream.write_all(REFUSAL).await;
                let _ = stream.shutdown().await;
                // As Go does: a reset would take the text away again.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            return;
        };
        drop(tls.accept(stream).await);
        return;
    }
    let (_open, now) = Open::new(&counts.open);
    counts.most_open.fetch_max(now, Ordering::SeqCst);
    match &inner.tls {
        None => http(Arc::clone(&inner), stream, false).await,
        Some(tls) => {
            let Ok(stream) = tls.accept(stream).await else { return };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            http(Arc::clone(&inner), stream, http2).await;
        }
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(inner: Arc<Inner>, stream: S, http2: bool) {
    let service = service_fn(move |request: Request<Incoming>| {
        let inner = Arc::clone(&inner);
        async move { answer(&inner, request).await }
    });
    let io = TokioIo::new(stream);
    // How a connection ends is the client's business.
    let _ = if http2 {
        http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(STREAMS)
            .serve_connection(io, service)
            .await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
}

async fn answer(inner: &Inner, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let seen = Seen {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body.collect().await?.to_bytes(),
    };
    let mut released = inner.release.subscribe();
    inner.counts.seen.lock().unwrap().push(seen.clone());
    let response = match (inner.handler)(&seen) {
        Reply::Now(response) => response,
        Reply::Held(response) => {
            let _held = Open::new(&inner.counts.held);
            let mut cancelled = Cancelled(Some(&inner.counts.cancelled));
            let _ = released.changed().await;
            cancelled.0 = None;
            response
        }
    };
    Ok(response.map(Full::new))
}

/// Counts a hold that ended by no release.
struct Cancelled<'a>(Option<&'a AtomicUsize>);

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A server below HTTP: `script` gets each connection with its number, from 0.
pub(crate) async fn raw<F, Fut>(script: F) -> (String, JoinHandle<()>)
where
    F: Fn(usize, TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(script(number, stream));
        }
    });
    (address, task)
}
