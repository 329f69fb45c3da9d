//! One request and its whole answer on one connection: tower's stack, from the connection outwards.

use std::future::ready as at_once;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Request, Response};
use tower::{BoxError, Service, ServiceBuilder};
use tower_http::decompression::DecompressionLayer;

use super::failed::Failed;
use super::lease::{Lease, Sending};
use super::parking::Parking;
use super::places::Want;
use super::pool::Pool;
use super::site::Site;
use super::socket::chain;
use crate::error::Cause;

type Sent = Request<Full<Bytes>>;

/// A request under way to its whole answer.
pub(super) type Exchange = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Failed>> + Send>>;

/// Sends a request on a connection, and waits for its answer, decompressed and to the last byte. Sent
/// at once: what remains until the answer comes is kept small, for there are thousands of it.
pub(super) fn exchange(
    pool: &Arc<Pool>,
    lease: Lease,
    want: Want,
    request: Sent,
    longest: Duration,
) -> impl Future<Output = Result<Response<Bytes>, Failed>> + use<> {
    let (link, limit) = (Arc::clone(&lease.link), pool.config.limits.answer);
    let mut stack = ServiceBuilder::new()
        .timeout(longest)
        .layer_fn(|inner| Parking::new(inner, pool, &link, want, longest))
        .layer_fn(|inner| Collect { inner, limit, site: Arc::clone(&link.site) })
        .layer(DecompressionLayer::new())
        .service(Connection { lease: Some(lease) });
    // Every service of it is ready from the beginning.
    let answer = stack.call(request);
    async move {
        answer.await.map_err(|error| match error.downcast::<Failed>() {
            Ok(failed) => *failed,
            // The only other one is tower's, when the time is up.
            Err(_) => {
                // Rounded: who asks again with what is left of his time does not have another reason.
                let limit = format!("no whole answer within {:.1} s", longest.as_secs_f64());
                Failed::new(Cause::Timeout(limit)).at(&link.site)
            }
        })
    }
}

/// A connection, as a service for one request.
struct Connection {
    lease: Option<Lease>,
}

impl Service<Sent> for Connection {
    type Response = Response<LeasedBody>;
    type Error = Failed;
    type Future = Sending;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Sent) -> Self::Future {
        let Some(lease) = self.lease.take() else {
            return Box::pin(at_once(Err(Failed::new(Cause::Local("the connection is gone".into())))));
        };
        match lease.link.site.fit(&mut request, lease.link.protocol) {
            Ok(()) => lease.send(request),
            Err(text) => Box::pin(at_once(Err(Failed::new(Cause::Local(text))))),
        }
    }
}

/// A body that holds its connection until its last byte has come.
pub(super) struct LeasedBody {
    body: Incoming,
    lease: Option<Lease>,
}

impl LeasedBody {
    pub(super) fn new(body: Incoming, lease: Lease) -> Self {
        Self { body, lease: Some(lease) }
    }

    fn whole(&mut self) {
        if let Some(mut lease) = self.lease.take() {
            lease.whole();
        }
    }
}

impl Body for LeasedBody {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(error)) => {
                let text = format!("the connection ended within the answer: {}", chain(&error));
                Some(Err(Failed::new(Cause::Cut(text))))
            }
            None => {
                self.whole();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for LeasedBody {
    fn drop(&mut self) {
        // Whoever reads by length does not ask for the end.
        if self.body.is_end_stream() {
            self.whole();
        }
    }
}

/// Collects a body, within a limit. One that comes in one piece is not copied.
struct Collect<S> {
    inner: S,
    limit: usize,
    site: Arc<Site>,
}

impl<S, B> Service<Sent> for Collect<S>
where
    S: Service<Sent, Response = Response<B>, Error = Failed>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Bytes>;
    type Error = Failed;
    type Future = Exchange;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Sent) -> Exchange {
        let (head, limit, site) = (self.inner.call(request), self.limit, Arc::clone(&self.site));
        Box::pin(async move {
            let (parts, body) = head.await?.into_parts();
            // Boxed only now: a decompressor is large, and most of the time is spent before this.
            let body = Box::pin(collect(body, limit)).await.map_err(|failed| failed.at(&site))?;
            Ok(Response::from_parts(parts, body))
        })
    }
}

async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Failed>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let too_large = || Failed::new(Cause::TooLarge { limit });
    let mut body = std::pin::pin!(body);
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(too_large());
    }
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| cut(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(expected.max(first.len() + data.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn cut(error: BoxError) -> Failed {
    match error.downcast::<Failed>() {
        Ok(failed) => *failed,
        Err(error) => {
            Failed::new(Cause::Cut(format!("the answer cannot be decompressed: {}", chain(error.as_ref()))))
        }
    }
}
