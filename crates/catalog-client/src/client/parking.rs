//! What becomes of a blocking read that nobody waits for any more.
//!
//! An agent goes on with it, connection or not, and counts it. So on HTTP/1.1 the connection is parked:
//! it is read until the answer is there, and then used again. On HTTP/2 the stream is reset; but agents
//! close connections that do so often, so a bounded number of times a second, and the rest run on until
//! it is their turn (consul-api 4.1, 4.2, table row 47).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout_at};
use tower::Service;

use super::exchange::Exchange;
use super::failed::Failed;
use super::lease::Link;
use super::places::Want;
use super::pool::Pool;
use super::status::Protocol;

pub(super) struct Parking<S> {
    inner: S,
    plan: Option<Plan>,
}

/// Needed only where the request may be held.
struct Plan {
    pool: Arc<Pool>,
    link: Arc<Link>,
    longest: Duration,
}

impl<S> Parking<S> {
    pub(super) fn new(inner: S, pool: &Arc<Pool>, link: &Arc<Link>, want: Want, longest: Duration) -> Self {
        let plan = (want == Want::Blocking).then(|| Plan {
            pool: Arc::clone(pool),
            link: Arc::clone(link),
            longest,
        });
        Self { inner, plan }
    }
}

impl<S, Request> Service<Request> for Parking<S>
where
    S: Service<Request, Response = Response<Bytes>, Error = Failed, Future = Exchange>,
{
    type Response = Response<Bytes>;
    type Error = Failed;
    type Future = Parked;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Parked {
        let held = self.plan.take().map(|plan| Held {
            deadline: Instant::now() + plan.longest,
            runtime: Handle::current(),
            plan,
        });
        Parked { exchange: Some(self.inner.call(request)), held }
    }
}

/// The exchange, and what to do with it when this is dropped before its end.
pub(super) struct Parked {
    exchange: Option<Exchange>,
    held: Option<Held>,
}

struct Held {
    plan: Plan,
    deadline: Instant,
    runtime: Handle,
}

impl Future for Parked {
    type Output = Result<Response<Bytes>, Failed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(exchange) = self.exchange.as_mut() else { return Poll::Pending };
        let polled = exchange.as_mut().poll(cx);
        if polled.is_ready() {
            self.exchange = None;
        }
        polled
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        let (Some(exchange), Some(held)) = (self.exchange.take(), self.held.take()) else { return };
        let Held { plan: Plan { pool, link, .. }, deadline, runtime } = held;
        pool.counters.abandoned.add(1);
        let left = deadline.saturating_duration_since(Instant::now());
        match link.protocol {
            // At its deadline the agent's wait is over as well: nothing is left to wait for.
            Protocol::Http1 if left.is_zero() => drop(exchange),
            Protocol::Http1 => {
                pool.park(link.id);
                runtime.spawn(async move {
                    // Whatever comes is of no use to anybody.
                    drop(timeout_at(deadline, exchange).await);
                });
            }
            Protocol::Http2 => match pool.reset_in(left) {
                Some(Duration::ZERO) => {
                    pool.counters.resets.add(1);
                    drop(exchange);
                }
                turn => {
                    let wait = turn.unwrap_or(left);
                    runtime.spawn(async move {
                        tokio::select! {
                            biased;
                            ended = exchange => drop(ended),
                            () = sleep(wait) => pool.counters.resets.add(1),
                        }
                    });
                }
            },
        }
    }
}
