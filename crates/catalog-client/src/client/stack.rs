//! The outer stack of a client: counted and traced, bounded in number, then sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use tokio::time::Instant;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceBuilder};

use super::answer::judge;
use super::exchange::exchange;
use super::failed::{Failed, Retry};
use super::places::Want;
use super::pool::Pool;
use super::request::{Call, Scope};
use crate::error::{Cause, Error};

/// How often one request is sent at most: kept connections may all have ended behind our back.
const TRIES: usize = 3;

pub(super) type Stack = Observe<ConcurrencyLimit<Dispatch>>;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Error>> + Send>>;

pub(super) fn stack(pool: &Arc<Pool>, scope: &Arc<Scope>, most: usize) -> Stack {
    ServiceBuilder::new()
        .layer(ObserveLayer { pool: Arc::clone(pool) })
        .concurrency_limit(most)
        .service(Dispatch { pool: Arc::clone(pool), scope: Arc::clone(scope) })
}

/// Counts requests by outcome, and traces them.
#[derive(Clone)]
pub(super) struct Observe<S> {
    inner: S,
    pool: Arc<Pool>,
}

struct ObserveLayer {
    pool: Arc<Pool>,
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, pool: Arc::clone(&self.pool) }
    }
}

impl<S> Service<Call> for Observe<S>
where
    S: Service<Call, Response = Response<Bytes>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Response<Bytes>;
    type Error = Error;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Answering {
        let (pool, endpoint, started) = (Arc::clone(&self.pool), call.endpoint, Instant::now());
        let answering = self.inner.call(call);
        Box::pin(async move {
            let outcome = answering.await;
            let word = match &outcome {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => "absent",
                Ok(_) => "ok",
                Err(error) => error.class().as_str(),
            };
            pool.counters.ended(word);
            let bytes = outcome.as_ref().map_or(0, |response| response.body().len());
            pool.counters.bytes.add(u64::try_from(bytes).unwrap_or(u64::MAX));
            tracing::trace!(endpoint, outcome = word, bytes, took = ?started.elapsed(), "asked Consul");
            outcome
        })
    }
}

/// Sends a request on whatever connection there is, again where that is harmless.
#[derive(Clone)]
pub(super) struct Dispatch {
    pool: Arc<Pool>,
    scope: Arc<Scope>,
}

impl Service<Call> for Dispatch {
    type Response = Response<Bytes>;
    type Error = Error;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answering {
        let (pool, scope) = (Arc::clone(&self.pool), Arc::clone(&self.scope));
        Box::pin(async move { dispatch(&pool, &scope, &call).await.map_err(Error::from) })
    }
}

async fn dispatch(pool: &Arc<Pool>, scope: &Scope, call: &Call) -> Result<Response<Bytes>, Failed> {
    let started = Instant::now();
    let mut tries = 1;
    loop {
        pool.admit().await?;
        let lease = pool.lease(call.want).await?;
        let site = Arc::clone(&lease.link.site);
        let request = scope.request(call, &pool.credentials());
        let longest = match call.want {
            // The time of a read counts from its beginning; a blocking one is not asked before it has
            // its place.
            Want::Read => call.longest.saturating_sub(started.elapsed()).max(Duration::from_millis(1)),
            Want::Blocking => call.longest,
        };
        let failed = match exchange(pool, lease, call.want, request, longest).await {
            Ok(response) => {
                return match judge(&response, call.may_be_absent) {
                    Ok(()) => Ok(response),
                    Err(cause) => Err(Failed::new(cause).at(&site)),
                };
            }
            Err(failed) => failed,
        };
        if call.want == Want::Read && matches!(failed.cause, Cause::Timeout(_)) {
            pool.silent(&site);
        }
        let harmless = match failed.retry {
            // An agent that was started again may count from the start: whoever waits must forget its
            // index, and so must hear of it.
            _ if call.want == Want::Blocking => false,
            Retry::No => false,
            Retry::Read => call.method == hyper::Method::GET,
            Retry::Unsent => true,
        };
        if !harmless || tries >= TRIES {
            return Err(failed);
        }
        tries += 1;
        tracing::debug!(agent = %site.shown, reason = %failed, "a kept connection had ended: asked again");
    }
}
