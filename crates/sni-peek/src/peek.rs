//! Reads a hello from an async stream, under a size limit and one deadline.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use crate::{ClientHello, HelloReader, Limits, Malformed, NotTls, Parsed, Rewind};

/// Why there is no hello. Only [`PeekError::Io`] can be the fault of anything but the client; no retry helps, since the
/// stream is gone with the error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeekError {
    /// Reading failed.
    #[error("reading the hello failed after {received} bytes: {source}")]
    Io {
        /// Bytes that came before.
        received: usize,
        /// What the stream said.
        source: io::Error,
    },
    /// The stream ended before the hello was complete.
    #[error("the connection ended after {received} bytes of the hello")]
    Eof {
        /// Bytes that came before; 0 for a connection that said nothing.
        received: usize,
    },
    /// The hello was not complete in time.
    #[error("the hello was not complete in time, {received} bytes came")]
    Deadline {
        /// Bytes that came in time.
        received: usize,
    },
    /// The client does not speak TLS.
    #[error(transparent)]
    NotTls(#[from] NotTls),
    /// The hello breaks a rule.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The hello does not fit into the limit.
    #[error("the hello is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// Reads until the hello is complete and gives the stream back with nothing lost: reading from [`Rewind`] starts at the
/// hello's first byte. Nothing is ever written.
///
/// The deadline is absolute: a client that sends a byte now and then does not extend it. At most `max_bytes` of
/// `limits` are buffered.
///
/// # Errors
///
/// See [`PeekError`]; the stream is dropped then. Dropping the future drops the stream too.
pub async fn peek<IO: AsyncRead + Unpin>(
    mut io: IO,
    limits: &Limits,
    deadline: Instant,
) -> Result<(ClientHello<'static>, Rewind<IO>), PeekError> {
    let mut reader = HelloReader::new(*limits);
    let hello = match timeout_at(deadline, fill(&mut io, &mut reader, deadline)).await {
        Ok(result) => result?,
        Err(_) => return Err(PeekError::Deadline { received: reader.bytes().len() }),
    };
    Ok((hello, Rewind::new(io, reader.into_bytes())))
}

async fn fill<IO: AsyncRead + Unpin>(
    io: &mut IO,
    reader: &mut HelloReader,
    deadline: Instant,
) -> Result<ClientHello<'static>, PeekError> {
    loop {
        let received = reader.bytes().len();
        match io.read_buf(reader.room()).await {
            Ok(0) => return Err(PeekError::Eof { received }),
            Ok(_) => {}
            Err(source) => return Err(PeekError::Io { received, source }),
        }
        match reader.judge_appended() {
            Parsed::Hello(hello) => return Ok(hello.into_owned()),
            Parsed::NeedMore { .. } => {}
            Parsed::NotTls(why) => return Err(why.into()),
            Parsed::Malformed(why) => return Err(why.into()),
            Parsed::TooLarge { limit } => return Err(PeekError::TooLarge { limit }),
        }
        // A stream that is always ready never lets the timer speak.
        if Instant::now() >= deadline {
            return Err(PeekError::Deadline { received: reader.bytes().len() });
        }
    }
}
