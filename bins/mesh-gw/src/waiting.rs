//! Connections that somebody has to be waited for: the client with its hello, or an endpoint.
//!
//! An incomplete hello has a buffer of its own, as long as what has arrived, under one deadline
//! that runs from the accept and one budget that all of them share. A whole one that waits for its
//! endpoint is on another budget, so that whoever sends halves cannot keep good clients out.

use std::sync::Arc;

use gateway_app::hello::{Incomplete, Step, cut};
use gateway_app::parts::Parts;
use gateway_runtime::reason::Reason;
use gateway_runtime::registry::{ConnGuard, Refusal};
use mesh_forward::tcp::Relay;
use mesh_forward::tcp::dial::{Dialling, Socket};
use tokio::io::Interest;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connection, Counted};
use crate::flow::{self, Client, Decided, Observer};

/// Waits for the rest of a hello that begins with `bytes`.
pub(crate) fn for_hello(parts: &Arc<Parts>, client: Client, bytes: &[u8]) -> Connection {
    let (parts, deadline) = (Arc::clone(parts), Instant::now() + parts.hello_timeout);
    let mut hello = Incomplete::new(&parts);
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

async fn route(parts: &Arc<Parts>, client: Client, mut hello: Incomplete) -> Option<Relay<Counted>> {
    // The verdict is found once more, to borrow from bytes that no longer move.
    let Some(whole) = hello.hello() else { return end(client.guard, Reason::Internal, None) };
    let next = flow::decided(parts, client, hello.bytes(), &whole)?;
    drop(hello);
    match next {
        Connection::Relaying(relay) => Some(relay),
        Connection::Waiting(waiting) => waiting.await,
    }
}

fn end(guard: ConnGuard, reason: Reason, detail: Option<&str>) -> Option<Relay<Counted>> {
    guard.refuse(reason, Refusal { detail, ..Refusal::default() });
    None
}
