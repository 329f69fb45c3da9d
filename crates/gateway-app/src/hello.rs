//! The hello of a client that has not arrived as a whole, and what roles say of hellos that are refused.

use std::future::poll_fn;
use std::task::Poll;

use gateway_runtime::budget::Reservation;
use gateway_runtime::reason::Reason;
use gateway_runtime::registry::ConnGuard;
use mesh_forward::tcp::socket::{clear_readable, recv};
use mesh_forward::tcp::with_scratch;
use rustix::io::Errno;
use sni_peek::{ClientHello, HelloReader, Parsed};
use tokio::net::TcpStream;

use crate::parts::Parts;
use crate::reasons;

/// A hello that has not arrived as a whole: a buffer as long as what has, on a budget that all share.
#[derive(Debug)]
pub struct Incomplete {
    reader: HelloReader,
    memory: Reservation,
}

/// What the bytes so far are.
#[derive(Debug)]
pub enum Step {
    /// A part of a hello.
    More,
    /// A hello.
    Whole,
    /// Not a hello, or one that is refused; with what the reason cannot say.
    Refused(Reason, Option<String>),
}

impl Incomplete {
    /// Nothing yet.
    #[must_use]
    pub fn new<S>(parts: &Parts<S>) -> Self {
        Self { reader: HelloReader::new(parts.hello_limits), memory: parts.hello_memory.incomplete.open() }
    }

    /// Reads until the hello is whole. There is no time limit inside.
    ///
    /// # Errors
    /// Why it cannot become one.
    pub async fn rest(&mut self, stream: &TcpStream, mut step: Step) -> Result<(), (Reason, Option<String>)> {
        loop {
            match step {
                Step::Whole => return Ok(()),
                Step::Refused(reason, detail) => return Err((reason, detail)),
                Step::More => {}
            }
            if let Err(error) = stream.readable().await {
                return Err((Reason::Internal, Some(error.to_string())));
            }
            step = with_scratch(|buffer| match recv(stream, buffer) {
                Ok(0) | Err(Errno::CONNRESET) if self.reader.bytes().is_empty() => {
                    Step::Refused(Reason::Probe, None)
                }
                Ok(0) => Step::Refused(Reason::HelloEof, None),
                Ok(n) => {
                    if n < buffer.len() {
                        clear_readable(stream);
                    }
                    self.push(buffer.get(..n).unwrap_or_default())
                }
                Err(Errno::AGAIN) => {
                    clear_readable(stream);
                    Step::More
                }
                Err(errno) => Step::Refused(Reason::ClientReset, Some(errno.to_string())),
            });
        }
    }

    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Step {
        let step = match self.reader.push(bytes) {
            Parsed::Hello(_) => Step::Whole,
            Parsed::NeedMore { .. } => Step::More,
            refused => {
                let reason = reasons::of_hello(&refused).unwrap_or(Reason::Internal);
                return Step::Refused(reason, detail_of(&refused));
            }
        };
        match step {
            // It is about to leave the buffer.
            Step::Whole => step,
            step if self.memory.resize(self.reader.capacity()) => step,
            _ => Step::Refused(Reason::HelloMemory, None),
        }
    }

    /// The hello, once it is whole.
    pub fn hello(&mut self) -> Option<ClientHello<'static>> {
        match self.reader.push(&[]) {
            Parsed::Hello(hello) => Some(hello.into_owned()),
            _ => None,
        }
    }

    /// The bytes so far; more than the hello, if more has come.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.reader.bytes()
    }
}

/// What is wrong with a hello, for the record.
#[must_use]
pub fn detail_of(parsed: &Parsed<'_>) -> Option<String> {
    match parsed {
        Parsed::NotTls(what) => Some(what.to_string()),
        Parsed::Malformed(what) => Some(what.to_string()),
        Parsed::TooLarge { limit } => Some(format!("larger than {limit} bytes")),
        Parsed::Hello(_) | Parsed::NeedMore { .. } => None,
    }
}

/// Names are compared without case (mesh-gateway rules 2.3, terminating-gateway rules 4.2), and this
/// must not allocate.
#[must_use]
pub fn lower_cased<'b>(name: &str, buffer: &'b mut [u8; 255]) -> Option<&'b str> {
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

/// Waits until somebody cuts the connection, and says why.
pub async fn cut(guard: &ConnGuard) -> Reason {
    let reason = || guard.entry().cut_reason().unwrap_or(Reason::Internal);
    poll_fn(|cx| if guard.entry().poll_cut(cx) { Poll::Ready(reason()) } else { Poll::Pending }).await
}
