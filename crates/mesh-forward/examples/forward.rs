//! A TCP forwarder: everything that connects to LISTEN is relayed to one of the endpoints.
//!
//! `cargo run -p mesh-forward --example forward -- LISTEN ENDPOINT [ENDPOINT...]`

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;
use std::time::{Duration, Instant};

use mesh_endpoints::{EjectionNotice, Endpoint, EndpointSet, SetPolicy};
use mesh_forward::tcp::dial::{self, DialObserver, DialPlan, OwnAddresses, Socket, Start};
use mesh_forward::tcp::{DialError, End, Meter, Relay, RelayConfig};
use tokio::net::TcpListener;

#[derive(Debug, Default)]
struct Total {
    up: AtomicU64,
    down: AtomicU64,
}

struct Count(Arc<Total>);

impl Meter for Count {
    fn up(&self, bytes: u64) {
        self.0.up.fetch_add(bytes, Ordering::Relaxed);
    }
    fn down(&self, bytes: u64) {
        self.0.down.fetch_add(bytes, Ordering::Relaxed);
    }
    fn spliced(&self) {
        println!("a connection is bulk: spliced from here on");
    }
    fn poll_cut(&self, _cx: &Context<'_>) -> bool {
        false
    }
    fn ended(&mut self, end: End) {
        println!("a connection has ended: {end:?}");
    }
}

struct Say;

impl DialObserver for Say {
    fn failed(&self, address: SocketAddr, why: DialError) {
        println!("{address}: {why}");
    }
    fn ejected(&self, notice: &EjectionNotice) {
        println!("{} is left out for {:?}", notice.address, notice.duration);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().ok_or("usage: forward LISTEN ENDPOINT...")?.parse()?;
    let endpoints = arguments
        .map(|a| a.parse().map(|address| Endpoint { address, weight: 1, healthy: true, label: None }));
    let set = EndpointSet::new(SetPolicy::default(), endpoints.collect::<Result<_, _>>()?);
    let own = OwnAddresses { addresses: vec![listen] };
    let plan = DialPlan {
        budget: Duration::from_secs(5),
        keepalive: None,
        own: Arc::new(own),
        attempts: 3,
        source: None,
        handshake: false,
    };
    let (config, total) = (Arc::new(RelayConfig::default()), Arc::new(Total::default()));
    let listener = TcpListener::bind(listen).await?;
    println!("{} -> {}", listener.local_addr()?, set.status(Instant::now()).endpoints.len());
    loop {
        let (client, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = tokio::signal::ctrl_c() => break,
        };
        let (set, plan) = (Arc::clone(&set), plan.clone());
        let (config, count) = (Arc::clone(&config), Count(Arc::clone(&total)));
        tokio::spawn(async move {
            let dialled = match dial::start(&set, &plan, Instant::now(), &mut || 0, b"", &Say) {
                Ok(Start::Connected(dialled)) => Ok(dialled),
                Ok(Start::Waiting(dialling)) => dialling.finish(|| 0, b"", &Say).await,
                Err(error) => Err(error),
            };
            match dialled.map(|dialled| Relay::new(Socket::Watched(client), dialled, b"", count, config)) {
                Ok(Ok(relay)) => relay.await,
                Ok(Err(error)) => println!("{error}"),
                Err(error) => println!("{error}"),
            }
        });
    }
    println!(
        "{} bytes up, {} bytes down",
        total.up.load(Ordering::Relaxed),
        total.down.load(Ordering::Relaxed)
    );
    Ok(())
}
