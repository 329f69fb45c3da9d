//! Nine thousand clients that each send half a hello and then nothing: each costs next to nothing, a good client does
//! not notice them, and all are gone at the deadline.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use gateway_testkit::{
    ClientSidecar, Deadline, Document, Gateway, Hello, Lab, Pki, ServerSidecar, Sidecar, Upstream, Via,
    eventually, group, in_ci,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const CLIENTS: usize = 9_000;
/// A source address has some 28,000 ports, which other tests and finished connections use too.
const SOURCES: u8 = 9;
/// Connections that are opened before the gateway has to have accepted them: fewer than its queue holds.
const ROUND: usize = 1_500;
/// Long enough to open all and to look at them, on a machine that has other things to do.
const HELLO_TIMER: Duration = Duration::from_secs(12);
const MOST_PER_CLIENT: u64 = 4 * 1024;
/// Descriptors of this process that are no slow clients.
const BESIDE: u64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_thousand_half_hellos_cost_little_and_disturb_nobody() {
    let clients = as_many_as_descriptors_allow();
    let lab = Lab::new().unwrap();
    let world = World::start(&lab).await;
    let half = half_a_hello();
    let alone = world.calls("with nobody else there").await;
    let before = (world.gateway.memory().unwrap().anonymous, world.gateway.descriptors().unwrap());

    let started = Instant::now();
    let mut slow = world.open(clients, &half).await;
    world.wait("gateway_hello_buffer_bytes", |bytes| bytes >= (clients * half.len()) as f64).await;
    let held = world.gateway.memory().unwrap().anonymous.saturating_sub(before.0) / clients as u64;
    let crowded = world.calls("among them").await;
    assert!(started.elapsed() < HELLO_TIMER, "too late to say anything: {:?}", started.elapsed());
    assert_eq!(world.timed_out().await, 0.0, "some were cut before all were there");
    say(&format!(
        "{clients} clients with {} bytes each cost {held} bytes each; a call takes {alone:?} alone, {crowded:?} among them",
        half.len()
    ));
    assert!(held <= MOST_PER_CLIENT, "{held} bytes for each client");

    let all_cut = world.gateway.wait_metric(
        Deadline::after(HELLO_TIMER + Duration::from_secs(20)),
        "gateway_connections_total",
        &[("reason", "hello_timeout")],
        |cut| cut == clients as f64,
    );
    all_cut.await.unwrap();
    assert!(started.elapsed() >= HELLO_TIMER, "cut early: after {:?}", started.elapsed());
    for stream in &mut slow {
        assert_ended_without_a_word(stream).await;
    }
    world.wait("gateway_hello_buffer_bytes", |bytes| bytes == 0.0).await;
    world.wait("gateway_open_connections", |open| open == 0.0).await;
    let closed = async || world.gateway.descriptors().unwrap() <= before.1;
    eventually(Deadline::usual(), "as many descriptors as before", closed).await;
    world.assert_everybody_has_a_record(clients).await;
    world.calls("after them").await;
}

struct World {
    gateway: Gateway,
    frontend: ClientSidecar,
    _billing: ServerSidecar,
}

impl World {
    async fn start(lab: &Lab) -> Self {
        let pki = Pki::development().unwrap();
        let billing = ServerSidecar::start(&pki, Sidecar::new("billing", "billing-1", "dc1")).unwrap();
        let catalog = lab.catalog("catalog").unwrap();
        let mesh = Document::new().mesh("dc1", pki.trust_domain()).sidecar(
            "billing",
            "billing-1",
            billing.address(),
        );
        catalog.write("mesh.toml", mesh).unwrap();
        let timer = format!("{}ms", HELLO_TIMER.as_millis());
        let gateway = lab.gateway("dc1").catalog(catalog.path()).setting("TIMERS_HELLO", &timer);
        let gateway = gateway.start().await.unwrap();
        World { gateway, frontend: ClientSidecar::new(&pki, "frontend", "dc1").unwrap(), _billing: billing }
    }

