//! What a source has to be told.

use super::{LeafConfig, Like};
use crate::mesh::SetPolicy;
use catalog_client::{
    capability::CapabilityConfig,
    planner::PlanConfig,
    registration::{GatewayKind, GatewayRegistration, Place, RegistrarConfig},
};
use intentions::DefaultPolicy;
use std::time::Duration;

/// How a source reads its Consul.
#[derive(Clone, Debug)]
pub struct ConsulConfig {
    /// Which gateway this is.
    pub kind: GatewayKind,
    /// Service name of this gateway; a `service-defaults` entry of that name sets its limits.
    pub service: String,
    /// How the gateway's own service comes into Consul.
    pub own: Own,
    /// Whether whoever runs this decides itself where to listen; else the registration says it.
    pub listens_itself: bool,
    /// The datacenter of this gateway, for tokens that may not read it from the agent.
    pub datacenter: Option<String>,
    /// Admin partition of this gateway; `default` if not set.
    pub partition: Option<String>,
    /// Namespace of names that name none; `default` if not set.
    pub namespace: Option<String>,
    /// Which services are read; `None` = all.
    pub only: Option<Like>,
    /// What every set of endpoints starts from.
    pub policy: SetPolicy,
    /// How queries are followed.
    pub plan: PlanConfig,
    /// How the registration is kept.
    pub registrar: RegistrarConfig,
    /// How feature probes are repeated.
    pub capabilities: CapabilityConfig,
    /// How often the list of datacenters, which cannot be waited for, is read. Default 30 s.
    pub datacenters_every: Duration,
    /// Terminating gateways: how the certificates of linked services are followed.
    pub leaves: LeafConfig,
    /// Terminating gateways: how often the intentions of each linked service are read although no list says that they
    /// were written. Default 60 s.
    pub intentions_every: Duration,
    /// Terminating gateways: what happens where no intention decides; `None`, the default: what Consul says.
    pub default_policy: Option<DefaultPolicy>,
    /// How long to wait at the start for services whose reads fail, before serving without them.
    /// Default 10 s.
    pub ready_within: Duration,
    /// Shortest time between two snapshots: the first change of a burst goes live at once, the others
    /// together. Default 5 ms.
    pub settle: Duration,
}

/// How the gateway's own service comes into Consul.
#[derive(Clone, Debug)]
pub enum Own {
    /// Somebody registered it, and it is the only one of its kind on the agent.
    OnlyOne,
    /// Somebody registered it with the agent.
    OfAgent {
        /// Service ID.
        id: String,
    },
    /// Somebody entered it into the catalog.
    OfNode {
        /// Service ID.
        id: String,
        /// Node name.
        node: String,
    },
    /// The source registers it and keeps it registered.
    Register {
        /// What is registered.
        registration: Box<GatewayRegistration>,
        /// With whom.
        place: Place,
        /// Whether [`ConsulHandle::leave`](super::ConsulHandle::leave) removes it.
        deregister: bool,
    },
}

impl ConsulConfig {
    /// Everything at its default. `service` is the gateway's name.
    #[must_use]
    pub fn new(kind: GatewayKind, service: &str, own: Own) -> Self {
        Self {
            kind,
            service: service.to_owned(),
            own,
            listens_itself: false,
            datacenter: None,
            partition: None,
            namespace: None,
            only: None,
            policy: SetPolicy::default(),
            plan: PlanConfig::default(),
            registrar: RegistrarConfig::default(),
            capabilities: CapabilityConfig::default(),
            datacenters_every: Duration::from_secs(30),
            leaves: LeafConfig::default(),
            intentions_every: Duration::from_secs(60),
            default_policy: None,
            ready_within: Duration::from_secs(10),
            settle: Duration::from_millis(5),
        }
    }
}
