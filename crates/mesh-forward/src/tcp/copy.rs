//! One direction of a relay: copied while exchanges are small, spliced once they prove to be bulk.

use std::pin::pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tokio::net::TcpStream;

use super::pipes::Pipes;
use super::scratch::{SCRATCH, with_scratch};
use super::socket::{clear_readable, clear_writable, recv, send, set_nodelay};
use super::splice::{Filled, Splice};

/// A read that fills a quarter of the buffer counts towards bulk; a smaller one starts anew.
const LARGE_READ: usize = SCRATCH / 4;
/// Bytes in large reads after which a direction is bulk.
const BULK: i64 = 128 * 1024;
/// Bytes that are copied before a refused direction asks for a pipe again.
const ASK_AGAIN: i64 = 8 * 1024 * 1024;
/// Bytes after which a direction lets the other connections of its worker have their turn.
const TURN: usize = 1024 * 1024;

/// Which side broke, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) side: BrokenSide,
    pub(crate) errno: Errno,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokenSide {
    Source,
    Sink,
    Runtime,
}

impl Broken {
    pub(crate) fn source(errno: Errno) -> Self {
        Self { side: BrokenSide::Source, errno }
    }

    pub(crate) fn sink(errno: Errno) -> Self {
        Self { side: BrokenSide::Sink, errno }
    }

    /// The runtime is shutting down under the connection.
    pub(crate) fn runtime() -> Self {
        Self { side: BrokenSide::Runtime, errno: Errno::CANCELED }
    }
}

/// Bytes of one direction, from where they are read to where they are written.
///
/// At rest it holds no memory: `unsent` exists only while the sink refuses bytes, a pipe only while
/// bytes flow.
#[derive(Debug)]
pub(crate) struct Direction {
    unsent: Vec<u8>,
    sent: usize,
    /// Bytes in large reads so far; negative after a refusal.
    bulk: i64,
    splice: Option<Box<Splice>>,
    ended: bool,
    finished: bool,
    /// The sink was dialled by us and still waits for `TCP_NODELAY`.
    delay: bool,
}

impl Direction {
    /// A direction whose sink already sends small messages at once.
    pub(crate) fn new() -> Self {
        Self {
            unsent: Vec::new(),
            sent: 0,
            bulk: 0,
            splice: None,
            ended: false,
            finished: false,
            delay: false,
        }
    }

    /// A direction that begins with bytes which its sink has not taken yet, and whose sink gets
    /// `TCP_NODELAY` before the next write: a connection that only ever sends its hello saves the
    /// call.
    pub(crate) fn to_dialled(unsent: Vec<u8>) -> Self {
        Self { unsent, delay: true, ..Self::new() }
    }

