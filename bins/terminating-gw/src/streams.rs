//! Both sides of a connection as the relay takes them, and its meter.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_app::reasons;
use gateway_runtime::registry::ConnGuard;
use mesh_forward::tcp::socket::reset_on_close;
use mesh_forward::tcp::{End, Meter, Side};
use mtls::{ClientStream, ServerStream};
use sni_peek::Rewind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The client, decrypted.
pub(crate) struct FromMesh(pub(crate) Box<ServerStream<Rewind<TcpStream>>>);

/// The external service, in clear or decrypted.
pub(crate) enum Upstream {
    Plain(TcpStream),
    Tls(Box<ClientStream<TcpStream>>),
}

impl FromMesh {
    pub(crate) fn socket(&self) -> &TcpStream {
        self.0.get_ref().0.io()
    }
}

impl Side for FromMesh {
    fn reset_on_close(&self) {
        reset_on_close(self.socket());
    }

    /// Encrypted, and sent together with `close_notify`.
    fn take_last(&mut self, bytes: &[u8]) -> usize {
        self.0.get_mut().1.writer().write(bytes).unwrap_or_default()
    }
}

impl Side for Upstream {
    fn reset_on_close(&self) {
        match self {
            Self::Plain(stream) => reset_on_close(stream),
            Self::Tls(stream) => reset_on_close(stream.get_ref().0),
        }
    }

    fn take_last(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(stream) => stream.get_mut().1.writer().write(bytes).unwrap_or_default(),
        }
    }
}

impl AsyncRead for FromMesh {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for FromMesh {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl AsyncRead for Upstream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Upstream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A registration as the relay's meter.
pub(crate) struct Counted {
    guard: ConnGuard,
    /// What broke the connection.
    detail: Option<String>,
}

impl Counted {
    pub(crate) fn new(guard: ConnGuard) -> Self {
        Self { guard, detail: None }
    }
}

impl Meter for Counted {
    fn up(&self, bytes: u64) {
        self.guard.entry().count_up(bytes);
    }

    fn down(&self, bytes: u64) {
        self.guard.entry().count_down(bytes);
    }

    fn spliced(&self) {}

    fn poll_cut(&self, cx: &Context<'_>) -> bool {
        self.guard.entry().poll_cut(cx)
    }

    fn failed(&mut self, error: &io::Error) {
        self.detail = Some(error.to_string());
    }

    fn ended(&mut self, end: End) {
        let cut = self.guard.entry().cut_reason();
        self.guard.finish_with(reasons::of_end(end, cut), self.detail.as_deref());
    }
}
