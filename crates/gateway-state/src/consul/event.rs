//! What can happen to a source, as one type.

use catalog_client::{health::HealthEntry, registration::OwnService, watch::Update};
use std::{collections::BTreeMap, sync::Arc};

/// An answer, or that there is none.
#[derive(Debug)]
pub(super) enum Event<A> {
    /// The gateway's own service.
    Own(Update<OwnService>),
    /// All services of the gateway's kind on the agent.
    Candidates(Update<BTreeMap<Box<str>, OwnService>>),
    /// Rows of the gateway's own name, where only the catalog has it.
    OwnRows(Update<Vec<HealthEntry>>),
    /// Whether the gateway's own ID is among them, where the source did not register it.
    Listed(Arc<str>, Update<Vec<HealthEntry>>),
    /// An answer to a question of the role.
    Role(A),
}
