//! `peek` on streams: nothing is lost, nothing is written, the deadline is absolute.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what does not fit fails the test")]

#[expect(dead_code, reason = "plain hellos are enough here")]
#[path = "shared/build.rs"]
mod build;

use std::io;
use std::time::Duration;

use sni_peek::{Limits, NotTls, PeekError, Rewind, peek};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

fn in_ten_seconds() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn fails(bytes: &[u8], limits: Limits) -> PeekError {
    let (mut client, server) = duplex(1 << 20);
    client.write_all(bytes).await.unwrap();
    // The client keeps its end open: what is judged, is judged without an end of the stream.
    peek(server, &limits, in_ten_seconds()).await.unwrap_err()
}

/// Reads all that the client sent, from its first byte.
async fn everything(mut rewind: Rewind<DuplexStream>) -> Vec<u8> {
    let mut all = Vec::new();
    rewind.read_to_end(&mut all).await.unwrap();
    all
}

#[tokio::test(start_paused = true)]
async fn gives_every_byte_back() {
    for size in [16384, 100, 1] {
        let hello = build::hello("billing.example").records_of(size);
        let sent = [&hello[..], b"early data and more"].concat();
        // A pipe of 7 bytes makes many reads; a large one reads beyond the hello.
        for pipe in [1, 7, 1 << 20] {
            let (mut client, server) = duplex(pipe);
            let bytes = sent.clone();
            let sender = tokio::spawn(async move {
                client.write_all(&bytes).await.unwrap();
                client.shutdown().await.unwrap();
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).await.unwrap();
                answer
            });
            let (parsed, rewind) = peek(server, &Limits::default(), in_ten_seconds()).await.unwrap();
            assert_eq!(parsed.server_name(), Some("billing.example"));
            assert_eq!(parsed.consumed(), hello.len());
            assert!(rewind.ahead().starts_with(&hello));
            assert_eq!(everything(rewind).await, sent);
            assert!(sender.await.unwrap().is_empty(), "nothing is written to the client");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rewind_is_the_stream_for_writing_and_for_small_reads() {
    let hello = build::hello("a.example").bytes();
    let (mut client, server) = duplex(1 << 16);
    client.write_all(&hello).await.unwrap();
    let (_, mut rewind) = peek(server, &Limits::default(), in_ten_seconds()).await.unwrap();
    let mut first = [0; 3];
    rewind.read_exact(&mut first).await.unwrap();
    assert_eq!(first, hello[..3]);
    assert_eq!(rewind.ahead(), &hello[3..]);
    rewind.write_all(b"answer").await.unwrap();
    rewind.flush().await.unwrap();
    let mut answer = [0; 6];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"answer");
    let (mut io, ahead) = rewind.into_parts();
    assert_eq!(ahead, hello[3..]);
    client.write_all(b"next").await.unwrap();
    let mut next = [0; 4];
    io.read_exact(&mut next).await.unwrap();
    assert_eq!(&next, b"next");
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_does_not_move_the_deadline() {
    let hello = build::hello("a.example").bytes();
    let (mut client, server) = duplex(1 << 16);
    let start = Instant::now();
    tokio::spawn(async move {
        for byte in hello.iter().cycle() {
            tokio::time::sleep(Duration::from_millis(150)).await;
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    });
    let error = peek(server, &Limits::default(), start + Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, PeekError::Deadline { received: 60..=67 }), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline() {
    let (_client, server) = duplex(64);
    let start = Instant::now();
    let error = peek(server, &Limits::default(), start + Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, PeekError::Deadline { received: 0 }), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

/// A stream that always has one more byte, and never waits.
#[derive(Debug)]
struct Endless(usize);

impl tokio::io::AsyncRead for Endless {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        // Empty records, one byte at a time.
        buf.put_slice(&[[22, 3, 1, 0, 0][self.0 % 5]]);
        self.0 += 1;
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_waits_is_bound_by_the_deadline_too() {
    let error = peek(Endless(0), &Limits::default(), Instant::now()).await.unwrap_err();
    assert!(matches!(error, PeekError::Deadline { received: 1 }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn errors_come_at_once() {
    let start = Instant::now();
    let limits = Limits::default();
    assert!(matches!(
        fails(b"GET / HTTP/1.1\r\n", limits).await,
        PeekError::NotTls(NotTls::Text { first: b'G' })
    ));
    assert!(matches!(fails(&[4], limits).await, PeekError::NotTls(NotTls::ConsulRpc { first: 4 })));
    assert!(matches!(fails(&[22, 3, 3, 0, 4, 2], limits).await, PeekError::Malformed(_)));
    let hello = build::hello("a.example").bytes();
    let small = Limits { max_bytes: 60 };
    assert!(matches!(fails(&hello, small).await, PeekError::TooLarge { limit: 60 }));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_end_in_the_middle_is_noticed_at_once() {
    let hello = build::hello("a.example").bytes();
    for length in [0, 1, 40] {
        let (mut client, server) = duplex(1 << 16);
        client.write_all(&hello[..length]).await.unwrap();
        drop(client);
        let start = Instant::now();
        let error = peek(server, &Limits::default(), in_ten_seconds()).await.unwrap_err();
        assert!(matches!(error, PeekError::Eof { received } if received == length), "{error}");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
