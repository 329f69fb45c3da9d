//! Consul's HTTP API without Consul: answers that a real agent gave, long polls that are held as an agent holds them,
//! and everything that can go wrong, on demand.

mod agent;
mod answer;
mod fault;
mod journal;
mod lookup;
mod mesh;
mod recording;
mod serve;
mod start;
mod state;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::watch;

use crate::secret::Secret;
use crate::task::Owned;
use crate::{Api, Deadline, LeafFiles, Place, wait_for};

pub use fault::Fault;
pub use journal::{Asked, Level};
pub use recording::{Recorded, Recording};
pub use start::ReplayBuilder;
pub use state::On;

use answer::Shared;
use lookup::Target;
use serve::Orders;

/// A server that answers as an agent of some version did; ends, with its connections, when dropped.
///
/// Paths are given from `/v1/` on, with those parameters that change what is answered (`?dc=dc2`), encoded.
#[derive(Debug)]
pub struct Replay {
    shared: Arc<Shared>,
    orders: watch::Sender<Orders>,
    place: Place,
    http: SocketAddr,
    https: Option<(SocketAddr, start::Tls)>,
    _listening: Vec<Owned>,
}

impl Replay {
    /// A server of a stored version: `1.8.7`, `1.10.1` or `1.21`.
    ///
    /// # Errors
    /// When there is no recording of it.
    pub fn of_version(version: &str) -> Result<ReplayBuilder> {
        Ok(ReplayBuilder::new(Recording::of_version(version)?))
    }

    /// A client agent of a stored version, which cannot answer everything that a server can.
    ///
    /// # Errors
    /// When there is no recording of it.
    pub fn of_client_agent(version: &str) -> Result<ReplayBuilder> {
        Ok(ReplayBuilder::new(Recording::of_client_agent(version)?))
    }

    /// An agent that answers as given.
    pub fn of(recording: Recording) -> ReplayBuilder {
        ReplayBuilder::new(recording)
    }

    /// Where plain HTTP is.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where HTTPS with HTTP/2 is.
    ///
    /// # Errors
    /// When it was built without [`ReplayBuilder::https`].
    pub fn https(&self) -> Result<SocketAddr> {
        Ok(self.tls()?.0)
    }

    /// The PEM file with the CA of the HTTPS certificate.
    ///
    /// # Errors
    /// When it was built without [`ReplayBuilder::https`].
    pub fn ca(&self) -> Result<PathBuf> {
        Ok(self.tls()?.1.files.ca_file())
    }

    /// A client certificate of that CA.
    ///
    /// # Errors
    /// When it was built without [`ReplayBuilder::https`].
    pub fn client_certificate(&self, name: &str) -> Result<LeafFiles> {
        self.tls()?.1.files.client(name)
    }

    fn tls(&self) -> Result<&(SocketAddr, start::Tls)> {
        self.https.as_ref().context("built without https()")
    }

    /// The harness's own client for it.
    pub fn api(&self) -> Api {
        Api::new(self.place.clone(), self.http)
    }

    // --- what it says ---

    /// What it says to a read now; `null` when that is no JSON.
    pub fn get(&self, path: &str) -> Value {
        let found = self.shared.state().get(&Target::parse(path));
        found.and_then(|(_, entry)| serde_json::from_slice(&entry.body).ok()).unwrap_or_default()
    }

    /// The index that a read has now.
    pub fn index(&self, path: &str) -> Option<u64> {
        self.shared.state().get(&Target::parse(path))?.1.index
    }

    /// Says this from now on, under the next index; whoever waits for it gets it.
    pub fn set(&self, path: &str, document: &Value) {
        let key = self.key(path);
        mesh::set_json(&mut self.shared.state(), &key, document);
    }

    /// The same with any bytes.
    pub fn set_raw(&self, path: &str, body: impl Into<bytes::Bytes>) {
        let key = self.key(path);
        mesh::set_body(&mut self.shared.state(), &key, body.into());
    }

    /// Says this under the same index, as to a token that has lost a right. Whoever waits goes on waiting.
    pub fn replace(&self, path: &str, document: &Value) {
        self.change(path, |entry| entry.body = agent::bytes(document));
    }

    /// Changes what it says, under the next index.
    pub fn edit(&self, path: &str, edit: impl FnOnce(&mut Value)) {
        let mut document = self.get(path);
        edit(&mut document);
        self.set(path, &document);
    }

    /// The same answer under the next index: what an unrelated write does to some endpoints.
    pub fn touch(&self, path: &str) {
        let mut state = self.shared.state();
        if let Some((key, entry)) = state.get(&Target::parse(path)) {
            state.put(&key, entry);
        }
    }

    /// Adds a header to an answer, or takes it away: `X-Consul-Results-Filtered-By-ACLs`. The index stays.
    pub fn header(&self, path: &str, name: &str, value: Option<&str>) {
        self.change(path, |entry| {
            entry.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
            entry.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        });
    }

