//! A stream that gives back the bytes that were read ahead.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose first bytes were read already: reading gives these first, unchanged, and then the stream's own.
/// Writing goes straight to the stream.
#[derive(Debug)]
pub struct Rewind<IO> {
    io: IO,
    ahead: Vec<u8>,
    given: usize,
}

impl<IO> Rewind<IO> {
    /// Puts `ahead` in front of what `io` will give.
    pub fn new(io: IO, ahead: Vec<u8>) -> Self {
        Self { io, ahead, given: 0 }
    }

    /// The bytes that were read ahead and not given back yet.
    #[must_use]
    pub fn ahead(&self) -> &[u8] {
        self.ahead.get(self.given..).unwrap_or_default()
    }

    /// The stream itself. Reading from it directly passes by the bytes that were read ahead.
    pub fn io(&self) -> &IO {
        &self.io
    }

    /// The stream itself. Reading from it directly passes by the bytes that were read ahead.
    pub fn io_mut(&mut self) -> &mut IO {
        &mut self.io
    }

    /// The stream and the bytes that must be used before its own: for a relay that forwards them in one write and then
    /// moves bytes from socket to socket.
    #[must_use]
    pub fn into_parts(mut self) -> (IO, Vec<u8>) {
        self.ahead.drain(..self.given);
        (self.io, self.ahead)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Rewind<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ahead = this.ahead.get(this.given..).unwrap_or_default();
        if ahead.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let count = ahead.len().min(buf.remaining());
        buf.put_slice(ahead.get(..count).unwrap_or_default());
        this.given += count;
        if this.given == this.ahead.len() {
            // A connection lives long; its hello need not.
            this.ahead = Vec::new();
            this.given = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Rewind<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
