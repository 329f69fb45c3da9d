//! A relay between two real sockets, and what happened to it.

#![allow(dead_code, reason = "each test file uses its own part of the support code")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its support fails")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::time::{Duration, Instant};

use mesh_endpoints::{EjectionNotice, Endpoint, EndpointSet, SetPolicy};
use mesh_forward::tcp::dial::{self, DialObserver, DialPlan, Dialled, OwnAddresses, Socket, Start};
use mesh_forward::tcp::{DialError, DialFailure, End, Meter, Relay, RelayConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
    pub(crate) spliced: AtomicBool,
    pub(crate) cut: AtomicBool,
    pub(crate) error: Mutex<Option<String>>,
    pub(crate) end: Mutex<Option<End>>,
}

impl Counts {
    pub(crate) fn end(&self) -> Option<End> {
        *self.end.lock().unwrap()
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct TestMeter(pub(crate) Arc<Counts>);

impl Meter for TestMeter {
    fn up(&self, bytes: u64) {
        self.0.up.fetch_add(bytes, Ordering::Relaxed);
    }
    fn down(&self, bytes: u64) {
        self.0.down.fetch_add(bytes, Ordering::Relaxed);
    }
    fn spliced(&self) {
        self.0.spliced.store(true, Ordering::Relaxed);
    }
    fn poll_cut(&self, _cx: &Context<'_>) -> bool {
        self.0.cut.load(Ordering::Relaxed)
    }
    fn failed(&mut self, error: &std::io::Error) {
        *self.0.error.lock().unwrap() = Some(error.to_string());
    }
    fn ended(&mut self, end: End) {
        *self.0.end.lock().unwrap() = Some(end);
    }
}

/// What a dial reported.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) failed: Mutex<Vec<SocketAddr>>,
    pub(crate) ejected: Mutex<Vec<SocketAddr>>,
}

impl DialObserver for Seen {
    fn failed(&self, address: SocketAddr, _why: DialError) {
        self.failed.lock().unwrap().push(address);
    }
    fn ejected(&self, notice: &EjectionNotice) {
        self.ejected.lock().unwrap().push(notice.address);
    }
}

pub(crate) fn set_of(addresses: &[SocketAddr]) -> Arc<EndpointSet> {
    let endpoint =
        |address: &SocketAddr| Endpoint { address: *address, weight: 1, healthy: true, label: None };
    EndpointSet::new(SetPolicy::default(), addresses.iter().map(endpoint).collect())
}

pub(crate) fn plan(budget: Duration) -> DialPlan {
    DialPlan {
        budget,
        keepalive: None,
        own: Arc::new(OwnAddresses::default()),
        attempts: 3,
        source: None,
        handshake: false,
    }
}

pub(crate) async fn dial(
    set: &Arc<EndpointSet>,
    plan: &DialPlan,
    first: &[u8],
    seen: &Seen,
) -> Result<Dialled, DialFailure> {
    match dial::start(set, plan, Instant::now(), &mut || 0, first, seen)? {
        Start::Connected(dialled) => Ok(dialled),
        Start::Waiting(dialling) => dialling.finish(|| 0, first, seen).await,
    }
}

/// A client and an upstream with a relay between them.
pub(crate) struct Joined {
    pub(crate) client: TcpStream,
    pub(crate) upstream: TcpStream,
    pub(crate) counts: Arc<Counts>,
    pub(crate) relay: JoinHandle<()>,
}

pub(crate) async fn joined(config: RelayConfig) -> Joined {
    joined_with(Arc::new(config)).await
}

pub(crate) async fn joined_with(config: Arc<RelayConfig>) -> Joined {
    let upstream_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let set = set_of(&[upstream_listener.local_addr().unwrap()]);
    let dialled = dial(&set, &plan(Duration::from_secs(5)), b"hello", &Seen::default()).await.unwrap();
    let client = connect(client_listener.local_addr().unwrap());
    let (accepted, _) = client_listener.accept().await.unwrap();
    let (mut upstream, _) = upstream_listener.accept().await.unwrap();
    let meter = TestMeter::default();
    let counts = Arc::clone(&meter.0);
    let relay = Relay::new(Socket::Watched(accepted), dialled, b"hello", meter, config).unwrap();
    let relay = tokio::spawn(relay);
    let mut first = [0u8; 5];
    tokio::io::AsyncReadExt::read_exact(&mut upstream, &mut first).await.unwrap();
    assert_eq!(&first, b"hello");
    Joined { client, upstream, counts, relay }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    TcpStream::from_std(stream).unwrap()
}

/// The end of the relay, within a deadline.
pub(crate) async fn end_of(joined: Joined) -> End {
    tokio::time::timeout(Duration::from_secs(10), joined.relay).await.expect("the relay ends").unwrap();
    joined.counts.end().expect("an end was reported")
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
