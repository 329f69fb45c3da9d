//! What can happen to a source, as one type.

use super::documents::Roots;
use bytes::Bytes;
use catalog_client::{
    health::{HealthEntry, Pairs},
    query::CriticalCheck,
    registration::OwnService,
    watch::Update,
};
use std::{collections::BTreeMap, sync::Arc};

/// An answer, or that there is none.
#[derive(Debug)]
pub(super) enum Event {
    Roots(Update<Roots>),
    /// Of this list.
    Entries(&'static str, Update<Bytes>),
    Names(Update<Pairs<Box<[Box<str>]>>>),
    Critical(Update<Vec<CriticalCheck>>),
    FederationStates(Update<BTreeMap<Box<str>, Vec<HealthEntry>>>),
    Datacenters(Update<Vec<Box<str>>>),
    /// The gateways of another datacenter, asked there.
    Asked(Arc<str>, Update<Vec<HealthEntry>>),
    /// The gateway's own service.
    Own(Update<OwnService>),
    /// All services of the gateway's kind on the agent.
    Candidates(Update<BTreeMap<Box<str>, OwnService>>),
    /// Rows of the gateway's own name, where only the catalog has it.
    OwnRows(Update<Vec<HealthEntry>>),
    /// Whether the gateway's own ID is among them, where the source did not register it.
    Listed(Arc<str>, Update<Vec<HealthEntry>>),
    /// The mesh instances of a service.
    Service(Arc<str>, Update<Vec<HealthEntry>>),
}
