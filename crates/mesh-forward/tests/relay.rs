//! What a relay does with bytes, ends, resets and bulk, on real sockets.

#![allow(clippy::unwrap_used, reason = "a test ends where its support fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mesh_forward::tcp::{End, PipeConfig, Pipes, RelayConfig};
use support::{end_of, joined};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

async fn read_all(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn small_exchanges_are_copied_both_ways() {
    let mut j = joined(RelayConfig::default()).await;
    let mut buffer = [0u8; 3];
    for _ in 0..100 {
        j.client.write_all(b"abc").await.unwrap();
        j.upstream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"abc");
        j.upstream.write_all(b"def").await.unwrap();
        j.client.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"def");
    }
    assert_eq!(j.counts.up.load(Relaxed), 305, "the hello counts");
    assert_eq!(j.counts.down.load(Relaxed), 300);
    assert!(!j.counts.spliced.load(Relaxed), "small exchanges are not spliced");
    drop((j.client.shutdown().await, j.upstream.shutdown().await));
    assert_eq!(end_of(j).await, End::Closed);
}

async fn bulk(config: RelayConfig, spliced: bool) {
    let j = joined(config).await;
    let (up, down) = (pattern(8 << 20), pattern(12 << 20));
    let (mut client_read, mut client_write) = j.client.into_split();
    let (mut upstream_read, upstream_write) = j.upstream.into_split();
    let send = |mut to: tokio::net::tcp::OwnedWriteHalf, bytes: Vec<u8>| async move {
        to.write_all(&bytes).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let (_, _, got_up, got_down) = tokio::join!(
        {
            let up = up.clone();
            async move {
                client_write.write_all(&up).await.unwrap();
                client_write.shutdown().await.unwrap();
            }
        },
        send(upstream_write, down.clone()),
        read_all(&mut upstream_read),
        read_all(&mut client_read),
    );
    assert!(got_up == up, "every byte went up in order");
    assert!(got_down == down, "every byte came down in order");
    tokio::time::timeout(Duration::from_secs(10), j.relay).await.unwrap().unwrap();
    assert_eq!(j.counts.end(), Some(End::Closed));
    assert_eq!(j.counts.up.load(Relaxed), 5 + (8 << 20));
    assert_eq!(j.counts.down.load(Relaxed), 12 << 20);
    assert_eq!(j.counts.spliced.load(Relaxed), spliced);
}

#[tokio::test]
async fn bulk_is_spliced_and_complete() {
    bulk(RelayConfig::default(), true).await;
}

#[tokio::test]
async fn bulk_is_complete_through_the_smallest_pipes() {
    let pipes = Pipes::new(PipeConfig { size: 4096, memory: 8192, spare: 0 });
    bulk(RelayConfig { pipes, ..RelayConfig::default() }, true).await;
}

#[tokio::test]
async fn bulk_without_pipes_is_copied_and_complete() {
    let pipes = Pipes::new(PipeConfig { memory: 0, ..PipeConfig::default() });
    bulk(RelayConfig { pipes, ..RelayConfig::default() }, false).await;
}

/// The pool is used up by somebody else: the connection is copied, and that is counted.
#[tokio::test]
async fn a_connection_without_a_pipe_is_copied_and_counted() {
    let one = PipeConfig { size: 64 * 1024, memory: 64 * 1024, spare: 1 };
    let config = Arc::new(RelayConfig { pipes: Pipes::new(one), ..RelayConfig::default() });
    let mut first = support::joined_with(Arc::clone(&config)).await;
    let mut second = support::joined_with(Arc::clone(&config)).await;
    // The first holds its pipe because nobody reads at the far end.
    let stuck = pattern(32 << 20);
    let stuck_writer = tokio::spawn(async move {
        let _cut = first.upstream.write_all(&stuck).await;
        first
    });
    support::eventually("the first connection holds the pipe", || config.pipes.bytes() == 64 * 1024).await;
    let bytes = pattern(4 << 20);
    let sent = bytes.clone();
    let writer = tokio::spawn(async move {
        second.upstream.write_all(&sent).await.unwrap();
        second.upstream.shutdown().await.unwrap();
        second.counts
    });
    assert!(read_all(&mut second.client).await == bytes);
    let _counts = writer.await.unwrap();
    assert!(config.pipes.counters().refused_by_bound.load(Relaxed) >= 1);
    stuck_writer.abort();
}

/// What one direction has ended does not end the other.
#[tokio::test]
async fn half_close_from_the_client_keeps_the_answer_flowing() {
    let mut j = joined(RelayConfig::default()).await;
    j.client.shutdown().await.unwrap();
    assert_eq!(j.upstream.read(&mut [0; 1]).await.unwrap(), 0, "the upstream is told");
    let answer = pattern(300_000);
    let sent = answer.clone();
    let (_, got) = tokio::join!(
        async {
            j.upstream.write_all(&sent).await.unwrap();
            j.upstream.shutdown().await.unwrap();
        },
        read_all(&mut j.client)
    );
    assert!(got == answer);
    assert_eq!(end_of(j).await, End::Closed);
}

#[tokio::test]
async fn half_close_from_the_upstream_keeps_the_client_flowing() {
    for tick in [Duration::ZERO, Duration::from_millis(8), Duration::from_millis(300)] {
        let mut j = joined(RelayConfig { closing_tick: tick, ..RelayConfig::default() }).await;
        j.upstream.shutdown().await.unwrap();
        assert_eq!(j.client.read(&mut [0; 1]).await.unwrap(), 0, "the client is told");
        let rest = pattern(300_000);
        let sent = rest.clone();
        let (_, got) = tokio::join!(
            async {
                j.client.write_all(&sent).await.unwrap();
                j.client.shutdown().await.unwrap();
            },
            read_all(&mut j.upstream)
        );
        assert!(got == rest, "tick {tick:?}");
        assert_eq!(end_of(j).await, End::Closed);
    }
}

/// A client that stays half-closed past the tick still works, and still ends.
#[tokio::test]
async fn a_client_that_outlives_the_tick_goes_on() {
    let mut j =
        joined(RelayConfig { closing_tick: Duration::from_millis(1), ..RelayConfig::default() }).await;
    j.upstream.shutdown().await.unwrap();
    assert_eq!(j.client.read(&mut [0; 1]).await.unwrap(), 0);
    let mut byte = [0u8; 1];
    for i in 0..20u8 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        j.client.write_all(&[i]).await.unwrap();
        j.upstream.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, [i]);
    }
    j.client.shutdown().await.unwrap();
    assert_eq!(end_of(j).await, End::Closed);
}

