//! Which name leads where: the gateway's own datacenter, other datacenters and partitions, routes of the outside, and
//! names that lead nowhere. Real sidecars where it matters who is seen, bare hellos where only the way does.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

mod enterprise;
mod listeners;
mod local;
mod remote;
mod routes;

use std::net::SocketAddr;
use std::time::Duration;

use gateway_testkit::{
    Backend, CatalogDir, Deadline, Document, Gateway, Hello, Lab, Pki, Place, Script, wait_for,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const TD: &str = Pki::TRUST_DOMAIN;
const PATIENCE: Duration = Duration::from_secs(20);

/// The catalog's `[Mesh]` of these tests.
fn mesh() -> Document {
    Document::new().mesh("dc1", TD)
}

/// A name of the mesh: what stands in front of the kind, which the trust domain follows.
fn internal(front: &str) -> String {
    format!("{front}.internal.{TD}")
}

/// A gateway with this catalog, which may be changed later.
async fn gateway(lab: &Lab, document: Document) -> (CatalogDir, Gateway) {
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", document).unwrap();
    let gateway = lab.gateway("dc1").catalog(catalog.path()).start().await.unwrap();
    (catalog, gateway)
}

fn echo() -> Backend {
    Backend::local(Script::Echo).unwrap()
}

/// A client that has sent a hello with this name to `address`.
async fn say_hello(address: SocketAddr, name: &str) -> TcpStream {
    let mut stream = Place::Here.connect(address).await.unwrap();
    stream.write_all(&Hello::new(name).bytes()).await.unwrap();
    stream
}

/// Opens a connection to an echoing endpoint and gives it back with what is recorded of it once it has ended.
async fn visit(gateway: &Gateway, name: &str) -> Value {
    let mut stream = say_hello(gateway.address().unwrap(), name).await;
    let peer = stream.local_addr().unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end").expect("an orderly end");
    assert_eq!(answer, Hello::new(name).bytes(), "the endpoint got the hello of {name} unchanged");
    record_of(gateway, peer).await
}

/// Asserts that the name is refused without a byte to the client, and gives the record of it.
async fn turned_away(gateway: &Gateway, name: &str) -> Value {
    let mut stream = say_hello(gateway.address().unwrap(), name).await;
    let peer = stream.local_addr().unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as any.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    assert!(answer.is_empty(), "{name} was answered: {answer:?}");
    record_of(gateway, peer).await
}

async fn record_of(gateway: &Gateway, peer: SocketAddr) -> Value {
    let peer = peer.to_string();
    let wanted = |record: &Value| record["peer"] == *peer;
    gateway.wait_record(Deadline::usual(), &format!("of {peer}"), wanted).await.unwrap()
}

/// Waits until workers use the catalog's n-th state.
async fn in_use(gateway: &Gateway, generation: u64) {
    let admin = gateway.admin().unwrap();
    let at_least = async || {
        let page = admin.endpoints().await.ok()?;
        page["generation"].as_u64().filter(|now| *now >= generation)
    };
    wait_for(Deadline::usual(), "the changed catalog", at_least).await.unwrap();
}
