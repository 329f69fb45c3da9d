//! Connections that somebody has to be waited for: the client with its hello, or an endpoint.
//!
//! An incomplete hello has a buffer of its own, as long as what has arrived, under one deadline
//! that runs from the accept and one budget that all of them share. A whole one that waits for its
//! endpoint is on another budget, so that whoever sends halves cannot keep good clients out.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use gateway_app::parts::Parts;
use gateway_app::reasons;
use gateway_runtime::budget::Reservation;
use gateway_runtime::reason::Reason;
use gateway_runtime::registry::{ConnGuard, Refusal};
use mesh_forward::tcp::dial::{Dialling, Socket};
use mesh_forward::tcp::socket::{clear_readable, recv};
use mesh_forward::tcp::{Relay, with_scratch};
use rustix::io::Errno;
use sni_peek::{HelloReader, Parsed};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connection, Counted};
use crate::flow::{self, Client, Decided, Observer};

/// Waits for the rest of a hello that begins with `bytes`.
pub(crate) fn for_hello(parts: &Arc<Parts>, client: Client, bytes: &[u8]) -> Connection {
    let (parts, deadline) = (Arc::clone(parts), Instant::now() + parts.hello_timeout);
    let mut hello = Incomplete {
        reader: HelloReader::new(parts.hello_limits),
        memory: parts.hello_memory.incomplete.open(),
    };
    let first = if bytes.is_empty() { Step::More } else { hello.push(bytes) };
    Connection::Waiting(Box::pin(async move {
        let Client { socket, guard } = client;
        let stream = match socket.watch() {
            Ok(stream) => stream,
            Err(error) => return end(guard, Reason::Internal, Some(&error.to_string())),
        };
        let outcome = tokio::select! {
            biased;
            reason = cut(&guard) => Err((reason, None)),
            outcome = timeout_at(deadline, hello.rest(&stream, first)) => {
                outcome.unwrap_or(Err((Reason::HelloTimeout, None)))
            }
        };
        match outcome {
            Ok(()) => route(&parts, Client { socket: Socket::Watched(stream), guard }, hello).await,
            Err((reason, detail)) => end(guard, reason, detail.as_deref()),
        }
    }))
}

/// Waits for one of the endpoints that are being dialled.
pub(crate) fn for_endpoint(
    parts: &Arc<Parts>,
    client: Client,
    decided: Decided,
    dialling: Dialling,
    bytes: &[u8],
) -> Connection {
    let parts = Arc::clone(parts);
    let mut memory = parts.hello_memory.whole.open();
    let first = memory.resize(bytes.len()).then(|| bytes.to_vec());
    Connection::Waiting(Box::pin(async move {
        let _until_sent = memory;
        let Client { socket, guard } = client;
        let stream = match socket.watch() {
            Ok(stream) => stream,
            Err(error) => return end(guard, Reason::Internal, Some(&error.to_string())),
        };
        let Some(first) = first else {
            guard.refuse(Reason::HelloMemory, decided.refusal(&parts));
            return None;
        };
        let observer = Observer { parts: &parts, route: &decided.route };
        let gone = tokio::select! {
            biased;
            reason = cut(&guard) => reason,
            // A client that only ends its side still wants the answer; one that resets does not.
            _ = stream.ready(Interest::ERROR) => Reason::ClientReset,
            dialled = dialling.finish(|| fastrand::u64(..), &first, &observer) => {
                let client = Client { socket: Socket::Watched(stream), guard };
                return match dialled {
                    Ok(dialled) => flow::relay(&parts, client, decided, dialled, &first),
                    Err(failure) => {
                        flow::refuse_dial(&parts, client.guard, &decided, &failure);
                        None
                    }
                };
            }
        };
        guard.refuse(gone, decided.refusal(&parts));
        None
    }))
}

/// A hello that has not arrived as a whole.
struct Incomplete {
    reader: HelloReader,
    memory: Reservation,
}

/// What the bytes so far are.
enum Step {
    More,
    Whole,
    Refused(Reason, Option<String>),
}

impl Incomplete {
    /// Reads until the hello is whole, or cannot become one.
    async fn rest(&mut self, stream: &TcpStream, mut step: Step) -> Result<(), (Reason, Option<String>)> {
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

    fn push(&mut self, bytes: &[u8]) -> Step {
        let step = match self.reader.push(bytes) {
            Parsed::Hello(_) => Step::Whole,
            Parsed::NeedMore { .. } => Step::More,
            refused => {
                let reason = reasons::of_hello(&refused).unwrap_or(Reason::Internal);
                return Step::Refused(reason, flow::detail_of(&refused));
            }
        };
        match step {
            // It is about to leave the buffer.
            Step::Whole => step,
            step if self.memory.resize(self.reader.capacity()) => step,
            _ => Step::Refused(Reason::HelloMemory, None),
        }
    }
}

async fn route(parts: &Arc<Parts>, client: Client, hello: Incomplete) -> Option<Relay<Counted>> {
    let Incomplete { mut reader, memory } = hello;
    // The verdict is found once more, to borrow from bytes that no longer move.
    let whole = match reader.push(&[]) {
        Parsed::Hello(hello) => hello.into_owned(),
        _ => return end(client.guard, Reason::Internal, None),
    };
    let next = flow::decided(parts, client, reader.bytes(), &whole)?;
    drop((reader, memory));
    match next {
        Connection::Relaying(relay) => Some(relay),
        Connection::Waiting(waiting) => waiting.await,
    }
}

/// Waits until somebody cuts the connection.
async fn cut(guard: &ConnGuard) -> Reason {
    let reason = || guard.entry().cut_reason().unwrap_or(Reason::Internal);
    poll_fn(|cx| if guard.entry().poll_cut(cx) { Poll::Ready(reason()) } else { Poll::Pending }).await
}

fn end(guard: ConnGuard, reason: Reason, detail: Option<&str>) -> Option<Relay<Counted>> {
    guard.refuse(reason, Refusal { detail, ..Refusal::default() });
    None
}
