//! One gateway, a service behind it, another datacenter and a static route; and clients that write bytes, not TLS.

use std::net::{Ipv4Addr, SocketAddr};

use gateway_testkit::{Backend, Deadline, Document, End, Gateway, Lab, Place, Script, eventually, wait_for};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The trust domain of all names here.
pub(crate) const DOMAIN: &str = "11111111-2222-3333-4444-555555555555.consul";

/// A service of this datacenter.
pub(crate) fn billing() -> String {
    format!("billing.default.dc1.internal.{DOMAIN}")
}

/// Everything that a hello could reach.
pub(crate) struct World {
    /// Serves billing, and a service that is registered as `Ledger`.
    pub(crate) near: Backend,
    /// Stands for the gateways of ams2 and for everything below legacy.example.com.
    pub(crate) far: Backend,
    pub(crate) gateway: Gateway,
    // The last field: the folder goes when nobody writes into it any more.
    _lab: Lab,
}

impl World {
    /// No timer of the gateway ends anything within a test's patience, unless a setting says so: what ends, ends for
    /// what it sent.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let lab = Lab::new().unwrap();
        let (near, far) = (Backend::local(Script::Echo).unwrap(), Backend::local(Script::Echo).unwrap());
        let catalog = lab.catalog("catalog").unwrap();
        let document = Document::new()
            .mesh("dc1", DOMAIN)
            .sidecar("billing", "billing-1", near.address())
            .sidecar("Ledger", "ledger-1", near.address())
            .mesh_gateway("ams2", far.address())
            .route("*.legacy.example.com", &[far.address()]);
        catalog.write("mesh.toml", document).unwrap();
        let mut gateway = lab.gateway("dc1").catalog(catalog.path()).setting("TIMERS_HELLO", "60s");
        for (key, value) in settings {
            gateway = gateway.setting(key, value);
        }
        World { near, far, gateway: gateway.start().await.unwrap(), _lab: lab }
    }

    pub(crate) async fn connect(&self) -> Client<'_> {
        let before = self.gateway.records().count();
        let stream = Place::Here.connect(self.gateway.address().unwrap()).await.unwrap();
        let address = stream.local_addr().unwrap();
        Client { world: self, stream, address, before }
    }

    /// Sends `bytes` and keeps its own side open: the gateway must end the connection by itself.
    pub(crate) async fn refusal_of(&self, bytes: &[u8]) -> Value {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.refused().await
    }

    /// Asserts that these bytes end the connection at once, for this reason, and with no harm.
    pub(crate) async fn refuses(&self, what: &str, bytes: &[u8], reason: &str) -> Value {
        let record = self.refusal_of(bytes).await;
        assert_eq!(record["reason"], reason, "{what}: {record}");
        record
    }

    /// Asserts that these bytes reach `to` as they are, and come back.
    pub(crate) async fn carries(&self, what: &str, bytes: &[u8], to: &Backend) -> Value {
        let mut client = self.connect().await;
        client.send(bytes).await;
        let record = client.carried(bytes, to).await;
        assert_eq!(record["reason"], "closed", "{what}: {record}");
        record
    }

    /// No connection has come to any of the servers.
    pub(crate) fn assert_nothing_came_through(&self) {
        for server in [&self.near, &self.far] {
            assert!(server.seen().is_empty(), "{:?}", server.seen());
        }
    }

    /// Waits until the counter of connections that ended for `reason` has this value.
    pub(crate) async fn wait_counted(&self, reason: &str, count: usize) {
        let labels = [("reason", reason)];
        let metric = "gateway_connections_total";
        let counted = self.gateway.wait_metric(Deadline::usual(), metric, &labels, |n| n == count as f64);
        counted.await.unwrap();
    }

    /// Memory of incomplete hellos, as the gateway accounts for it.
    pub(crate) async fn wait_hello_memory(&self, wanted: impl Fn(f64) -> bool) -> f64 {
        let metric = "gateway_hello_buffer_bytes";
        self.gateway.wait_metric(Deadline::usual(), metric, &[], wanted).await.unwrap()
    }
}

/// A client's connection to the gateway.
pub(crate) struct Client<'a> {
    world: &'a World,
    pub(crate) stream: TcpStream,
    address: SocketAddr,
    before: usize,
}