    /// Gives an answer another index, lower ones and 0 as well: what a restore or a rebuilt server does. Whoever waits
    /// goes on waiting, if it is not above theirs.
    pub fn set_index(&self, path: &str, index: u64) {
        self.change(path, |entry| entry.index = Some(index));
    }

    /// Whether a read waits at all; one that does not is answered at once, whatever index is asked for.
    pub fn hold(&self, path: &str, hold: bool) {
        let key = self.key(path);
        self.shared.state().hold(&key, hold);
    }

    /// Ends the waiting of all that wait now: they get the old index and the old body early, or meet a fault.
    pub fn wake(&self, on: On) {
        self.shared.state().wake(on);
    }

    /// Becomes another agent, with other indexes, as after a restart without data.
    pub fn load(&self, recording: &Recording) {
        self.shared.state().load(recording);
    }

    fn key(&self, path: &str) -> String {
        let target = Target::parse(path);
        target.key(&self.shared.state().datacenter)
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut state::Entry)) {
        let mut state = self.shared.state();
        if let Some((key, entry)) = state.get(&Target::parse(path)) {
            // One that was answered like every unknown name gets an answer of its own.
            if state.entry(&key).is_none() {
                state.put(&key, entry);
            }
            state.change(&key, change);
        }
    }

    // --- what goes wrong ---

    /// Lets requests go wrong from now on, those that wait now not: [`wake`](Self::wake) those.
    pub fn fault(&self, on: On, fault: Fault) {
        self.shared.state().add_fault(on, fault, None);
    }

    /// The same for the next `times` requests, at least one.
    pub fn fault_times(&self, on: On, fault: Fault, times: usize) {
        self.shared.state().add_fault(on, fault, Some(times.max(1)));
    }

    /// All is well again. What waited in silence is answered.
    pub fn heal(&self) {
        self.shared.state().heal();
    }

    /// Takes no connection any more: whoever tries is refused. The port stays its own.
    pub fn refuse(&self) {
        self.orders.send_modify(|orders| orders.listening = false);
    }

    /// Takes connections again.
    pub fn listen(&self) {
        self.orders.send_modify(|orders| orders.listening = true);
    }

    /// Ends all connections, without an answer to what waits on them.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cut += 1);
    }

    /// Both, as when the agent is killed. [`listen`](Self::listen) starts it again.
    pub fn kill(&self) {
        self.refuse();
        self.cut();
    }

    /// Turns away connections above so many, as an agent does above `http_max_conns_per_client`. One whose client left
    /// during a long poll counts until its wait is over.
    pub fn limit(&self, connections: Option<usize>) {
        self.orders.send_modify(|orders| orders.limit = connections);
    }

    /// Answers only those who have this token; `None`: everybody.
    pub fn require_token(&self, token: Option<&str>) {
        self.shared.state().token = token.map(|token| Secret(token.to_owned()));
    }

    // --- what was asked ---

    /// All requests so far, oldest first, since the start or the last [`forget`](Self::forget).
    pub fn asked(&self) -> Vec<Asked> {
        journal::lock(&self.shared.journal).asked().to_vec()
    }

    /// How many of them are `wanted`.
    pub fn count(&self, wanted: impl Fn(&Asked) -> bool) -> usize {
        journal::lock(&self.shared.journal).asked().iter().filter(|asked| wanted(asked)).count()
    }

    /// Waits for one that is `wanted`.
    ///
    /// # Errors
    /// When none comes by the deadline.
    pub async fn wait_asked(
        &self,
        deadline: Deadline,
        what: &str,
        wanted: impl Fn(&Asked) -> bool,
    ) -> Result<Asked> {
        let look =
            async || journal::lock(&self.shared.journal).asked().iter().find(|asked| wanted(asked)).cloned();
        Ok(wait_for(deadline, what, look).await?)
    }

    /// The most of the `wanted` ones that came within any `window`.
    pub fn busiest(&self, window: Duration, wanted: impl Fn(&Asked) -> bool) -> usize {
        journal::lock(&self.shared.journal).busiest(window, wanted)
    }

    /// Connections.
    pub fn connections(&self) -> Level {
        journal::lock(&self.shared.journal).connections
    }

    /// Long polls that are held.
    pub fn held(&self) -> Level {
        journal::lock(&self.shared.journal).held
    }

    /// Long polls that wait now on paths that begin so.
    pub fn waiting(&self, prefix: &str) -> usize {
        self.count(|asked| asked.blocking && asked.end.is_none() && asked.path().starts_with(prefix))
    }

    /// Connections turned away because of the limit.
    pub fn turned_away(&self) -> usize {
        journal::lock(&self.shared.journal).turned_away
    }

    /// Forgets what was asked, and the peaks: counting begins anew.
    pub fn forget(&self) {
        journal::lock(&self.shared.journal).forget();
    }
}
