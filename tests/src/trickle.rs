//! Sending slowly: a few bytes at a time, the next ones when a condition holds.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Sends `bytes` in pieces of `chunk` (at least 1); `between` is awaited after each piece but the last, with the number
/// of bytes sent so far.
///
/// # Errors
/// When the other side has cut the connection: with the number of bytes that went out before it in the message.
pub async fn trickle(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    chunk: usize,
    mut between: impl AsyncFnMut(usize),
) -> io::Result<()> {
    let chunk = chunk.max(1);
    let mut sent = 0;
    for piece in bytes.chunks(chunk) {
        if sent > 0 {
            between(sent).await;
        }
        let written = async {
            stream.write_all(piece).await?;
            stream.flush().await
        };
        written
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("after {sent} bytes: {error}")))?;
        sent += piece.len();
    }
    Ok(())
}

/// A pace for [`trickle`]: the slowness itself is what such a test is about, not something waited for.
pub async fn pause(pace: Duration) {
    tokio::time::sleep(pace).await;
}
