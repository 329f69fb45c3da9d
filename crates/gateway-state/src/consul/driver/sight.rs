//! A list that has lost all its rows: are they gone, or no longer shown?
//!
//! Consul leaves out what a token may not see and says nothing of it; older ones have no header for it,
//! and an index may have moved meanwhile. But whoever sees nodes sees those of Consul's own servers, which
//! are in every datacenter. So before a list is taken for empty, they are asked for: not there, it is the
//! token, and what is known stays (mesh-gateway T62).

use super::core::Core;
use catalog_client::{
    Client,
    health::HealthEntry,
    query::{Ask, HealthService, Query},
};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Consul's own servers.
const SERVERS: &str = "consul";
/// How often it is looked whether the token sees nodes again.
const BLIND_AGAIN: Duration = Duration::from_secs(30);
/// How soon it is asked again when there was no answer.
const FAILED_AGAIN: Duration = Duration::from_secs(2);

/// Whether the token sees nodes, and how far the looking is.
#[derive(Debug, Default)]
pub(in crate::consul) struct Sight {
    /// `Some(true)`: the token sees nodes; `None`: no answer.
    pub(super) checking: Option<JoinHandle<Option<bool>>>,
    ask_at: Option<Instant>,
    /// Whether nodes were ever seen: if not, nothing can be told from their absence.
    sighted: bool,
    said: bool,
}

impl Sight {
    /// Finds out at the start whether the token sees nodes at all.
    pub(super) fn begin(&mut self) {
        self.ask_at = Some(Instant::now());
    }

    /// Whether an empty list can be doubted at all.
    pub(in crate::consul) fn can_doubt(&self) -> bool {
        self.sighted
    }

    /// An empty list is held back: it is to be found out why it is empty.
    pub(in crate::consul) fn doubt(&mut self) {
        self.ask_at.get_or_insert_with(Instant::now);
    }

    /// Takes over what was found out; says whether what is held back may go. So many lists are.
    pub(super) fn settle(&mut self, sees: Option<bool>, held_back: usize) -> bool {
        let now = Instant::now();
        match sees {
            Some(true) => {
                self.sighted = true;
                if std::mem::take(&mut self.said) {
                    tracing::info!("the token sees nodes again");
                }
                return true;
            }
            Some(false) if self.sighted => {
                if !std::mem::replace(&mut self.said, true) {
                    tracing::warn!(
                        services = held_back,
                        "lists of instances are empty, and the token sees no node, not even Consul's servers: it \
                         may have lost node_prefix \"\" {{ policy = \"read\" }}; what is known stays in use"
                    );
                }
                self.ask_at = Some(now + BLIND_AGAIN);
            }
            // Nothing is held back yet.
            Some(false) => {}
            None => self.ask_at = Some(now + FAILED_AGAIN),
        }
        false
    }
}

impl<A: Send + 'static> Core<A> {
    pub(super) fn look_into_doubt(&mut self, now: Instant) {
        let sight = &mut self.sight;
        if sight.checking.is_none() && sight.ask_at.is_some_and(|at| at <= now) {
            sight.ask_at = None;
            sight.checking = Some(tokio::spawn(sees_nodes(self.client.clone())));
        }
    }
}

async fn sees_nodes(client: Client) -> Option<bool> {
    let query = HealthService::<HealthEntry>::new(SERVERS);
    let answer = client.ask(&query, &Ask::Now, Duration::ZERO).await.ok()?;
    let rows = answer.body.map(|body| query.decode(&body)).transpose().ok()?;
    Some(rows.is_some_and(|rows| !rows.is_empty()))
}
