//! Both directions of one connection between two streams of any kind, in one task: TLS on the one
//! side or on both, where bytes cannot stay in the kernel.
//!
//! [`StreamRelay`] reads into one buffer per thread and writes at once; only what the sink does not
//! take is kept with the connection. So an idle connection holds no buffer of ours. A direction
//! begins with 4 KiB and quadruples what it reads at a time, up to 256 KiB, whenever a read fills
//! it; give a TLS sink a buffer limit above that, or it cuts one write into several.
//!
//! Ends: when one side has ended its stream and all its bytes are written, the other side's stream
//! is ended (`close_notify` and FIN, where it is TLS), and its direction goes on. A stream that was
//! cut never looks complete on the other side: it is reset, or, where the sink is TLS, ended
//! without `close_notify`.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use mesh_endpoints::Pick;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::copy::yield_turn;
use super::relay::{End, Meter};
use super::socket::reset_on_close;
use direction::{Broken, Direction};

mod direction;

/// Most bytes that are read from one side before they are written to the other: what the buffer of
/// a TLS sink must be able to take, its records' overhead aside.
pub const MOST_BYTES_AT_A_TIME: usize = direction::MOST;

/// One side of a [`StreamRelay`].
pub trait Side: AsyncRead + AsyncWrite + Unpin {
    /// Makes the coming close a reset, so that a cut stream does not look like a complete one.
    fn reset_on_close(&self);

    /// Takes bytes after which the stream is shut down at once, and keeps them for that; says how many it took. The
    /// others are written first. A side whose end is bytes as well (TLS) sends both by one write then.
    fn take_last(&mut self, _bytes: &[u8]) -> usize {
        0
    }
}

impl Side for TcpStream {
    fn reset_on_close(&self) {
        reset_on_close(self);
    }
}

/// A connection under way between two streams. It owns both and the [`Pick`], so that the endpoint
/// is counted as busy until the last byte.
#[derive(Debug)]
#[must_use = "a relay does nothing until it is polled"]
pub struct StreamRelay<C, U, M: Meter> {
    /// Absent once the connection has ended.
    streams: Option<(C, U)>,
    up: Direction,
    down: Direction,
    meter: M,
    _pick: Pick,
}

impl<C: Side, U: Side, M: Meter> StreamRelay<C, U, M> {
    /// Joins a client with the upstream that was dialled for it by `pick`.
    pub fn new(client: C, upstream: U, pick: Pick, meter: M) -> Self {
        Self {
            streams: Some((client, upstream)),
            up: Direction::default(),
            down: Direction::default(),
            meter,
            _pick: pick,
        }
    }

    fn poll_directions(&mut self, cx: &mut Context<'_>) -> Poll<(End, Option<io::Error>)> {
        let Some((client, upstream)) = &mut self.streams else { return Poll::Ready((End::Internal, None)) };
        let meter = &self.meter;
        let down = self.down.poll(upstream, client, cx, &|n| meter.down(n), C::take_last);
        if let Poll::Ready(Err(broken)) = down {
            return Poll::Ready(end_of(broken, &UPSTREAM, &CLIENT));
        }
        let up = self.up.poll(client, upstream, cx, &|n| meter.up(n), U::take_last);
        if let Poll::Ready(Err(broken)) = up {
            // The client has all there was to have and was told so: many just close then.
            if self.down.is_finished() && broken.is_truncation() {
                return Poll::Ready((End::Closed, None));
            }
            return Poll::Ready(end_of(broken, &CLIENT, &UPSTREAM));
        }
        if self.up.is_finished() && self.down.is_finished() {
            return Poll::Ready((End::Closed, None));
        }
        if self.up.take_turn_over() | self.down.take_turn_over() {
            return yield_turn(cx);
        }
        Poll::Pending
    }

    /// Closes both streams; one that was cut is reset.
    fn close(&mut self, end: End) {
        let Some((client, upstream)) = self.streams.take() else { return };
        if end == End::Closed {
            return;
        }
        upstream.reset_on_close();
        // TLS says by itself that the stream was cut, and what the client has not read yet is good.
        if end != End::UpstreamTruncated {
            client.reset_on_close();
        }
    }
}

impl<C: Side, U: Side, M: Meter + Unpin> Future for StreamRelay<C, U, M> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let polled =
            if this.meter.poll_cut(cx) { Poll::Ready((End::Cut, None)) } else { this.poll_directions(cx) };
        polled.map(|(end, error)| {
            this.close(end);
            if let Some(error) = &error {
                this.meter.failed(error);
            }
            this.meter.ended(end);
        })
    }
}

/// How it is called when a side breaks.
struct Ends {
    reset: End,
    truncated: End,
    broken: End,
}

const CLIENT: Ends =
    Ends { reset: End::ClientReset, truncated: End::ClientTruncated, broken: End::ClientBroken };
const UPSTREAM: Ends =
    Ends { reset: End::UpstreamReset, truncated: End::UpstreamTruncated, broken: End::UpstreamBroken };

fn end_of(broken: Broken, source: &Ends, sink: &Ends) -> (End, Option<io::Error>) {
    let (ends, error) = match broken {
        Broken::Source(error) => (source, error),
        Broken::Sink(error) => (sink, error),
    };
    let end = match error.kind() {
        // A peer that reads nothing more is gone, however it went.
        ErrorKind::UnexpectedEof => ends.truncated,
        // What rustls makes of an alert, or of bytes that are no record.
        ErrorKind::InvalidData => ends.broken,
        _ => ends.reset,
    };
    (end, Some(error))
}
