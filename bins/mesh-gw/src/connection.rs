//! The task of one connection: waiting for somebody, then relaying.

use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_app::reasons;
use gateway_runtime::registry::ConnGuard;
use mesh_forward::tcp::{End, Meter, Relay};

/// A connection's task. Waiting is rare and short, so its state lives in a box of its own: an idle
/// connection pays for the relay only.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every connection is the large one, and a box would cost it an allocation"
)]
pub(crate) enum Connection {
    Waiting(Pin<Box<dyn Future<Output = Option<Relay<Counted>>> + Send>>),
    Relaying(Relay<Counted>),
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut *self {
                Self::Waiting(waiting) => match waiting.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    // It was refused, and recorded.
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Ready(Some(relay)) => *self = Self::Relaying(relay),
                },
                Self::Relaying(relay) => return Pin::new(relay).poll(cx),
            }
        }
    }
}

/// A registration as the relay's meter.
pub(crate) struct Counted(pub(crate) ConnGuard);

impl Meter for Counted {
    fn up(&self, bytes: u64) {
        self.0.entry().count_up(bytes);
    }

    fn down(&self, bytes: u64) {
        self.0.entry().count_down(bytes);
    }

    fn spliced(&self) {
        self.0.entry().mark_spliced();
    }

    fn poll_cut(&self, cx: &Context<'_>) -> bool {
        self.0.entry().poll_cut(cx)
    }

    fn ended(&mut self, end: End) {
        let cut = self.0.entry().cut_reason();
        self.0.finish(reasons::of_end(end, cut));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every idle connection pays for each byte of it.
    #[test]
    fn a_connection_stays_small() {
        let size = size_of::<Connection>();
        assert!(size <= 288, "a connection's task has grown to {size} bytes");
    }
}
