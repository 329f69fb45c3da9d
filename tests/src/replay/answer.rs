//! One request: held as an agent holds it, answered, or not.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, Version};
use tokio::sync::watch;

use super::journal::{self, Asked, Held, Open};
use super::lookup::Target;
use super::serve::Orders;
use super::state::{Entry, State, go_duration};
use super::{Fault, agent};
use crate::secret::Secret;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

const USUAL_WAIT: Duration = Duration::from_secs(300);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// So that the first half is on its way before the connection ends.
const HALF_PAUSE: Duration = Duration::from_millis(10);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) journal: journal::Shared,
    pub(super) orders: watch::Receiver<Orders>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a waiting request waits for.
#[derive(Debug)]
enum Wait {
    Index(u64),
    Hash(String),
}

/// Answers `request`, which came on `open`.
///
/// # Errors
/// When the connection is to end without an answer.
pub(super) async fn answer(
    shared: Arc<Shared>,
    open: Arc<Open>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let raw = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let target = Target::parse(&raw);
    let wait = wait_of(&target).filter(|_| head.method == "GET");
    let asked = Asked {
        method: head.method.to_string(),
        target: raw,
        blocking: wait.is_some(),
        http2: head.version == Version::HTTP_2,
        connection: open.number,
        at: Instant::now(),
        end: None,
        status: None,
        user_agent: text("user-agent").unwrap_or_default(),
        token: text("x-consul-token").map(Secret),
        body: body.to_vec(),
    };
    let number = journal::lock(&shared.journal).begin(asked.clone());
    // Also when the client goes away while it waits.
    let mut noted = Noted { shared: shared.clone(), number, status: None };
    let response = respond(&shared, open, &asked, &target, wait.as_ref()).await;
    noted.status = response.as_ref().ok().map(|response| response.status().as_u16());
    response
}

async fn respond(
    shared: &Arc<Shared>,
    open: Arc<Open>,
    asked: &Asked,
    target: &Target,
    wait: Option<&Wait>,
) -> io::Result<Response<Body>> {
    let path = target.path();
    let mut changes = shared.state().watch();
    let began = shared.state().now();
    let fault = loop {
        let fault = shared.state().fault(&asked.target, wait.is_some());
        if fault != Some(Fault::Silent) {
            break fault;
        }
        let _ = changes.changed().await;
    };
    if let Some(fault) = fault {
        return act(&fault, shared, target);
    }
    if let Some(denied) = token_refused(shared, asked) {
        return Ok(denied);
    }
    if asked.method != "GET" {
        return Ok(whole(&agent::write(&mut shared.state(), asked, target)));
    }
    let Some(wait) = wait else { return Ok(read(shared, target)) };
    let until = tokio::time::Instant::now() + hold_for(shared, target);
    let held = Held::new(&shared.journal);
    // HTTP/1 agents go on waiting for a client that is gone, and count its connection.
    let kept = !asked.http2 && !path.starts_with("/v1/agent/connect/");
    let orders = shared.orders.clone();
    let cut = orders.borrow().cut;
    let mut slot = Slot { open: Some(open), until, kept, orders, cut };
    let woken = loop {
        changes.borrow_and_update();
        {
            let state = shared.state();
            if state.is_woken(began, &asked.target) {
                break true;
            }
            if !holds(&state, target, wait) {
                break false;
            }
        }
        if tokio::time::timeout_at(until, changes.changed()).await.is_err() {
            break false;
        }
    };
    slot.kept = false;
    drop(held);
    let fault = shared.state().fault(&asked.target, true).filter(|_| woken);
    match fault {
        Some(fault) => act(&fault, shared, target),
        None => Ok(read(shared, target)),
    }
}

fn wait_of(target: &Target) -> Option<Wait> {
    if let Some(hash) = target.parameter("hash").filter(|hash| !hash.is_empty()) {
        return Some(Wait::Hash(hash.to_owned()));
    }
    let index = target.parameter("index")?.parse().ok()?;
    (index > 0).then_some(Wait::Index(index))
}

fn hold_for(shared: &Shared, target: &Target) -> Duration {
    let asked = target.parameter("wait").and_then(go_duration).filter(|wait| !wait.is_zero());
    let wait = asked.unwrap_or(USUAL_WAIT).min(LONGEST_WAIT);
    wait + wait.mul_f64(fastrand::f64() * shared.state().jitter)
}

