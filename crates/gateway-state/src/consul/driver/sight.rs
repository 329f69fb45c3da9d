//! A list that has lost all its rows: are they gone, or no longer shown?
//!
//! Consul leaves out what a token may not see and says nothing of it; older ones have no header for it,
//! and an index may have moved meanwhile. But whoever sees nodes sees those of Consul's own servers, which
//! are in every datacenter. So before a list is taken for empty, they are asked for: not there, it is the
//! token, and what is known stays (mesh-gateway T62). Where a token has rights service by service, those that
//! something is held back of are asked for as well, by a question that is refused openly.

use catalog_client::{
    Client, Error,
    error::Class,
    health::HealthEntry,
    query::{Answer, Ask, HealthService, IntentionMatch, Query},
};
use serde::de::IgnoredAny;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// Consul's own servers.
const SERVERS: &str = "consul";
/// How often it is looked whether the token sees nodes again.
const BLIND_AGAIN: Duration = Duration::from_secs(30);
/// How soon it is asked again when there was no answer.
const FAILED_AGAIN: Duration = Duration::from_secs(2);
/// Looks after each other at the start, when the gateway itself is about to come into the catalog.
const EARLY_LOOKS: u32 = 5;
/// Services that are asked for in one go; the others come next.
const MAX_ASKED: usize = 256;

/// Whether the token sees nodes, and how far the looking is.
#[derive(Debug, Default)]
pub(in crate::consul) struct Sight {
    /// `None`: no answer.
    pub(super) checking: Option<JoinHandle<Option<Seen>>>,
    ask_at: Option<Instant>,
    /// Whether nodes were ever seen: if not, nothing can be told from their absence.
    sighted: bool,
    /// That Consul shows the gateway proves it.
    by_itself: bool,
    /// Times that nothing was seen before that.
    looks: u32,
    said: bool,
    /// Services that the token may not read, as it was said.
    said_denied: BTreeSet<Arc<str>>,
}

/// What was found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    nodes: bool,
    /// Services that were asked for and that the token may read.
    granted: BTreeSet<Arc<str>>,
    /// Those that it may not.
    denied: BTreeSet<Arc<str>>,
    /// There were more.
    more: bool,
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

    /// Whether that Consul shows the gateway proves that the token sees nodes.
    pub(super) fn trust_itself(&mut self, trust: bool) {
        self.by_itself = trust;
    }

    /// Consul has shown the gateway on its node.
    pub(super) fn saw_itself(&mut self) {
        self.sighted |= self.by_itself;
    }

    /// An empty list is held back: it is to be found out why it is empty.
    pub(in crate::consul) fn doubt(&mut self) {
        self.ask_at.get_or_insert_with(Instant::now);
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.checking.is_none() && self.ask_at.is_some_and(|at| at <= now)
    }

    /// Asks whether Consul's servers, or the gateway itself, are on a node that the token sees, and which of these
    /// services it may read.
    pub(super) fn look(&mut self, client: Client, itself: Option<String>, services: Vec<Arc<str>>) {
        self.ask_at = None;
        let witnesses = [SERVERS.to_owned()].into_iter().chain(itself).collect();
        self.checking = Some(tokio::spawn(look(client, witnesses, services)));
    }

    /// Takes over what was found out. So many lists are held back. `Some`: the token sees nodes, and may read these of
    /// the services that it was asked about.
    pub(super) fn settle(&mut self, seen: Option<Seen>, held_back: usize) -> Option<BTreeSet<Arc<str>>> {
        let now = Instant::now();
        match seen {
            Some(Seen { nodes: true, granted, denied, more }) => {
                self.sighted = true;
                if std::mem::take(&mut self.said) {
                    tracing::info!("the token sees nodes again");
                }
                if more {
                    self.ask_at = Some(now);
                } else if !denied.is_empty() {
                    self.ask_at.get_or_insert(now + BLIND_AGAIN);
                }
                self.say_denied(&denied);
                return Some(granted);
            }
            Some(_) if self.sighted => {
                if !std::mem::replace(&mut self.said, true) {
                    tracing::warn!(
                        services = held_back,
                        "lists of instances are empty, and the token sees no node, not even Consul's servers: it \
                         may have lost node_prefix \"\" {{ policy = \"read\" }}; what is known stays in use"
                    );
                }
                self.ask_at = Some(now + BLIND_AGAIN);
            }
            // Nothing is held back yet. The gateway may not be in the catalog yet either.
            Some(_) if self.by_itself => {
                let pause = if self.looks < EARLY_LOOKS { FAILED_AGAIN } else { BLIND_AGAIN };
                self.looks = self.looks.saturating_add(1);
                self.ask_at = Some(now + pause);
            }
            Some(_) => {}
            None => self.ask_at = Some(now + FAILED_AGAIN),
        }
        None
    }

    fn say_denied(&mut self, denied: &BTreeSet<Arc<str>>) {
        for name in denied.difference(&self.said_denied) {
            tracing::warn!(
                service = &**name,
                "Consul shows this service no more, and the token has lost service {name:?} {{ policy = \"read\" }}; \
                 what is known stays in use"
            );
        }
        self.said_denied.clone_from(denied);
    }
}

async fn look(client: Client, witnesses: Vec<String>, services: Vec<Arc<str>>) -> Option<Seen> {
    let (granted, denied, more) = (BTreeSet::new(), BTreeSet::new(), services.len() > MAX_ASKED);
    let mut seen = Seen { nodes: false, granted, denied, more };
    for name in witnesses {
        let query = HealthService::<HealthEntry>::new(&name);
        let answer = ask(&client, &query).await.ok()?;
        let rows = answer.body.map(|body| query.decode(&body)).transpose().ok()?;
        if rows.is_some_and(|rows| !rows.is_empty()) {
            seen.nodes = true;
            break;
        }
    }
    for name in services.into_iter().take(MAX_ASKED) {
        match ask(&client, &IntentionMatch::<IgnoredAny>::new([&*name])).await {
            Ok(_) => seen.granted.insert(name),
            Err(error) if matches!(error.class(), Class::Denied) => seen.denied.insert(name),
            Err(_) => return None,
        };
    }
    Some(seen)
}

async fn ask(client: &Client, query: &impl Query) -> Result<Answer, Error> {
    client.ask(query, &Ask::Now, Duration::ZERO).await
}
