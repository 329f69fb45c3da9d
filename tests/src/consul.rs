//! Consul as real processes: servers, client agents, whole datacenters, and the hands that a test needs on them.
//!
//! Every agent keeps its address and its data for as long as the test lives, so that one that is killed can come back
//! as the same one. How its ports are kept free of others: [`Loopback`].

mod acl;
mod api;
mod cluster;
mod configuration;
mod identity;
mod proxy;
mod registration;
mod start;
mod tls;
mod version;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::Child;
use crate::{Deadline, Fetched, LeafFiles, Loopback, Place, Signal};

pub use api::{Api, Reply};
pub use cluster::TwoConsuls;
pub use identity::{IdentityFiles, MeshIdentity};
pub use proxy::ConnectProxy;
pub use registration::Instance;
pub use start::ConsulBuilder;
pub use version::Version;

pub(crate) use tls::ConsulTls;

/// A start takes 2 s on a machine with nothing else to do.
const START_WITHIN: Duration = Duration::from_secs(40);

/// A running (or killed) agent or server; killed when dropped.
#[derive(Debug)]
pub struct Consul {
    built: ConsulBuilder,
    child: Mutex<Child>,
}

impl Consul {
    /// First line of a test that uses it: `if !Consul::available() { return; }`.
    ///
    /// # Panics
    /// In CI, when the program is missing.
    #[track_caller]
    pub fn available() -> bool {
        Fetched::Consul.is_there()
    }

    /// The program's version.
    ///
    /// # Errors
    /// When the program is missing or does not run.
    pub fn version() -> Result<Version> {
        Version::of_program()
    }

    /// An agent to be started with `dir` for its data and its log; a single server of `dc1`, if nothing else is said.
    ///
    /// # Errors
    /// When the program is missing, or there is no address for it.
    pub fn builder(name: &str, dir: impl Into<PathBuf>) -> Result<ConsulBuilder> {
        ConsulBuilder::new(name, dir.into())
    }

    async fn start(built: ConsulBuilder) -> Result<Self> {
        let child = built.spawn()?;
        let consul = Consul { built, child: Mutex::new(child) };
        consul.wait_up(Deadline::after(START_WITHIN)).await?;
        Ok(consul)
    }

    /// The name of its node.
    pub fn name(&self) -> &str {
        &self.built.name
    }

    /// Its datacenter.
    pub fn datacenter(&self) -> &str {
        &self.built.datacenter
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.built.dir
    }

    /// The address that all its ports are on; give it to those who join.
    pub fn address(&self) -> &Loopback {
        &self.built.address
    }

    /// Where the plain HTTP API is.
    pub fn http(&self) -> SocketAddr {
        self.built.address.at(start::HTTP)
    }

    /// Where the HTTP API over TLS is.
    ///
    /// # Errors
    /// When it was built without [`ConsulBuilder::https`].
    pub fn https(&self) -> Result<SocketAddr> {
        self.built.tls()?;
        Ok(self.built.address.at(start::HTTPS))
    }

    /// Where the gRPC API is (plain without HTTPS; versions before 1.14 use TLS here as soon as there is HTTPS).
    pub fn grpc(&self) -> SocketAddr {
        self.built.address.at(start::GRPC)
    }

    /// The Unix socket of the HTTP API.
    ///
    /// # Errors
    /// When it was built without [`ConsulBuilder::unix_socket`].
    pub fn socket(&self) -> Result<PathBuf> {
        self.built.socket_path().context("built without unix_socket()")
    }

    /// The PEM file with the CA of the HTTPS certificate.
    ///
    /// # Errors
    /// When it was built without [`ConsulBuilder::https`].
    pub fn ca(&self) -> Result<PathBuf> {
        Ok(self.built.tls()?.ca_file())
    }

    /// A client certificate that [`ConsulBuilder::client_certificates`] asks for.
    ///
    /// # Errors
    /// When it was built without [`ConsulBuilder::https`], or the files cannot be written.
    pub fn client_certificate(&self, name: &str) -> Result<LeafFiles> {
        self.built.tls()?.client(name)
    }

    /// Its API, with the management token where there are ACLs.
    pub fn api(&self) -> Api {
        self.anonymous().token(self.management().unwrap_or_default())
    }

    /// Its API without a token.
    pub fn anonymous(&self) -> Api {
        Api::new(self.built.place.clone(), self.http())
    }

    /// Waits until its datacenter has a leader, and that leader knows this agent and can sign leaves.
    ///
    /// # Errors
    /// When it has none by the deadline, or the process ends.
    pub async fn wait_leader(&self, deadline: Deadline) -> Result<()> {
        self.wait_up(deadline).await
    }

