//! Which intentions apply to a destination, whom they cover, and in which order they are looked at.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::caller::own_partition;
use crate::intention::{
    Action, Intention, IntentionDestination, IntentionSource, Pattern, Rule, ServiceSource, precedence,
};
use crate::mesh::{Destination, LocalMesh, PeerBundle};

/// Whom an intention covers at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Covers {
    Everyone,
    Local { source: ServiceSource, partition: Box<str> },
    OfPeer(ServiceSource),
}

impl Covers {
    fn of(intention: &Intention, destination: &Destination) -> Self {
        match &intention.source {
            IntentionSource::NotUnderstood => Self::Everyone,
            IntentionSource::Services(source) if source.peer.is_some() => Self::OfPeer(source.clone()),
            IntentionSource::Services(source) => {
                let own = own_partition(&destination.partition);
                let partition = source.partition.clone().unwrap_or_else(|| own.as_str().into());
                // Named or not, it is the same partition.
                let source = ServiceSource { partition: None, ..source.clone() };
                Self::Local { source, partition }
            }
        }
    }

    /// The trust bundles of the peer; none for a local source or an unknown peer.
    pub(super) fn bundles<'a>(&self, mesh: &'a LocalMesh) -> impl Iterator<Item = &'a PeerBundle> {
        let peer = match self {
            Self::OfPeer(source) => source.peer.clone(),
            _ => None,
        };
        mesh.peers.iter().filter(move |bundle| peer.as_deref() == Some(bundle.peer.as_str()))
    }
}

pub(super) fn applies(intention: &Intention, destination: &Destination) -> bool {
    let IntentionDestination { name, namespace, partition } = &intention.destination;
    name.covers(destination.name.as_str())
        && namespace.covers(destination.namespace.as_str())
        && partition
            .as_deref()
            .is_none_or(|partition| partition == own_partition(&destination.partition).as_str())
}

/// Those that apply, each with whom it covers, the first to be looked at first. Two that contradict each other become
/// one that denies.
pub(super) fn ordered<'a>(
    destination: &Destination,
    intentions: impl IntoIterator<Item = &'a Arc<Intention>>,
) -> Vec<(Arc<Intention>, Covers)> {
    let mut all: Vec<(Arc<Intention>, Covers)> = Vec::new();
    // By whom it covers and by how its destination is written.
    let mut known: HashMap<(Covers, Pattern, Pattern), usize> = HashMap::new();
    for intention in intentions.into_iter().filter(|intention| applies(intention, destination)) {
        let covers = Covers::of(intention, destination);
        let IntentionDestination { name, namespace, .. } = &intention.destination;
        let key = (covers.clone(), name.clone(), namespace.clone());
        match known.get(&key).and_then(|place| all.get_mut(*place)) {
            Some((other, _)) if covers != Covers::Everyone => merge(other, intention),
            _ => {
                known.insert(key, all.len());
                all.push((Arc::clone(intention), covers));
            }
        }
    }
    all.sort_by_cached_key(|(intention, _)| {
        let follows = precedence(&intention.source, &intention.destination);
        let places = (Reverse(intention.precedence), Reverse(follows), openness(&intention.rule));
        (places, intention.source.clone(), intention.destination.clone())
    });
    all
}

/// Of equals the closed one comes first. Consul has no equals.
fn openness(rule: &Rule) -> u8 {
    match rule {
        Rule::NotUnderstood(_) => 0,
        Rule::Action(Action::Deny) => 1,
        Rule::Permissions(_) => 2,
        Rule::Action(Action::Allow) => 3,
    }
}

/// The same intention may be in two documents, written in two ways (with its partition or without): one is kept,
/// whatever the order. Two different ones for the same source and destination cannot both be meant.
fn merge(known: &mut Arc<Intention>, other: &Arc<Intention>) {
    let names = |intention: &Intention| (intention.source.clone(), intention.destination.clone());
    let agree = known.rule == other.rule && known.jwt == other.jwt && known.precedence == other.precedence;
    let precedence = known.precedence.max(other.precedence);
    if names(other) < names(known) {
        *known = Arc::clone(other);
    }
    if !agree {
        let what =
            "there is another intention for the same source and destination, and it says something else";
        *known = Arc::new(Intention {
            precedence,
            rule: Rule::NotUnderstood(what.into()),
            jwt: None,
            ..Intention::clone(known)
        });
    }
}
