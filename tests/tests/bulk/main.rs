//! Bulk: spliced inside the kernel where there is a pipe for it, copied where there is none, and complete either way.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

mod fallback;
mod ordinary_user;
mod spliced;

use std::time::Duration;

use gateway_testkit::{Backend, Deadline, Document, Gateway, GatewayBuilder, Hello, Lab, Pki, Place, Script};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

const MIB: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// Pipe memory is bounded per user, and one of these tests uses it up: they take turns.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

fn hello() -> Vec<u8> {
    Hello::new(&format!("web.default.dc1.internal.{}", Pki::TRUST_DOMAIN)).bytes()
}

/// An echoing `web`, and how to start a gateway before it.
fn prepare(lab: &Lab, name: &str) -> (Backend, GatewayBuilder) {
    let backend = Backend::local(Script::Echo).unwrap();
    let catalog = lab.catalog("catalog").unwrap();
    let mesh = Document::new().mesh("dc1", Pki::TRUST_DOMAIN);
    catalog.write("mesh.toml", mesh.sidecar("web", "web-1", backend.address())).unwrap();
    (backend, lab.gateway(name).catalog(catalog.path()))
}

/// A client of `web` that has seen its hello come back.
async fn open(gateway: &Gateway) -> TcpStream {
    let mut stream = Place::Here.connect(gateway.address().unwrap()).await.unwrap();
    stream.write_all(&hello()).await.unwrap();
    let mut back = vec![0; hello().len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.expect("an echo").unwrap();
    assert_eq!(back, hello());
    stream
}

/// Sends `total` bytes and compares each one that comes back.
async fn exchange(stream: &mut TcpStream, total: usize) {
    let (mut read, mut write) = stream.split();
    let send = async {
        let mut sent = 0;
        while sent < total {
            let piece = piece(sent, total);
            write.write_all(&piece).await.unwrap();
            sent += piece.len();
        }
    };
    let compare = async {
        let mut compared = 0;
        let mut came = vec![0; PIECE];
        while compared < total {
            let expected = piece(compared, total);
            let came = &mut came[..expected.len()];
            read.read_exact(came).await.unwrap();
            assert!(came == expected, "other bytes than those sent, from {compared} on");
            compared += expected.len();
        }
    };
    timeout(PATIENCE, async { tokio::join!(send, compare) }).await.expect("all bytes back in time");
}

/// Not a divisor of any buffer's or pipe's size, so that pieces in the wrong order are seen.
const PIECE: usize = 60_013;

/// The bytes from `at` on: different at every place.
fn piece(at: usize, total: usize) -> Vec<u8> {
    let mut state = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(PIECE.div_ceil(8)).flatten().take(PIECE.min(total - at)).collect()
}

/// Ends the connection in order and gives what is recorded of it.
async fn close(gateway: &Gateway, mut stream: TcpStream) -> Value {
    let peer = stream.local_addr().unwrap().to_string();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("an end").unwrap();
    assert!(rest.is_empty(), "{} bytes after the last", rest.len());
    let wanted = |record: &Value| record["peer"] == *peer;
    gateway.wait_record(Deadline::usual(), &format!("of {peer}"), wanted).await.unwrap()
}

/// Asserts that a record tells of a whole exchange of `bytes` and the hello.
fn assert_whole(record: &Value, bytes: usize) {
    let all = (bytes + hello().len()) as u64;
    assert_eq!((&record["bytes_up"], &record["bytes_down"]), (&all.into(), &all.into()), "{record}");
    assert_eq!(record["reason"], "closed", "{record}");
}

/// Waits until a metric is as `wanted`.
async fn metric(gateway: &Gateway, name: &str, labels: &[(&str, &str)], wanted: impl Fn(f64) -> bool) {
    gateway.wait_metric(Deadline::usual(), name, labels, wanted).await.unwrap();
}