    async fn wait_up(&self, deadline: Deadline) -> Result<()> {
        let api = self.api();
        let node = format!("/v1/catalog/node/{}", self.built.name);
        // The agent's own copy, which may be younger than the server's by a moment.
        let roots = "/v1/agent/connect/ca/roots";
        // A secondary shows the primary's roots before it can sign itself. One leaf in its cache more.
        let leaf = "/v1/agent/connect/ca/leaf/probe-of-the-harness";
        let (connect, secondary) = (self.built.connect, self.built.is_secondary());
        // Looked at one by one in this order: each needs the one before.
        let up = async || {
            let leader = api.get("/v1/status/leader").await.ok()?;
            leader.as_str().filter(|leader| !leader.is_empty())?;
            api.get(&node).await.ok().filter(|node| node["Node"].is_object())?;
            if connect {
                let known =
                    |roots: &serde_json::Value| roots["Roots"].as_array().is_some_and(|it| !it.is_empty());
                api.get(roots).await.ok().filter(known)?;
            }
            if connect && secondary {
                api.get(leaf).await.ok()?;
            }
            Some(())
        };
        wait_while_running(&self.child, deadline, &format!("{}: has a leader", self.built.name), up).await
    }

    /// Ends it at once, as a crash would (SIGKILL), and waits until it is gone. Works on a stopped one, too.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.ended(Deadline::usual()).await.map(drop)
    }

    /// Holds it (SIGSTOP) and waits until the last of its threads stands still: its sockets stay open and nothing answers.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let what = format!("{}: stands still", self.built.name);
        let still = async || self.running().stands_still().then_some(());
        Ok(crate::wait_for(Deadline::usual(), &what, still).await?)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it has ended.
    pub fn cont(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Any signal. SIGINT and SIGTERM end it; a client agent leaves its datacenter on SIGTERM.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.running().signal(signal)
    }

    /// Waits for its end and gives the exit code; a death by signal is 128 + its number.
    ///
    /// # Errors
    /// When it has not ended by the deadline.
    pub async fn ended(&self, deadline: Deadline) -> Result<i32> {
        let what = format!("{}: end of the process", self.built.name);
        Ok(crate::wait_for(deadline, &what, async || self.running().exit_code()).await?)
    }

    /// Starts it again with the same data and ports, after [`kill`](Self::kill) or another end, and waits as
    /// [`wait_leader`](Self::wait_leader) does.
    ///
    /// # Errors
    /// When it still runs, or does not come up within 40 s.
    pub async fn restart(&self) -> Result<()> {
        self.start_again()?;
        self.wait_up(Deadline::after(START_WITHIN)).await
    }

    /// The same without waiting for anything.
    ///
    /// # Errors
    /// When it still runs, or cannot be started.
    pub fn start_again(&self) -> Result<()> {
        let mut child = self.running();
        anyhow::ensure!(child.exit_code().is_some(), "{} still runs: kill it first", self.built.name);
        *child = self.built.spawn()?;
        Ok(())
    }

    /// Takes all its data away: what starts next is another Consul at the same address.
    ///
    /// # Errors
    /// When it still runs, or its files stay.
    pub fn wipe(&self) -> Result<()> {
        anyhow::ensure!(
            self.running().exit_code().is_some(),
            "{} still runs: kill it first",
            self.built.name
        );
        let data = self.built.data_dir();
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running().pid()
    }

    /// What it logged last.
    pub fn log_tail(&self, lines: usize) -> String {
        self.running().log_tail(lines)
    }

    /// A snapshot of the datacenter's data.
    ///
    /// # Errors
    /// When Consul does not give one.
    pub async fn snapshot(&self) -> Result<Vec<u8>> {
        let reply = self.api().request("GET", "/v1/snapshot", b"").await?;
        anyhow::ensure!(reply.status == 200, "no snapshot: {} {}", reply.status, reply.text());
        Ok(reply.body)
    }

    /// Goes back to a [`snapshot`](Self::snapshot).
    ///
    /// # Errors
    /// When Consul does not take it.
    pub async fn restore(&self, snapshot: &[u8]) -> Result<()> {
        let reply = self.api().request("PUT", "/v1/snapshot", snapshot).await?;
        anyhow::ensure!(reply.status == 200, "not restored: {} {}", reply.status, reply.text());
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it lives.
    pub fn place(&self) -> &Place {
        &self.built.place
    }
}

/// As [`Child::up`], for a child that others may signal meanwhile.
async fn wait_while_running<T>(
    child: &Mutex<Child>,
    deadline: Deadline,
    what: &str,
    mut up: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let running = || child.lock().unwrap_or_else(PoisonError::into_inner);
    let look = async || match up().await {
        Some(found) => Some(Ok(found)),
        None => running().exit_code().map(Err),
    };
    match crate::wait_for(deadline, what, look).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(code)) => anyhow::bail!("{what}: it ended with {code}:\n{}", running().log_tail(20)),
        Err(timeout) => anyhow::bail!("{timeout}\n{}", running().log_tail(20)),
    }
}
