//! From a caller to the first rule that covers it.

use std::collections::HashMap;

use super::caller::{Caller, Service};
use super::order::Covers;
use crate::intention::{Pattern, ServiceSource};
use crate::mesh::LocalMesh;

/// The first of the rules with one source, by their place in the order.
type First = Option<usize>;

#[derive(Debug, Default)]
pub(super) struct Index {
    /// Sources of the own cluster.
    local: Partitions,
    /// Sources of peers, by the peer's trust domain.
    peers: HashMap<Box<str>, Partitions>,
    /// Rules whose source is not understood.
    everyone: First,
}

type Partitions = HashMap<Box<str>, PartitionIndex>;

#[derive(Debug, Default)]
struct PartitionIndex {
    namespaces: HashMap<Box<str>, NamespaceIndex>,
    /// `*/*`
    any: First,
}

#[derive(Debug, Default)]
struct NamespaceIndex {
    names: HashMap<Box<str>, First>,
    /// `*` in this namespace.
    any: First,
}

fn note(slot: &mut First, place: usize) {
    *slot = Some(slot.map_or(place, |known| known.min(place)));
}

fn first(one: First, other: First) -> First {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Index {
    pub(super) fn add(&mut self, covers: &Covers, mesh: &LocalMesh, place: usize) {
        match covers {
            Covers::Everyone => note(&mut self.everyone, place),
            Covers::Local { source, partition } => add(&mut self.local, partition, source, place),
            Covers::OfPeer(source) => {
                for bundle in covers.bundles(mesh) {
                    let partitions = self.peers.entry(bundle.trust_domain.as_str().into()).or_default();
                    add(partitions, super::caller::own_partition(&bundle.partition).as_str(), source, place);
                }
            }
        }
    }

    pub(super) fn find(&self, caller: &Caller<'_>) -> First {
        let local = caller.local.and_then(|service| look_up(&self.local, service));
        let of_peer = caller.of_peer.filter(|_| self.has_peers()).and_then(|service| {
            let partitions = self.peers.get(service.trust_domain.as_str())?;
            look_up(partitions, service)
        });
        first(self.everyone, first(local, of_peer))
    }

    pub(super) fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// The first rule that covers all that a local source covers, by name or by wildcard.
    pub(super) fn first_over(&self, covers: &Covers, mesh: &LocalMesh) -> First {
        let over = |partitions: &Partitions, partition: &str, source: &ServiceSource| {
            let partition = partitions.get(partition)?;
            let Pattern::Exact(namespace) = &source.namespace else { return partition.any };
            let inside = partition.namespaces.get(namespace);
            let any = inside.and_then(|namespace| namespace.any);
            let exact = match &source.name {
                Pattern::Exact(name) => {
                    inside.and_then(|namespace| namespace.names.get(name).copied().flatten())
                }
                Pattern::Any => None,
            };
            first(exact, first(any, partition.any))
        };
        let found = match covers {
            Covers::Everyone => None,
            Covers::Local { source, partition } => over(&self.local, partition, source),
            Covers::OfPeer(source) => {
                let bundle = covers.bundles(mesh).next();
                bundle.and_then(|bundle| {
                    let partitions = self.peers.get(bundle.trust_domain.as_str())?;
                    over(partitions, super::caller::own_partition(&bundle.partition).as_str(), source)
                })
            }
        };
        first(self.everyone, found)
    }
}

fn add(partitions: &mut Partitions, partition: &str, source: &ServiceSource, place: usize) {
    let index = partitions.entry(partition.into()).or_default();
    let Pattern::Exact(namespace) = &source.namespace else { return note(&mut index.any, place) };
    let index = index.namespaces.entry(namespace.clone()).or_default();
    match &source.name {
        Pattern::Exact(name) => note(index.names.entry(name.clone()).or_default(), place),
        Pattern::Any => note(&mut index.any, place),
    }
}

fn look_up(partitions: &Partitions, service: Service<'_>) -> First {
    let partition = partitions.get(service.partition.as_str())?;
    let namespace = partition.namespaces.get(service.namespace.as_str());
    let inside = namespace.and_then(|namespace| {
        first(namespace.names.get(service.name.as_str()).copied().flatten(), namespace.any)
    });
    first(inside, partition.any)
}
