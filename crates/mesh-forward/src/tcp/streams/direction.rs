//! One direction between two streams.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tcp::scratch::with_large_scratch;

/// Bytes of the first read.
const FIRST: usize = 4 * 1024;
/// A read that was filled is followed by one this many times as large.
const GROWTH: usize = 4;
/// Bytes of a read at most.
pub(super) const MOST: usize = crate::tcp::scratch::LARGE_SCRATCH;
/// Bytes after which a direction lets the other connections of its worker have their turn.
const TURN: usize = 1024 * 1024;

/// Which side broke, and how.
#[derive(Debug)]
pub(super) enum Broken {
    Source(io::Error),
    Sink(io::Error),
}

impl Broken {
    /// Whether the source ended without saying that its stream is complete.
    pub(super) fn is_truncation(&self) -> bool {
        matches!(self, Self::Source(error) if error.kind() == ErrorKind::UnexpectedEof)
    }
}

/// Takes what is written last, as far as it can.
pub(super) type TakeLast<K> = fn(&mut K, &[u8]) -> usize;

/// Bytes on their way from a source to a sink.
#[derive(Debug)]
pub(super) struct Direction {
    /// What the sink did not take, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    /// Bytes of the next read.
    size: usize,
    /// The sink may hold bytes that it took.
    unflushed: bool,
    source: Source,
    finished: bool,
    turn_over: bool,
}

#[derive(Debug)]
enum Source {
    Open,
    Ended,
    /// Without saying that its stream is complete. Said when what came before is written.
    Truncated(Option<io::Error>),
}

impl Default for Direction {
    fn default() -> Self {
        Self {
            unsent: Vec::new(),
            sent: 0,
            size: FIRST,
            unflushed: false,
            source: Source::Open,
            finished: false,
            turn_over: false,
        }
    }
}

impl Direction {
    /// Whether the source has ended and the sink was told.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether it stopped only for the others' sake.
    pub(super) fn take_turn_over(&mut self) -> bool {
        std::mem::take(&mut self.turn_over)
    }

