//! The task of a connection: it makes it, drives it, and says when it has ended.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, sleep};

use super::super::lease::{Link, Sender};
use super::super::places::PlaceId;
use super::super::site::Site;
use super::super::socket::{self, Opened, Refusal, chain};
use super::super::status::Protocol;
use super::Pool;
use crate::config::ClientTimers;

/// Buffer of an HTTP/1.1 connection: grows to this under megabytes, and stays there.
const READ_BUFFER: usize = 64 * 1024;

/// What may be on its way unread: on a stream, on a connection.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
const SEND_BUFFER: usize = 16 * 1024;
const HEADERS: u32 = 16 * 1024;

/// A place that a connection is being made for. Dropped unused, as when its runtime ends, it frees it.
pub(super) struct Attempt {
    pool: Weak<Pool>,
    id: PlaceId,
    done: bool,
}

impl Attempt {
    pub(super) fn new(pool: &Arc<Pool>, id: PlaceId) -> Self {
        Self { pool: Arc::downgrade(pool), id, done: false }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade().filter(|_| !self.done) {
            // Nobody is served from here: the runtime that would do it is ending.
            drop(pool.state().closed(self.id));
        }
    }
}

pub(super) async fn run(mut attempt: Attempt) {
    let Some(pool) = attempt.pool.upgrade() else { return };
    let dialled = Instant::now();
    // Boxed: the task outlives it by days.
    match Box::pin(open(&pool)).await {
        Err(refusal) => {
            attempt.done = true;
            pool.not_connected(attempt.id, dialled, &refusal);
        }
        Ok((at, site, opened)) => {
            let link = Arc::new(Link {
                id: attempt.id,
                site,
                protocol: if opened.http2 { Protocol::Http2 } else { Protocol::Http1 },
                dialled,
                first: Arc::clone(&opened.io.first),
                answered: AtomicBool::new(false),
                given_up: AtomicBool::new(false),
            });
            if opened.http2 {
                http2(attempt, pool, link, at, opened).await;
            } else {
                http1(attempt, pool, link, at, opened).await;
            }
        }
    }
}

/// Tries the addresses in turn, from the one that worked last.
async fn open(pool: &Pool) -> Result<(usize, Arc<Site>, Opened), Refusal> {
    let (first, several) = (pool.state().site, pool.sites.len() > 1);
    let tls = pool.credentials().tls.clone();
    let order = (first..pool.sites.len()).chain(0..first);
    let mut texts = Vec::new();
    let mut died = false;
    for at in order {
        let Some(site) = pool.sites.get(at) else { continue };
        match socket::open(site, tls.as_ref(), &pool.config.timers, &pool.config.limits).await {
            Ok(opened) => return Ok((at, Arc::clone(site), opened)),
            Err(refusal) => {
                died |= refusal.died;
                texts.push(if several { format!("{}: {}", site.shown, refusal.text) } else { refusal.text });
            }
        }
    }
    Err(Refusal { text: texts.join("; "), died })
}

async fn http1(mut attempt: Attempt, pool: Arc<Pool>, link: Arc<Link>, at: usize, opened: Opened) {
    let made = http1::Builder::new().max_buf_size(READ_BUFFER).handshake(TokioIo::new(opened.io)).await;
    let (sender, connection) = match made {
        Ok(made) => made,
        Err(error) => return failed(attempt, &pool, &link, &error),
    };
    attempt.done = true;
    pool.connected(&link, at, Sender::Http1(sender));
    drop(pool);
    let ended = connection.await;
    finished(&attempt, &link, ended);
}

async fn http2(mut attempt: Attempt, pool: Arc<Pool>, link: Arc<Link>, at: usize, opened: Opened) {
    let timers = &pool.config.timers;
    let room = pool.state().bounds().room();
    let made = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEADERS)
        // Until the agent has said how many it takes.
        .initial_max_send_streams(room)
        .keep_alive_interval(timers.ping)
        .keep_alive_timeout(timers.ping_answer)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(opened.io))
        .await;
    let (sender, mut connection) = match made {
        Ok(made) => made,
        Err(error) => return failed(attempt, &pool, &link, &error),
    };
    attempt.done = true;
    pool.connected(&link, at, Sender::Http2(sender));
    drop(pool);
    let mut room = usize::MAX;
    let ended = poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        let now = connection.current_max_send_streams();
        if now != room
            && let Some(pool) = attempt.pool.upgrade()
        {
            room = now;
            pool.change(|state, _| state.places.set_room(link.id, now));
        }
        polled
    })
    .await;
    finished(&attempt, &link, ended);
}

fn failed(mut attempt: Attempt, pool: &Arc<Pool>, link: &Link, error: &hyper::Error) {
    attempt.done = true;
    let text = format!("{}: {}", link.site.shown, chain(error));
    pool.not_connected(attempt.id, link.dialled, &Refusal { text, died: true });
}

fn finished(attempt: &Attempt, link: &Link, ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(agent = %link.site.shown, reason = chain(&error), "a connection to Consul ended");
    }
    if let Some(pool) = attempt.pool.upgrade() {
        pool.closed(link);
    }
}

/// Looks after connections without work and after a lowered budget, as long as there are any.
pub(super) async fn watch(pool: Weak<Pool>, timers: ClientTimers) {
    let period = (timers.idle.min(timers.recovery) / 4).max(Duration::from_millis(10));
    loop {
        sleep(period).await;
        let alive = pool.upgrade().is_some_and(|pool| pool.tick());
        if !alive {
            return;
        }
    }
}
