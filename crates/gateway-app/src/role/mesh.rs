//! A mesh gateway: passes TLS on, so nobody is judged and there is no certificate.

use std::sync::Arc;

use gateway_runtime::metrics::Metrics;
use gateway_state::mesh::MeshRole;

use super::AppRole;
use crate::settings::{Role, Settings};

/// `mesh-gw`.
#[derive(Debug)]
pub enum MeshGateway {}

impl AppRole for MeshGateway {
    type State = MeshRole;
    type Kept = ();

    const ROLE: Role = Role::Mesh;

    fn options(_settings: &Settings) {}

    fn keep(_settings: &Settings, _metrics: &Arc<Metrics>, _workers: usize) {}
}
