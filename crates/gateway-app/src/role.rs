//! What differs between the gateways: the hooks that the process calls in its course.

use std::sync::Arc;

use gateway_runtime::metrics::Metrics;
use gateway_runtime::registry::Registry;
use gateway_state::Role as StateRole;
use gateway_state::consul::ConsulRole;
use serde_json::Value;

use crate::pages::Query;
use crate::settings::{Role, Settings};

mod mesh;

pub use mesh::MeshGateway;

/// The snapshots of a role.
pub type SnapshotOf<R> = <<R as AppRole>::State as StateRole>::Snapshot;

/// A kind of gateway, as the process around it sees it.
pub trait AppRole: Sized + Send + Sync + 'static {
    /// What it makes of documents.
    type State: ConsulRole;
    /// What it keeps for the length of the process, besides [`Parts`](crate::parts::Parts).
    type Kept: Send + Sync + 'static;

    /// Which one it is.
    const ROLE: Role;
    /// Conditions of readiness of its own; [`condition`](Self::condition) says how each is.
    const CONDITIONS: &'static [&'static str] = &[];
    /// Pages of its own, with what they show.
    const PAGES: &'static [(&'static str, &'static str)] = &[];
    /// Whether clients are known by certificates and judged, which logs and pages then show.
    const JUDGES: bool = false;

    /// What the source of documents is told.
    fn options(settings: &Settings) -> <Self::State as StateRole>::Options;

    /// Made once, at the start.
    fn keep(settings: &Settings, metrics: &Arc<Metrics>, workers: usize) -> Self::Kept;

    /// A snapshot is about to be published: what connections will need is put in place first.
    fn prepare(_kept: &Self::Kept, _snapshot: &SnapshotOf<Self>) {}

    /// A snapshot has been published: what is open is brought in line with it.
    fn applied(_kept: &Self::Kept, _snapshot: &Arc<SnapshotOf<Self>>, _registry: &Registry) {}

    /// How one of [`CONDITIONS`](Self::CONDITIONS) is.
    ///
    /// # Errors
    /// What is missing.
    fn condition(_name: &str, _snapshot: &SnapshotOf<Self>) -> Result<(), String> {
        Ok(())
    }

    /// Gauges of its own, before a scrape.
    fn refresh(_kept: &Self::Kept) {}

    /// Adds to `/snapshot` what only this role knows.
    fn add_to_snapshot(_page: &mut Value, _snapshot: &SnapshotOf<Self>, _query: &Query) {}

    /// One of [`PAGES`](Self::PAGES).
    fn page(_kept: &Self::Kept, _path: &str, _snapshot: &SnapshotOf<Self>, _query: &Query) -> Option<Value> {
        None
    }
}
