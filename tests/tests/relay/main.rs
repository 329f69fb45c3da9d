//! What becomes of a connection that is open: its ends, its limits, draining, changes of the catalog, and a process that
//! has run out of descriptors.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

mod changes;
mod descriptors;
mod drain;
mod ends;
mod limits;

use std::time::Duration;

use gateway_testkit::{
    Backend, CatalogDir, Deadline, Document, Gateway, GatewayBuilder, Hello, Lab, Pki, Place, Script,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn mesh() -> Document {
    Document::new().mesh("dc1", Pki::TRUST_DOMAIN)
}

/// The hello of a client of `web`.
fn hello() -> Vec<u8> {
    Hello::new(&format!("web.default.dc1.internal.{}", Pki::TRUST_DOMAIN)).bytes()
}

/// A catalog with `web` at `backend`, and how to start a gateway with it.
fn prepare(lab: &Lab, backend: &Backend) -> (CatalogDir, GatewayBuilder) {
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", mesh().sidecar("web", "web-1", backend.address())).unwrap();
    let builder = lab.gateway("dc1").catalog(catalog.path());
    (catalog, builder)
}

/// An echoing service behind a gateway with these settings.
async fn echo(lab: &Lab, settings: &[(&str, &str)]) -> (Backend, CatalogDir, Gateway) {
    let backend = Backend::local(Script::Echo).unwrap();
    let (catalog, builder) = prepare(lab, &backend);
    let builder = settings.iter().fold(builder, |builder, (key, value)| builder.setting(key, value));
    (backend, catalog, builder.start().await.unwrap())
}

/// A client of `web`, from before its hello.
async fn connect(gateway: &Gateway) -> TcpStream {
    Place::Here.connect(gateway.address().unwrap()).await.unwrap()
}

/// A client of an echoing `web` that has seen its hello come back.
async fn open(gateway: &Gateway) -> TcpStream {
    let mut stream = connect(gateway).await;
    exchange(&mut stream, &hello()).await;
    stream
}

/// Sends bytes and reads them back.
async fn exchange(stream: &mut TcpStream, bytes: &[u8]) {
    assert!(echoes(stream, bytes).await, "the connection has ended");
}

/// Sends bytes and reads them back; false when the connection ends before that.
async fn echoes(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let mut back = vec![0; bytes.len()];
    let exchange = async {
        stream.write_all(bytes).await?;
        stream.read_exact(&mut back).await
    };
    let arrived = timeout(PATIENCE, exchange).await.expect("an echo or an end").is_ok();
    assert!(!arrived || back == bytes, "the echo differs");
    arrived
}

/// How a connection ends for its client: what came before, and whether the end was an orderly one.
async fn end(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("an end");
    (rest, ended.is_ok())
}

/// What is recorded of a client's connection.
async fn record_of(gateway: &Gateway, stream: &TcpStream) -> Value {
    let peer = stream.local_addr().unwrap().to_string();
    let wanted = |record: &Value| record["peer"] == *peer;
    gateway.wait_record(Deadline::after(PATIENCE), &format!("of {peer}"), wanted).await.unwrap()
}
