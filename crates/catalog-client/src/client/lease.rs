//! One request's hold on a connection.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response, StatusCode, header};
use tokio::time::Instant;

use super::exchange::LeasedBody;
use super::failed::{Failed, Retry};
use super::places::{PlaceId, Want};
use super::pool::Pool;
use super::site::Site;
use super::socket::{First, chain};
use super::status::Protocol;
use crate::error::Cause;

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: PlaceId,
    pub(super) site: Arc<Site>,
    pub(super) protocol: Protocol,
    pub(super) dialled: Instant,
    pub(super) first: First,
    /// It has brought an answer.
    pub(super) answered: AtomicBool,
    /// We ended it ourselves.
    pub(super) given_up: AtomicBool,
}

impl Link {
    /// Whether the agent said, before it was asked anything, that there are too many connections.
    pub(super) fn is_refused(&self) -> bool {
        let first = self.first.get().map(AsRef::as_ref).unwrap_or_default();
        !self.answered.load(Ordering::Relaxed)
            && (first.starts_with(b"HTTP/1.1 429") || first.starts_with(b"HTTP/1.0 429"))
    }
}

pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }
}

/// A request under way to the head of its answer.
pub(super) type Sending = Pin<Box<dyn Future<Output = Result<Response<LeasedBody>, Failed>> + Send>>;

/// The hold ends when it is dropped: a connection of its own is kept if nothing of an answer is
/// outstanding on it, and closed otherwise.
pub(super) struct Lease {
    pool: Arc<Pool>,
    pub(super) link: Arc<Link>,
    want: Want,
    sender: Option<Sender>,
    /// A request was sent whose answer is not whole.
    outstanding: bool,
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, link: Arc<Link>, want: Want, sender: Sender) -> Self {
        Self { pool, link, want, sender: Some(sender), outstanding: false }
    }

    /// Sends a request that fits the connection and waits for the head of the answer.
    pub(super) fn send(mut self, request: Request<Full<Bytes>>) -> Sending {
        // Only a connection that has worked may have ended behind our back.
        let reused = self.link.answered.load(Ordering::Relaxed);
        match self.sender.take() {
            Some(Sender::Http1(mut sender)) => Box::pin(async move {
                // The connection may need a moment to put the last exchange away.
                let ready = sender.ready().await;
                let mut lease = self;
                ready.map_err(|error| lease.link.failed(&error, reused, Retry::Unsent))?;
                lease.outstanding = true;
                let sent = sender.try_send_request(request);
                lease.sender = Some(Sender::Http1(sender));
                lease.answer(sent.await, reused)
            }),
            Some(Sender::Http2(mut sender)) => {
                self.outstanding = true;
                let sent = sender.try_send_request(request);
                self.sender = Some(Sender::Http2(sender));
                Box::pin(async move {
                    let sent = sent.await;
                    self.answer(sent, reused)
                })
            }
            None => Box::pin(ready(Err(Failed::new(Cause::Local("the connection was given away".into()))))),
        }
    }

    fn answer(
        self,
        sent: Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>>,
        reused: bool,
    ) -> Result<Response<LeasedBody>, Failed> {
        let response = sent.map_err(|mut error| {
            let retry = if error.take_message().is_some() { Retry::Unsent } else { Retry::Read };
            self.link.failed(&error.into_error(), reused, retry)
        })?;
        self.heard(&response, reused);
        Ok(response.map(|body| LeasedBody::new(body, self)))
    }

    fn heard(&self, response: &Response<Incoming>, reused: bool) {
        self.pool.answered();
        let closes = response
            .headers()
            .get(header::CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        if !reused && closes && response.status() == StatusCode::TOO_MANY_REQUESTS {
            self.pool.refused(self.link.dialled);
        } else if !self.link.answered.swap(true, Ordering::Relaxed) {
            self.pool.first_answer();
        }
    }

    /// The answer is whole: the connection can be used again.
    pub(super) fn whole(&mut self) {
        self.outstanding = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let sender = self.sender.take();
        let keep = sender.filter(|sender| !self.outstanding && !sender.is_closed());
        if self.outstanding && self.link.protocol == Protocol::Http1 {
            self.link.given_up.store(true, Ordering::Relaxed);
        }
        self.pool.release(&self.link, self.want, keep);
    }
}

impl Link {
    /// What an error of the connection means.
    pub(super) fn failed(&self, error: &hyper::Error, reused: bool, retry: Retry) -> Failed {
        let failed = if self.is_refused() {
            Failed::new(Cause::Status {
                status: 429,
                text: "the agent has too many connections of this IP (limits.http_max_conns_per_client)"
                    .into(),
                unknown_endpoint: false,
            })
        } else if error.is_parse() {
            Failed::new(Cause::Cut(format!("the answer is not HTTP: {}", chain(error))))
        } else if error.is_closed() || error.is_canceled() {
            let text = "the agent closed the connection before it was asked anything".to_owned();
            Failed::new(Cause::Cut(text)).retry(if reused { retry } else { Retry::No })
        } else {
            let text = format!("the connection ended before the answer was whole: {}", chain(error));
            Failed::new(Cause::Cut(text)).retry(if reused { retry } else { Retry::No })
        };
        failed.at(&self.site)
    }
}
