//! Which endpoint of a service is dialled, and what happens when it does not answer: weights, health, subsets, second
//! attempts, ejection, limits, loops, host names.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

mod attempts;
mod choice;
mod ejection;
mod failing;
mod health;
mod limits;
mod loops;

use std::net::SocketAddr;
use std::time::Duration;

use gateway_testkit::{
    Backend, CatalogDir, Deadline, Document, Gateway, GatewayBuilder, Hello, Lab, Pki, Place, Script,
    wait_for,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const PATIENCE: Duration = Duration::from_secs(30);

fn mesh() -> Document {
    Document::new().mesh("dc1", Pki::TRUST_DOMAIN)
}

/// The name of a service or subset of dc1.
fn name(service: &str) -> String {
    format!("{service}.default.dc1.internal.{}", Pki::TRUST_DOMAIN)
}

/// A `service-resolver` for `web`.
fn resolver(keys: &str) -> String {
    format!("[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\n{keys}\n")
}

/// An instance of `web`, with the rest of its keys in TOML.
trait WithWeb {
    fn web(self, address: SocketAddr, more: &str) -> Self;
}

impl WithWeb for Document {
    fn web(self, address: SocketAddr, more: &str) -> Self {
        self.instance("web", "connect-proxy", address, more)
    }
}

/// A gateway with this catalog, which may be changed later, and these settings.
async fn gateway(lab: &Lab, document: Document, settings: &[(&str, &str)]) -> (CatalogDir, Gateway) {
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", document).unwrap();
    let with = |builder: GatewayBuilder, (key, value): &(&str, &str)| builder.setting(key, value);
    let builder = settings.iter().fold(lab.gateway("dc1").catalog(catalog.path()), with);
    (catalog, builder.start().await.unwrap())
}

fn echo() -> Backend {
    Backend::local(Script::Echo).unwrap()
}

fn refusing() -> Backend {
    Backend::refusing(&Place::Here, LOOPBACK.into()).unwrap()
}

async fn black_hole() -> Backend {
    Backend::black_hole(&Place::Here, LOOPBACK.into()).await.unwrap()
}

/// A client that has sent its hello.
async fn say_hello(gateway: &Gateway, service: &str) -> TcpStream {
    let mut stream = Place::Here.connect(gateway.address().unwrap()).await.unwrap();
    stream.write_all(&Hello::new(&name(service)).bytes()).await.unwrap();
    stream
}

/// The same, once an echoing endpoint has answered.
async fn open(gateway: &Gateway, service: &str) -> TcpStream {
    let mut stream = say_hello(gateway, service).await;
    let mut back = vec![0; Hello::new(&name(service)).bytes().len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.expect("an answer").expect("an answer");
    stream
}

/// One whole connection, whatever becomes of it: what is recorded of it.
async fn visit(gateway: &Gateway, service: &str) -> Value {
    let mut stream = say_hello(gateway, service).await;
    // It may have been refused already.
    let _ = stream.shutdown().await;
    end_of(gateway, stream).await
}

/// Reads to the end of a connection, and gives what is recorded of it.
async fn end_of(gateway: &Gateway, mut stream: TcpStream) -> Value {
    let peer = stream.local_addr().unwrap().to_string();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    let wanted = |record: &Value| record["peer"] == *peer;
    gateway.wait_record(Deadline::usual(), &format!("of {peer}"), wanted).await.unwrap()
}

/// How many of `calls` connections, one after the other, each endpoint got.
async fn spread<const N: usize>(
    gateway: &Gateway,
    service: &str,
    calls: usize,
    endpoints: [SocketAddr; N],
) -> [usize; N] {
    let mut counts = [0; N];
    for _ in 0..calls {
        let record = visit(gateway, service).await;
        assert_eq!(record["reason"], "closed", "{record}");
        let endpoint = endpoints.iter().position(|address| record["endpoint"] == address.to_string());
        counts[endpoint.unwrap_or_else(|| panic!("another endpoint: {record}"))] += 1;
    }
    counts
}

/// The row of an endpoint in `/endpoints`.
async fn row(gateway: &Gateway, service: &str, address: SocketAddr) -> Option<Value> {
    let page = gateway.admin().unwrap().json(&format!("/endpoints?name={}", name(service))).await.unwrap();
    let rows = page["services"][0]["endpoints"].as_array()?;
    rows.iter().find(|row| row["address"] == address.to_string()).cloned()
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

/// How often the log has this message.
fn said(gateway: &Gateway, message: &str) -> usize {
    let of = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains(message));
    gateway.log().all().into_iter().filter(of).count()
}
