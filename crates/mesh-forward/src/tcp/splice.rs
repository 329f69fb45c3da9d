//! Bulk: from socket to pipe to socket inside the kernel, so that the bytes are never copied.

use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use tokio::net::TcpStream;

use super::copy::Broken;
use super::pipes::{Pipe, Pipes};
use super::socket::{clear_readable, clear_writable};

/// Longest single splice in bytes; the pipe's capacity bounds it further.
const LONGEST: usize = 1024 * 1024;
/// A splice below this is small; so many in a row mean that the connection is no longer bulk.
const SMALL: usize = 16 * 1024;
const SMALL_IN_A_ROW: u8 = 16;

/// What one attempt to read brought.
pub(crate) enum Filled {
    /// So many bytes wait in the pipe.
    Bytes(usize),
    /// The source has ended.
    End,
    /// The pool has no pipe: copy.
    NoPipe,
}

/// One direction while it is spliced. Between two bursts it holds no pipe.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    pipe: Option<Pipe>,
    in_pipe: usize,
    small: u8,
    moved: bool,
}

impl Splice {
    /// Whether bytes have left the source and not yet reached the sink.
    pub(crate) fn holds_bytes(&self) -> bool {
        self.in_pipe > 0
    }

    /// Whether a pipe was to be had, and has carried something.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved
    }

    /// Whether the connection has fallen back to small exchanges, which are cheaper to copy.
    pub(crate) fn is_small(&self) -> bool {
        self.small >= SMALL_IN_A_ROW && self.in_pipe == 0
    }

    /// Moves bytes from the source into an empty pipe.
    pub(crate) fn poll_fill(
        &mut self,
        source: &TcpStream,
        pipes: &Pipes,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Filled, Broken>> {
        loop {
            match source.poll_read_ready(cx) {
                Poll::Ready(ready) => ready.map_err(|_| Broken::runtime())?,
                Poll::Pending => {
                    self.give_back(pipes);
                    return Poll::Pending;
                }
            }
            let pipe = match &self.pipe {
                Some(pipe) => pipe,
                None => match pipes.lend() {
                    Ok(pipe) => self.pipe.insert(pipe),
                    Err(_) => return Poll::Ready(Ok(Filled::NoPipe)),
                },
            };
            match splice(source, None, &pipe.write, None, LONGEST, FLAGS) {
                Ok(0) => {
                    self.give_back(pipes);
                    return Poll::Ready(Ok(Filled::End));
                }
                Ok(n) => {
                    self.in_pipe = n;
                    self.moved = true;
                    self.small = if n < SMALL { self.small.saturating_add(1) } else { 0 };
                    return Poll::Ready(Ok(Filled::Bytes(n)));
                }
                // The pipe is empty, so it is the socket that has nothing. (A short splice proves
                // nothing of the kind: a pipe counts slots, and small segments fill them.)
                Err(Errno::AGAIN) => clear_readable(source),
                Err(Errno::INTR) => {}
                Err(errno) => return Poll::Ready(Err(Broken::source(errno))),
            }
        }
    }

    /// Moves what the pipe holds to the sink; ready when it is empty.
    pub(crate) fn poll_flush(
        &mut self,
        sink: &TcpStream,
        cx: &mut Context<'_>,
        count: &impl Fn(u64),
    ) -> Poll<Result<(), Broken>> {
        while let (Some(pipe), true) = (&self.pipe, self.in_pipe > 0) {
            match splice(&pipe.read, None, sink, None, self.in_pipe, FLAGS) {
                Ok(n) => {
                    self.in_pipe = self.in_pipe.saturating_sub(n);
                    count(n as u64);
                }
                Err(Errno::AGAIN) => {
                    clear_writable(sink);
                    ready!(sink.poll_write_ready(cx)).map_err(|_| Broken::runtime())?;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Poll::Ready(Err(Broken::sink(errno))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Returns the pipe to the pool, or closes it if bytes are left in it.
    pub(crate) fn give_back(&mut self, pipes: &Pipes) {
        if let Some(pipe) = self.pipe.take() {
            pipes.take_back(pipe, self.in_pipe == 0);
        }
    }
}

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);