    /// Whether the source has ended and everything reached the sink.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether nothing is under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.unsent.is_empty() && self.splice.as_ref().is_none_or(|splice| !splice.holds_bytes())
    }

    /// Whether the direction is spliced.
    pub(crate) fn is_spliced(&self) -> bool {
        self.splice.as_ref().is_some_and(|splice| splice.has_moved())
    }

    /// Moves bytes until one side blocks (pending) or the source has ended (ready).
    pub(crate) fn poll(
        &mut self,
        source: &TcpStream,
        sink: &TcpStream,
        pipes: &Pipes,
        cx: &mut Context<'_>,
        count: &impl Fn(u64),
    ) -> Poll<Result<(), Broken>> {
        let mut moved = 0;
        while !self.finished {
            ready!(self.poll_flush(sink, cx, count))?;
            if self.ended {
                self.finished = true;
                self.release(pipes);
            } else if moved >= TURN {
                // Not woken at once, which would only mean the end of the queue: the runtime looks
                // for the events of others first.
                return yield_turn(cx);
            } else {
                moved += match &mut self.splice {
                    Some(_) => ready!(self.poll_splice(source, pipes, cx))?,
                    None => ready!(self.poll_copy(source, sink, pipes, cx, count))?,
                };
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives back what the direction borrowed.
    pub(crate) fn release(&mut self, pipes: &Pipes) {
        if let Some(mut splice) = self.splice.take() {
            splice.give_back(pipes);
        }
        self.unsent = Vec::new();
    }

    /// Writes what the sink did not take before.
    fn poll_flush(
        &mut self,
        sink: &TcpStream,
        cx: &mut Context<'_>,
        count: &impl Fn(u64),
    ) -> Poll<Result<(), Broken>> {
        if let Some(splice) = &mut self.splice {
            return splice.poll_flush(sink, cx, count);
        }
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            // It has just refused: ask the kernel only when it has said that there is room.
            ready!(sink.poll_write_ready(cx)).map_err(|_| Broken::runtime())?;
            match send(sink, rest) {
                Ok(n) => {
                    self.sent += n;
                    count(n as u64);
                }
                Err(Errno::AGAIN) => clear_writable(sink),
                Err(errno) => return Poll::Ready(Err(Broken::sink(errno))),
            }
        }
        if self.unsent.capacity() > 0 {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_copy(
        &mut self,
        source: &TcpStream,
        sink: &TcpStream,
        pipes: &Pipes,
        cx: &mut Context<'_>,
        count: &impl Fn(u64),
    ) -> Poll<Result<usize, Broken>> {
        ready!(source.poll_read_ready(cx)).map_err(|_| Broken::runtime())?;
        let read = with_scratch(|buffer| self.copy_once(source, sink, buffer, count))?;
        if read >= LARGE_READ {
            self.bulk = self.bulk.saturating_add(i64::try_from(read).unwrap_or(i64::MAX));
            if self.bulk >= BULK && pipes.enabled() {
                self.splice = Some(Box::default()).filter(|_| self.unsent.is_empty());
            }
        } else if self.bulk > 0 {
            self.bulk = 0;
        }
        Poll::Ready(Ok(read))
    }

    /// One read and the write that follows at once. What the sink does not take is kept.
    fn copy_once(
        &mut self,
        source: &TcpStream,
        sink: &TcpStream,
        buffer: &mut [u8],
        count: &impl Fn(u64),
    ) -> Result<usize, Broken> {
        let read = match recv(source, buffer) {
            Ok(0) => {
                self.ended = true;
                return Ok(0);
            }
            Ok(n) => n,
            Err(Errno::AGAIN) => {
                clear_readable(source);
                return Ok(0);
            }
            Err(errno) => return Err(Broken::source(errno)),
        };
        // A short read means that the socket is empty; the next byte is a new event.
        if read < buffer.len() {
            clear_readable(source);
        }
        if std::mem::take(&mut self.delay) {
            set_nodelay(sink);
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        let sent = match send(sink, bytes) {
            Ok(n) => n,
            Err(Errno::AGAIN) => 0,
            Err(errno) => return Err(Broken::sink(errno)),
        };
        count(sent as u64);
        if let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            clear_writable(sink);
            self.unsent = rest.to_vec();
            self.sent = 0;
        }
        Ok(read)
    }

    fn poll_splice(
        &mut self,
        source: &TcpStream,
        pipes: &Pipes,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Broken>> {
        let Some(splice) = &mut self.splice else { return Poll::Ready(Ok(0)) };
        if splice.is_small() {
            self.bulk = 0;
            self.release(pipes);
            return Poll::Ready(Ok(0));
        }
        Poll::Ready(match ready!(splice.poll_fill(source, pipes, cx))? {
            Filled::Bytes(n) => Ok(n),
            Filled::End => {
                self.ended = true;
                Ok(0)
            }
            Filled::NoPipe => {
                self.bulk = -ASK_AGAIN;
                self.splice = None;
                Ok(0)
            }
        })
    }
}

/// Lets everybody else go first, events that have not been looked for yet included.
pub(crate) fn yield_turn<T>(cx: &mut Context<'_>) -> Poll<T> {
    // Polled once it has asked the runtime to wake this task after its next look for events.
    let _asked = pin!(tokio::task::yield_now()).poll(cx);
    Poll::Pending
}