    /// Whole calls, handshake to orderly end, each on a connection of its own; gives the time of the middle one.
    async fn calls(&self, when: &str) -> Duration {
        let via = Via::Local(self.gateway.address().unwrap());
        let mut took = Vec::new();
        for _ in 0..15 {
            let started = Instant::now();
            let call = async {
                let mut call = self.frontend.call(&Upstream::new("billing", "dc1"), via).await?;
                call.echo(&[0x5a; 20_000]).await?;
                call.close().await
            };
            let done = tokio::time::timeout(Deadline::usual().remaining(), call).await;
            done.unwrap_or_else(|_| panic!("no answer to a good client {when}"))
                .unwrap_or_else(|error| panic!("a good client failed {when}: {error:#}"));
            took.push(started.elapsed());
        }
        took.sort();
        took[took.len() / 2]
    }

    /// Opens that many connections that each send `half`, and waits until the gateway has accepted all.
    async fn open(&self, clients: usize, half: &[u8]) -> Vec<TcpStream> {
        let gateway = self.gateway.address().unwrap();
        let mut slow = Vec::with_capacity(clients);
        while slow.len() < clients {
            for _ in 0..ROUND.min(clients - slow.len()) {
                let source = Ipv4Addr::new(127, 0, 0, 2 + (slow.len() % usize::from(SOURCES)) as u8);
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from((source, 0))).unwrap();
                let mut stream = socket.connect(gateway).await.unwrap();
                stream.write_all(half).await.unwrap();
                slow.push(stream);
            }
            self.wait("gateway_open_connections", |open| open == slow.len() as f64).await;
        }
        slow
    }

    async fn wait(&self, metric: &str, wanted: impl Fn(f64) -> bool) {
        self.gateway.wait_metric(Deadline::usual(), metric, &[], wanted).await.unwrap();
    }

    async fn timed_out(&self) -> f64 {
        let samples = self.gateway.admin().unwrap().metrics().await.unwrap();
        samples.sum("gateway_connections_total", &[("reason", "hello_timeout")])
    }

    /// In the access log; what its buffer could not hold, when all end at once, is counted.
    async fn assert_everybody_has_a_record(&self, clients: usize) {
        let admin = self.gateway.admin().unwrap();
        let complete = async || {
            let written = self.gateway.records().all();
            let written = written.iter().filter(|record| record["reason"] == "hello_timeout").count();
            let dropped = admin.metrics().await.unwrap().sum("gateway_access_log_dropped_total", &[]);
            written as f64 + dropped == clients as f64
        };
        eventually(Deadline::usual(), "a record, or its loss counted, for each", complete).await;
    }
}

/// Half of what a current browser sends: more than most attackers care to.
fn half_a_hello() -> Vec<u8> {
    let name = "billing.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul";
    let groups = [group::X25519_MLKEM768, group::X25519];
    let mut wire = Hello::new(name).groups(&groups).grease().ech(160).alpn(&["h2", "http/1.1"]).bytes();
    wire.truncate(wire.len() / 2);
    wire
}

async fn assert_ended_without_a_word(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Deadline::usual().remaining(), stream.read_to_end(&mut answer));
    // An end or a reset: either will do.
    let _ = end.await.expect("the connection is not closed");
    assert!(answer.is_empty(), "a slow client was answered: {answer:?}");
}

/// Raises the limit of open files, for this process and the gateway that it starts. At each end a slow client is one
/// descriptor, but the gateway plans for two.
fn as_many_as_descriptors_allow() -> usize {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let allowed = maximum.map_or(CLIENTS, |limit| (limit.saturating_sub(2 * BESIDE) / 2) as usize);
    if allowed < CLIENTS {
        let why = format!("the limit of open files, {maximum:?}, allows {allowed} slow clients of {CLIENTS}");
        assert!(!in_ci(), "{why}");
        say(&format!("SCALED DOWN: {why}"));
    }
    allowed.clamp(1, CLIENTS)
}

/// Not with `eprintln`: the test runner keeps back what a passing test prints that way.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "\n{line}");
}
