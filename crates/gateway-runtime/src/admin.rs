//! The admin endpoint: HTTP on an address of its own, loopback by default, for people, probes and scrapers.
//!
//! It only reads, `PUT /log-level` excepted, which exists only with a token. What a page shows is handed in
//! ([`Pages`]); `/`, `/live`, `/ready`, `/metrics` and `/log-level` are served here.
//!
//! It shares a thread with the control of the process, so everything is bounded: connections, headers, the time of a
//! request and of a connection. One request per connection keeps those bounds simple, and costs nothing on loopback.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

pub use self::token::{AdminToken, TokenError};
use crate::metrics::Metrics;
use crate::ready::Ready;
use crate::telemetry::LogControl;

mod home;
mod host;
mod route;
mod token;

/// A page of the process, made when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Value of the header, for example [`Page::JSON`].
    pub content_type: &'static str,
    /// The page.
    pub body: String,
}

impl Page {
    /// Content type of a JSON page.
    pub const JSON: &'static str = "application/json";
    /// Content type of a text page.
    pub const TEXT: &'static str = "text/plain; charset=utf-8";

    /// A page of JSON.
    #[must_use]
    pub fn json(body: String) -> Page {
        Page { content_type: Page::JSON, body }
    }

    /// A page of plain text.
    #[must_use]
    pub fn text(body: String) -> Page {
        Page { content_type: Page::TEXT, body }
    }
}

/// The pages that a gateway brings.
pub trait Pages: Send + Sync {
    /// The page at `path` (`/snapshot`), or `None` if there is none. It runs on the control thread: what is large is
    /// bounded by the page itself, for example by `?limit=` in `query`. Paths of the endpoint's own never arrive here.
    fn page(&self, path: &str, query: Option<&str>) -> Option<Page>;

    /// Path and content of each page, in one short line, for the list that `/` and unknown paths show.
    fn index(&self) -> &[(&'static str, &'static str)] {
        &[]
    }

    /// What the process calls itself on `/`.
    fn title(&self) -> &str {
        "gateway"
    }
}

/// What the endpoint shows and controls.
#[derive(Clone)]
pub struct AdminDeps {
    /// For `/ready`.
    pub ready: Ready,
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Everything else.
    pub pages: Arc<dyn Pages>,
    /// For `PUT /log-level`.
    pub log: LogControl,
    /// Without a token nothing can be changed, and `/log-level` does not exist.
    pub token: Option<AdminToken>,
}

/// Bounds of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminLimits {
    /// Connections at one time; more wait in the queue of the kernel.
    pub connections: usize,
    /// For the whole head of a request.
    pub header: Duration,
    /// For the answer to a request.
    pub request: Duration,
    /// For a connection from accept to end, a reader who does not read included.
    pub connection: Duration,
}

impl Default for AdminLimits {
    /// 64 connections, 10 s for the head, 10 s for the answer, 30 s in all.
    fn default() -> AdminLimits {
        AdminLimits {
            connections: 64,
            header: Duration::from_secs(10),
            request: Duration::from_secs(10),
            connection: Duration::from_secs(30),
        }
    }
}

/// The endpoint, bound to its address.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    limits: AdminLimits,
}

impl Admin {
    /// Binds the address and listens; connections wait until [`Admin::serve`]. Port 0 lets the kernel choose.
    ///
    /// # Errors
    /// The address is in use, not ours, or not allowed.
    pub fn bind(address: SocketAddr) -> io::Result<Admin> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Admin { listener, address, limits: AdminLimits::default() })
    }

    /// The same endpoint with other bounds.
    #[must_use]
    pub fn with_limits(self, limits: AdminLimits) -> Admin {
        Admin { limits, ..self }
    }

    /// The address with the port that was chosen.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready; answers under way then have one more second. Run it inside a runtime.
    ///
    /// # Errors
    /// The runtime refuses the socket.
    pub async fn serve(self, deps: AdminDeps, stop: impl Future<Output = ()>) -> io::Result<()> {
        let limits = self.limits;
        let router = Arc::new(route::Router { deps, bound: self.address });
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                    Ok((socket, _)) => {
                        connections.spawn(connection(socket, Arc::clone(&router), limits));
                    }
                    // Out of descriptors, most likely: what is open ends in its time.
                    Err(error) => {
                        tracing::debug!(%error, "the admin endpoint cannot accept");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(listener);
        let rest = async { while connections.join_next().await.is_some() {} };
        // What is left is cut when the set is dropped.
        let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
        Ok(())
    }
}

/// No script, no frame, no form, nothing from elsewhere; the style is a page of our own.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn connection(socket: TcpStream, router: Arc<route::Router>, limits: AdminLimits) {
    let always =
        |name: HeaderName, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    let service = ServiceBuilder::new()
        .layer(always(CACHE_CONTROL, "no-store"))
        .layer(always(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(CONTENT_SECURITY_POLICY, POLICY))
        .layer(always(REFERRER_POLICY, "no-referrer"))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limits.request))
        .service_fn(move |request: Request<Incoming>| {
            let router = Arc::clone(&router);
            async move { Ok::<Response<Full<Bytes>>, Infallible>(router.answer(request).await) }
        });
    let serve = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_headers(64)
        .max_buf_size(16 * 1024)
        .keep_alive(false)
        // A script that closes its side after the request still gets its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service));
    // A client that sends rubbish, stalls or leaves is its own business.
    let _ = tokio::time::timeout(limits.connection, serve).await;
}
