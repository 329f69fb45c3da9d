//! What a source shows of itself: for pages and metrics, of any thread.

use super::state::SourceState;
use catalog_client::{
    capability,
    client::ClientStatus,
    planner::{FamilyStatus, PlanStatus},
    registration::{RegistrarHandle, RegistrationStatus},
    watch::{AgentState, Row},
};
use std::time::Duration;

/// Everything at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsulView {
    /// Whether what was published may be served.
    pub state: SourceState,
    /// Whether the agent answers, since how long it is so, and what is wrong.
    pub agent: Option<(AgentState, Duration, Option<String>)>,
    /// The client: connections, requests.
    pub client: ClientStatus,
    /// Each watch: the fixed ones, and of services as many as were asked for.
    pub watches: Vec<Row>,
    /// How the services are followed.
    pub families: Vec<FamilyStatus>,
    /// What this Consul can do.
    pub capabilities: Vec<capability::Row>,
    /// The gateway's registration, where the source keeps it.
    pub registration: Option<RegistrationStatus>,
    /// Answers that wait to be taken in.
    pub queued_events: usize,
    /// What else is counted.
    pub plan: Option<PlanStatus>,
}

/// What the source leaves here for views.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) plan: Option<PlanStatus>,
    pub(super) registrar: Option<RegistrarHandle>,
    pub(super) capabilities: Vec<capability::Row>,
}

impl ConsulView {
    pub(super) fn new(state: SourceState, seen: &Seen, client: ClientStatus, names: usize) -> Self {
        let plan = seen.plan.as_ref();
        Self {
            state,
            agent: plan.map(PlanStatus::agent),
            client,
            watches: plan.map(|plan| plan.rows(names)).unwrap_or_default(),
            families: plan.map(PlanStatus::families).unwrap_or_default(),
            capabilities: seen.capabilities.clone(),
            registration: seen.registrar.as_ref().map(RegistrarHandle::status),
            queued_events: plan.map(PlanStatus::queued_events).unwrap_or_default(),
            plan: seen.plan.clone(),
        }
    }
}