/// More connections than a tick takes: the rest wait for events, and all end.
#[tokio::test]
async fn many_closing_at_once_all_end() {
    let config = Arc::new(RelayConfig { closing_per_tick: 2, ..RelayConfig::default() });
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push(support::joined_with(Arc::clone(&config)).await);
    }
    for j in &mut all {
        j.upstream.shutdown().await.unwrap();
        assert_eq!(j.client.read(&mut [0; 1]).await.unwrap(), 0);
    }
    for mut j in all {
        j.client.shutdown().await.unwrap();
        assert_eq!(end_of(j).await, End::Closed);
    }
}

/// A stream that was cut must not look complete: a reset is passed on as a reset.
#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    for spliced in [false, true] {
        let mut j = joined(RelayConfig::default()).await;
        if spliced {
            let bytes = pattern(2 << 20);
            let mut got = vec![0; bytes.len()];
            let (sent, read) = tokio::join!(j.upstream.write_all(&bytes), j.client.read_exact(&mut got));
            sent.unwrap();
            read.unwrap();
            assert!(j.counts.spliced.load(Relaxed));
        }
        j.upstream.set_zero_linger().unwrap();
        drop(j.upstream);
        let error = j.client.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        tokio::time::timeout(Duration::from_secs(10), j.relay).await.unwrap().unwrap();
        assert_eq!(j.counts.end(), Some(End::UpstreamReset));
    }
    let mut j = joined(RelayConfig::default()).await;
    j.client.set_zero_linger().unwrap();
    drop(j.client);
    let error = j.upstream.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    tokio::time::timeout(Duration::from_secs(10), j.relay).await.unwrap().unwrap();
    assert_eq!(j.counts.end(), Some(End::ClientReset));
}

/// Pipes come back when their connections are at rest, and their account returns to the spare ones.
#[tokio::test]
async fn pipes_are_held_only_while_bytes_flow() {
    let config = Arc::new(RelayConfig {
        pipes: Pipes::new(PipeConfig { spare: 1, ..PipeConfig::default() }),
        ..RelayConfig::default()
    });
    let mut all = Vec::new();
    for _ in 0..4 {
        let mut j = support::joined_with(Arc::clone(&config)).await;
        let bytes = pattern(2 << 20);
        let mut got = vec![0; bytes.len()];
        let (sent, read) = tokio::join!(j.upstream.write_all(&bytes), j.client.read_exact(&mut got));
        sent.unwrap();
        read.unwrap();
        assert!(j.counts.spliced.load(Relaxed));
        all.push(j);
    }
    support::eventually("all but the spare pipe are gone", || config.pipes.bytes() <= 512 * 1024).await;
    drop(all);
}

/// Dropped in the middle (as at the end of the process), a relay leaves nothing on the account.
#[tokio::test]
async fn a_relay_dropped_in_the_middle_returns_its_pipe() {
    let config = Arc::new(RelayConfig::default());
    let mut j = support::joined_with(Arc::clone(&config)).await;
    let bytes = pattern(32 << 20);
    let writer = tokio::spawn(async move {
        let _cut = j.upstream.write_all(&bytes).await;
        j
    });
    support::eventually("a pipe is in use", || config.pipes.bytes() > 0).await;
    writer.abort();
    support::eventually("the pipe with bytes in it is closed", || {
        let lent = config.pipes.counters().lent.load(Relaxed);
        lent >= 1 && config.pipes.bytes() <= 512 * 1024
    })
    .await;
}