    /// Moves bytes until somebody has to be waited for. Ready when the direction is finished, or one
    /// side broke. `take_last` is [`Side::take_last`](super::Side::take_last) of the sink.
    pub(super) fn poll<K: AsyncWrite + Unpin>(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut K,
        cx: &mut Context<'_>,
        count: &impl Fn(u64),
        take_last: TakeLast<K>,
    ) -> Poll<Result<(), Broken>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        let mut moved = 0;
        loop {
            ready!(self.poll_write_out(sink, cx, count)).map_err(Broken::Sink)?;
            match &mut self.source {
                Source::Open => {}
                Source::Ended => {
                    ready!(Pin::new(sink).poll_shutdown(cx)).map_err(Broken::Sink)?;
                    self.finished = true;
                    return Poll::Ready(Ok(()));
                }
                Source::Truncated(error) => {
                    let error = error.take().unwrap_or_else(|| ErrorKind::UnexpectedEof.into());
                    return Poll::Ready(Err(Broken::Source(error)));
                }
            }
            if moved >= TURN {
                self.turn_over = true;
                return Poll::Pending;
            }
            moved += ready!(with_large_scratch(|buffer| {
                self.poll_copy(source, sink, buffer, cx, count, take_last)
            }))?;
        }
    }

    /// Everything that was read before is on its way.
    fn poll_write_out(
        &mut self,
        sink: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        count: &impl Fn(u64),
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let n = ready!(Pin::new(&mut *sink).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.sent += n;
            count(n as u64);
        }
        if self.unsent.capacity() > 0 {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        // As long as the sink holds bytes, nothing more is read: they are bounded by one read.
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until there is nothing more, or the buffer is full (TLS gives one record at a time),
    /// and writes that.
    fn poll_copy<K: AsyncWrite + Unpin>(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut K,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
        count: &impl Fn(u64),
        take_last: TakeLast<K>,
    ) -> Poll<Result<usize, Broken>> {
        let size = self.size.min(buffer.len());
        let mut read = ReadBuf::new(buffer.get_mut(..size).unwrap_or_default());
        while matches!(self.source, Source::Open) && read.remaining() > 0 {
            let before = read.filled().len();
            match Pin::new(&mut *source).poll_read(cx, &mut read) {
                Poll::Pending if before == 0 => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok(())) if read.filled().len() == before => self.source = Source::Ended,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.source = Source::Truncated(Some(error));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(error))),
            }
        }
        if read.remaining() == 0 {
            self.size = (self.size * GROWTH).min(MOST);
        }
        let mut bytes = read.filled();
        if matches!(self.source, Source::Ended) && !bytes.is_empty() {
            // Only the shutdown follows, which sends them.
            let taken = take_last(sink, bytes).min(bytes.len());
            count(taken as u64);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        self.write(bytes, sink, cx, count).map_err(Broken::Sink)?;
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Writes what the sink takes now, and keeps the rest.
    fn write(
        &mut self,
        bytes: &[u8],
        sink: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        count: &impl Fn(u64),
    ) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.unflushed = true;
            match Pin::new(&mut *sink).poll_write(cx, rest) {
                Poll::Pending => {
                    self.unsent = rest.to_vec();
                    self.sent = 0;
                    return Ok(());
                }
                Poll::Ready(Ok(0)) => return Err(ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    count(n as u64);
                    rest = rest.get(n..).unwrap_or_default();
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Takes everything and notes how it came.
    #[derive(Default)]
    struct Noting {
        writes: Vec<usize>,
        shut: bool,
        /// How many last bytes it is willing to take, and how many it did.
        takes: usize,
        taken: usize,
    }

    impl AsyncWrite for Noting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.writes.push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.shut = true;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn reads_grow_as_long_as_they_are_filled() {
        let (mut from, mut source) = duplex(1 << 20);
        from.write_all(&vec![7; 700_000]).await.unwrap();
        drop(from);
        let (mut direction, mut sink) = (Direction::default(), Noting::default());
        poll_fn(|cx| direction.poll(&mut source, &mut sink, cx, &|_| {}, |_, _| 0)).await.unwrap();
        assert_eq!(sink.writes[..5], [4_096, 16_384, 65_536, 262_144, 262_144]);
        assert_eq!(sink.writes.iter().sum::<usize>(), 700_000);
        assert!(sink.shut && direction.is_finished());
    }

    #[tokio::test]
    async fn the_last_bytes_are_left_to_the_shutdown_as_far_as_the_sink_takes_them() {
        let counted = std::cell::Cell::new(0);
        let count = |n| counted.set(counted.get() + n);
        for (takes, written) in [(0, vec![9]), (4, vec![5]), (100, vec![])] {
            let (mut from, mut source) = duplex(100);
            from.write_all(&[7; 9]).await.unwrap();
            drop(from);
            let (mut direction, mut sink) = (Direction::default(), Noting { takes, ..Noting::default() });
            counted.set(0);
            let take = |sink: &mut Noting, bytes: &[u8]| {
                sink.taken = bytes.len().min(sink.takes);
                sink.taken
            };
            poll_fn(|cx| direction.poll(&mut source, &mut sink, cx, &count, take)).await.unwrap();
            assert_eq!((&sink.writes, counted.get()), (&written, 9), "{takes}");
            assert_eq!(sink.taken + sink.writes.iter().sum::<usize>(), 9);
            assert!(sink.shut);
        }
        // What comes before the end is written at once: nobody knows what follows.
        let (mut from, mut source) = duplex(100);
        from.write_all(&[7; 9]).await.unwrap();
        let (mut direction, mut sink) = (Direction::default(), Noting::default());
        let mut take = async || {
            let all = |_: &mut Noting, bytes: &[u8]| bytes.len();
            let step = |cx: &mut Context<'_>| {
                Poll::Ready(direction.poll(&mut source, &mut sink, cx, &|_| {}, all).is_ready())
            };
            poll_fn(step).await
        };
        assert!(!take().await);
        assert_eq!(sink.writes, [9]);
    }

    #[tokio::test]
    async fn what_the_sink_does_not_take_is_bounded_by_one_read_and_holds_up_the_source() {
        let (mut from, mut source) = duplex(1 << 20);
        let (mut sink, mut to) = duplex(1_000);
        from.write_all(&vec![7; 100_000]).await.unwrap();
        let mut direction = Direction::default();
        let mut step = async || {
            poll_fn(|cx| {
                Poll::Ready(direction.poll(&mut source, &mut sink, cx, &|_| {}, |_, _| 0).is_ready())
            })
            .await
        };
        assert!(!step().await);
        assert!(!step().await);
        assert_eq!((direction.unsent.len(), direction.size), (FIRST - 1_000, FIRST * GROWTH));
        // Then everything arrives, and at the end nothing is held.
        drop(from);
        let rest = tokio::spawn(async move {
            poll_fn(|cx| direction.poll(&mut source, &mut sink, cx, &|_| {}, |_, _| 0)).await.unwrap();
            direction.unsent.capacity()
        });
        let mut got = Vec::new();
        to.read_to_end(&mut got).await.unwrap();
        assert!(got.len() == 100_000 && got.iter().all(|byte| *byte == 7));
        assert_eq!(rest.await.unwrap(), 0);
    }
}
