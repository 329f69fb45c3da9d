//! A mesh gateway: passes TLS on, so nobody is judged and there is no certificate.

use std::sync::Arc;

use catalog_client::Client;
use catalog_client::registration::GatewayRegistration;
use gateway_runtime::metrics::Metrics;
use gateway_state::mesh::{MeshRole, MeshSnapshot};

use super::{AppRole, ConsulFeed};
use crate::consul;
use crate::settings::{ConsulSettings, Role, Settings};

/// `mesh-gw`.
#[derive(Debug)]
pub enum MeshGateway {}

impl AppRole for MeshGateway {
    type State = MeshRole;
    type Kept = ();

    const ROLE: Role = Role::Mesh;

    fn options(_settings: &Settings) {}

    fn keep(_settings: &Settings, _metrics: &Arc<Metrics>, _workers: usize) {}

    fn consul(
        settings: &Settings,
        consul: &ConsulSettings,
        client: Client,
        registration: Option<GatewayRegistration>,
    ) -> Result<ConsulFeed<MeshSnapshot>, String> {
        let (source, reader, handle) = consul::source(settings, consul, client, registration);
        Ok(ConsulFeed { source: Box::pin(source.run()), reader, handle })
    }
}