impl Client<'_> {
    /// Waits until the gateway has accepted the connection and waits for its hello.
    pub(crate) async fn until_accepted(&self) {
        let admin = self.world.gateway.admin().unwrap();
        let peer = self.address.to_string();
        let accepted = async || {
            let page = admin.connections().await.ok()?;
            let rows = page["connections"].as_array()?;
            rows.iter().any(|row| row["peer"] == *peer && row["state"] == "opening").then_some(())
        };
        wait_for(Deadline::usual(), "the connection is on /connections", accepted).await.unwrap();
    }

    /// Sends what the gateway will take: one that has seen enough resets the connection in the middle.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Waits for the end of a connection that must not have led anywhere, and gives its record.
    pub(crate) async fn refused(mut self) -> Value {
        let mut answer = Vec::new();
        let end = tokio::time::timeout(Deadline::usual().remaining(), self.stream.read_to_end(&mut answer));
        // An end or a reset, the specification allows both.
        let _ = end.await.expect("the connection is not closed");
        assert!(answer.is_empty(), "the client was answered: {answer:?}");
        let record = self.record().await;
        assert_eq!(
            (&record["attempts"], &record["endpoint"], &record["bytes_up"], &record["bytes_down"]),
            (&0.into(), &Value::Null, &0.into(), &0.into()),
            "somebody was dialled: {record}"
        );
        record
    }

    /// Reads `wire` back, ends the connection, finds it at the server bit by bit, and gives its record.
    pub(crate) async fn carried(mut self, wire: &[u8], to: &Backend) -> Value {
        let mut back = vec![0; wire.len()];
        let echo = async {
            self.stream.read_exact(&mut back).await.expect("what was sent comes back");
            self.stream.shutdown().await.unwrap();
            self.stream.read_to_end(&mut Vec::new()).await.expect("an orderly end")
        };
        let rest = tokio::time::timeout(Deadline::usual().remaining(), echo).await;
        assert_eq!((rest.expect("no echo of what was sent"), back == wire), (0, true));
        let whole = |seen: &gateway_testkit::Seen| seen.received == wire && seen.end == Some(End::Eof);
        to.wait(Deadline::usual(), "exactly the bytes that were sent", whole).await.unwrap();
        let record = self.record().await;
        assert_eq!(
            (record["bytes_up"].as_u64(), record["bytes_down"].as_u64()),
            (Some(wire.len() as u64), Some(wire.len() as u64)),
            "{record}"
        );
        record
    }

    async fn record(&self) -> Value {
        let peer = self.address.to_string();
        let records = self.world.gateway.records();
        let what = format!("a record of {peer}");
        let found = records.wait(self.before, Deadline::usual(), &what, |record| record["peer"] == *peer);
        found.await.unwrap()
    }

    /// Waits until the gateway has read everything that was sent: nothing is on the way, and nothing waits in the
    /// gateway's socket. The kernel knows, so this does not depend on how the gateway keeps what it read.
    pub(crate) async fn until_read(&self) {
        let gateway = self.world.gateway.address().unwrap();
        let read = async || {
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let on_the_way = queues(&table, self.address, gateway).map(|(sent, _)| sent);
            let waiting = queues(&table, gateway, self.address).map(|(_, received)| received);
            (on_the_way, waiting) == (Some(0), Some(0))
        };
        eventually(Deadline::usual(), "the gateway has read what was sent", read).await;
    }
}

/// Bytes in the send and receive queues of the socket at `local` that is connected to `remote`.
fn queues(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<(u64, u64)> {
    let (local, remote) = (in_table(local), in_table(remote));
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = (fields.next()?, fields.next()?);
        let (sent, received) = fields.nth(1)?.split_once(':')?;
        let hex = |digits| u64::from_str_radix(digits, 16).ok();
        (ends == (&*local, &*remote)).then_some((hex(sent)?, hex(received)?))
    })
}

/// An IPv4 address as /proc/net/tcp has it: the address in the byte order of the machine.
fn in_table(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not in /proc/net/tcp") };
    let ip: &Ipv4Addr = address.ip();
    format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port())
}
