//! From a request to its answer.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};

use super::{AdminDeps, Page, home, host};
use crate::metrics::Metrics;

/// Answers of the endpoint.
pub(super) struct Router {
    pub(super) deps: AdminDeps,
    pub(super) bound: SocketAddr,
}

type Answer = Response<Full<Bytes>>;

/// Path and content of the pages that every process has.
pub(super) const OWN: [(&str, &str); 4] = [
    ("/", "this process at a glance, for people"),
    ("/ready", "200 if traffic would be served right, else 503 with the reasons"),
    ("/live", "200 if the process answers"),
    ("/metrics", "counters and gauges for Prometheus"),
];

impl Router {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        if !host::allowed(self.bound, request.headers(), request.uri().authority()) {
            let why =
                "This endpoint is bound to loopback and answers to localhost and loopback addresses only.\n";
            return text(StatusCode::MISDIRECTED_REQUEST, why);
        }
        if request.uri().path() == "/log-level" && self.deps.token.is_some() {
            return self.log_level(request).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let refusal = text(StatusCode::METHOD_NOT_ALLOWED, "This endpoint only reads: GET and HEAD.\n");
            return with(refusal, ALLOW, "GET, HEAD");
        }
        // The HTTP library leaves out the body of an answer to HEAD.
        self.page(request.uri().path(), request.uri().query(), request.headers())
    }

    fn page(&self, path: &str, query: Option<&str>, headers: &HeaderMap) -> Answer {
        match path {
            "/" => page(home::HTML, home::render(&self.deps)),
            home::STYLE_PATH => page(home::CSS, home::STYLE),
            "/live" => text(StatusCode::OK, "live\n"),
            "/ready" => self.ready(),
            "/metrics" if wants_old_format(headers) => {
                page(Metrics::PROMETHEUS_TEXT, self.deps.metrics.encode_prometheus_text())
            }
            "/metrics" => page(Metrics::OPEN_METRICS, self.deps.metrics.encode()),
            _ => match self.deps.pages.page(path, query) {
                Some(Page { content_type, body }) => page(content_type, body),
                None => self.not_found(),
            },
        }
    }

    fn ready(&self) -> Answer {
        match self.deps.ready.state() {
            Ok(()) => text(StatusCode::OK, "ready\n"),
            Err(unmet) => {
                let reasons: String = unmet.iter().map(|(name, why)| format!("{name}: {why}\n")).collect();
                text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{reasons}"))
            }
        }
    }

    fn not_found(&self) -> Answer {
        let pages = OWN.iter().chain(self.deps.pages.index());
        let list: String = pages.map(|(path, content)| format!("  {path:<14} {content}\n")).collect();
        text(StatusCode::NOT_FOUND, format!("There is no such page. There are:\n{list}"))
    }

    /// `GET` shows the level, `PUT` with the token changes it; the body is the level.
    async fn log_level(&self, request: Request<Incoming>) -> Answer {
        match *request.method() {
            Method::GET | Method::HEAD => text(StatusCode::OK, format!("{}\n", self.deps.log.level())),
            Method::PUT => self.set_log_level(request).await,
            _ => with(text(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD or PUT.\n"), ALLOW, "GET, HEAD, PUT"),
        }
    }

    async fn set_log_level(&self, request: Request<Incoming>) -> Answer {
        let allowed = self.deps.token.as_ref().map(|token| token.allows(request.headers()));
        match allowed {
            Some(Ok(true)) => {}
            Some(Ok(false)) | None => {
                tracing::debug!("a change of the log level without the right token was refused");
                let refusal =
                    text(StatusCode::UNAUTHORIZED, "This needs the token of the admin token file.\n");
                return with(refusal, WWW_AUTHENTICATE, "Bearer");
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the admin token cannot be checked: nothing is allowed");
                return text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The admin token file cannot be used; see the log.\n",
                );
            }
        }
        // The longest level has five letters.
        let Ok(body) = Limited::new(request.into_body(), 64).collect().await else {
            return text(StatusCode::BAD_REQUEST, "The body is a log level and nothing else.\n");
        };
        let body = body.to_bytes();
        let level = String::from_utf8_lossy(body.trim_ascii());
        match self.deps.log.set_level(&level) {
            Ok(()) => {
                tracing::warn!(level = &*level, "the log level was changed");
                text(StatusCode::OK, format!("{level}\n"))
            }
            Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        }
    }
}

/// Browsers and old scrapers ask for text and cannot show OpenMetrics.
fn wants_old_format(headers: &HeaderMap) -> bool {
    let accepts = |what: &str| {
        headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(what)))
    };
    !accepts("application/openmetrics-text") && (accepts("text/plain") || accepts("text/html"))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = page(Page::TEXT, body);
    *answer.status_mut() = status;
    answer
}

fn page(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    with(Response::new(Full::new(body.into())), CONTENT_TYPE, content_type)
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}