/// Whether what is there now is what the client has already.
fn holds(state: &State, target: &Target, wait: &Wait) -> bool {
    let Some((key, entry)) = state.get(target) else { return false };
    let waitable = (entry.status == 200 || entry.status == 404) && state.is_held(&key);
    waitable
        && match wait {
            Wait::Index(index) => entry.index.is_some_and(|now| now <= *index),
            Wait::Hash(hash) => entry.hash.as_ref() == Some(hash),
        }
}

fn read(shared: &Shared, target: &Target) -> Response<Body> {
    match shared.state().get(target) {
        Some((_, entry)) => whole(&entry),
        // Nothing was recorded that fits: an agent of no version.
        None => whole(&unknown()),
    }
}

fn token_refused(shared: &Shared, asked: &Asked) -> Option<Response<Body>> {
    let state = shared.state();
    let wanted = state.token.as_ref()?;
    let text = match &asked.token {
        Some(token) if token == wanted => return None,
        Some(_) => "ACL not found",
        None => "Permission denied",
    };
    Some(whole(&plain(403, text)))
}

fn act(fault: &Fault, shared: &Shared, target: &Target) -> io::Result<Response<Body>> {
    let entry = || shared.state().get(target).map(|(_, entry)| entry);
    match fault {
        Fault::Status(status, text) => Ok(whole(&plain(*status, text))),
        Fault::Unknown => Ok(whole(&unknown())),
        Fault::Rubbish => {
            let rubbish = Bytes::from_static(b"<html>this is no JSON");
            let right = entry().unwrap_or_else(|| plain(200, ""));
            Ok(whole(&Entry { status: 200, body: rubbish, ..right }))
        }
        Fault::Half => Ok(half(&entry().unwrap_or_else(|| plain(200, "half an answer")))),
        Fault::Close | Fault::Silent => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

pub(super) fn plain(status: u16, text: &str) -> Entry {
    let headers = vec![("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    let body = Bytes::copy_from_slice(text.as_bytes());
    Entry { status, headers, index: (status != 429).then_some(1), hash: None, body }
}

fn unknown() -> Entry {
    Entry { status: 404, headers: Vec::new(), index: None, hash: None, body: Bytes::new() }
}

fn whole(entry: &Entry) -> Response<Body> {
    let body = Full::new(entry.body.clone()).map_err(|never| match never {}).boxed_unsync();
    with_head(entry, body)
}

fn half(entry: &Entry) -> Response<Body> {
    let length = entry.body.len().max(2);
    let first = entry.body.slice(..entry.body.len() / 2);
    let frames = stream::unfold(Some(first), |first| async move {
        match first {
            Some(first) if !first.is_empty() => Some((Ok(Frame::data(first)), Some(Bytes::new()))),
            Some(_) => {
                tokio::time::sleep(HALF_PAUSE).await;
                Some((Err(io::Error::from(io::ErrorKind::ConnectionAborted)), None))
            }
            None => None,
        }
    });
    let mut response = with_head(entry, StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert("content-length", length.into());
    response
}

fn with_head(entry: &Entry, body: Body) -> Response<Body> {
    let mut builder = Response::builder().status(entry.status);
    for (name, value) in &entry.headers {
        builder = builder.header(name, value);
    }
    if let Some(index) = entry.index {
        builder = builder.header("X-Consul-Index", index);
    }
    if let Some(hash) = &entry.hash {
        builder = builder.header("X-Consul-Contenthash", hash);
    }
    builder
        .body(body)
        .unwrap_or_else(|_| Response::new(Full::default().map_err(|never| match never {}).boxed_unsync()))
}

/// Writes the end of a request into the journal, however it ends.
struct Noted {
    shared: Arc<Shared>,
    number: usize,
    status: Option<u16>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        journal::lock(&self.shared.journal).end(self.number, self.status);
    }
}

/// Keeps a connection counted until the wait of the request that it carried is over, or all connections are cut.
struct Slot {
    open: Option<Arc<Open>>,
    until: tokio::time::Instant,
    kept: bool,
    orders: watch::Receiver<Orders>,
    cut: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let (until, cut, mut orders) = (self.until, self.cut, self.orders.clone());
        if let (true, Some(open)) = (self.kept && orders.borrow().cut == cut, self.open.take())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                let _ = tokio::time::timeout_at(until, orders.wait_for(|orders| orders.cut > cut)).await;
                drop(open);
            });
        }
    }
}
