//! A list that has lost all its rows: are they gone, or no longer shown?
//!
//! Consul leaves out what a token may not see and says nothing of it; older ones have no header for it,
//! and an index may have moved meanwhile. But whoever sees nodes sees those of Consul's own servers, which
//! are in every datacenter. So before a list is taken for empty, they are asked for: not there, it is the
//! token, and what is known stays (mesh-gateway T62).

use super::{super::names::Names, Driver};
use catalog_client::{
    Client,
    health::HealthEntry,
    query::{Ask, HealthService, Query},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How often it is looked whether the token sees nodes again.
const BLIND_AGAIN: Duration = Duration::from_secs(30);
/// How soon it is asked again when there was no answer.
const FAILED_AGAIN: Duration = Duration::from_secs(2);

/// The gateways of each datacenter.
type States = BTreeMap<Box<str>, Vec<HealthEntry>>;

/// What is held back, and how far its clearing is.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    services: BTreeSet<Arc<str>>,
    states: Option<States>,
    /// `Some(true)`: the token sees nodes; `None`: no answer.
    pub(super) checking: Option<JoinHandle<Option<bool>>>,
    ask_at: Option<Instant>,
    /// Whether nodes were ever seen: if not, nothing can be told from their absence.
    sighted: bool,
    said: bool,
}

impl Driver {
    /// Finds out at the start whether the token sees nodes at all.
    pub(super) fn begin_to_doubt(&mut self) {
        self.doubt.ask_at = Some(Instant::now());
    }

    /// Whether a service that has lost its last row has to wait until it is clear why.
    pub(super) fn doubts_service(&mut self, name: &Arc<str>) -> bool {
        if !self.doubt.sighted || !self.assembler.has_service(name) {
            return false;
        }
        self.doubt.services.insert(name.clone());
        self.doubt.ask_at.get_or_insert_with(Instant::now);
        true
    }

    /// The same for the federation states, if another datacenter has lost all its gateways.
    pub(super) fn doubts_states(&mut self, states: &States) -> bool {
        if !self.doubt.sighted || !self.assembler.loses_datacenter(states) {
            self.doubt.states = None;
            return false;
        }
        self.doubt.states = Some(states.clone());
        self.doubt.ask_at.get_or_insert_with(Instant::now);
        true
    }

    /// It has rows, or is no name any more: there is nothing to doubt.
    pub(super) fn no_doubt_of(&mut self, name: &str) {
        self.doubt.services.remove(name);
    }

    pub(super) fn look_into_doubt(&mut self, now: Instant) {
        if self.doubt.checking.is_none() && self.doubt.ask_at.is_some_and(|at| at <= now) {
            self.doubt.ask_at = None;
            self.doubt.checking = Some(tokio::spawn(sees_nodes(self.client.clone())));
        }
    }

    pub(super) fn settle_doubt(&mut self, sees: Option<bool>) {
        let now = Instant::now();
        match sees {
            Some(true) => {
                self.doubt.sighted = true;
                if std::mem::take(&mut self.doubt.said) {
                    tracing::info!("the token sees nodes again");
                }
                for name in std::mem::take(&mut self.doubt.services) {
                    self.take_rows(&name, Vec::new());
                }
                if let Some(states) = self.doubt.states.take() {
                    self.assembler.set_federation_states(states);
                }
            }
            Some(false) if self.doubt.sighted => {
                if !std::mem::replace(&mut self.doubt.said, true) {
                    tracing::warn!(
                        services = self.doubt.services.len(),
                        "lists of instances are empty, and the token sees no node, not even Consul's servers: it \
                         may have lost node_prefix \"\" {{ policy = \"read\" }}; what is known stays in use"
                    );
                }
                self.doubt.ask_at = Some(now + BLIND_AGAIN);
            }
            // Nothing is held back yet.
            Some(false) => {}
            None => self.doubt.ask_at = Some(now + FAILED_AGAIN),
        }
    }
}

async fn sees_nodes(client: Client) -> Option<bool> {
    let query = HealthService::<HealthEntry>::new(Names::SERVERS);
    let answer = client.ask(&query, &Ask::Now, Duration::ZERO).await.ok()?;
    let rows = answer.body.map(|body| query.decode(&body)).transpose().ok()?;
    Some(rows.is_some_and(|rows| !rows.is_empty()))
}
