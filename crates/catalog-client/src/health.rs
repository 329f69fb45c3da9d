//! Rows of the health API, as `health/service`, `health/connect` and the federation states hold them,
//! and what a gateway decides about one row.
//!
//! A row is a service instance, the node it runs on and all checks that concern it. Every field that
//! Consul's filter language can select is here, and what routing needs besides; nothing else. A row is
//! a [`filter::Selector`](crate::filter::Selector), so [`Filter`](crate::filter::Filter) answers about
//! it as `?filter=` does.
//!
//! Rows are compact: texts without spare capacity, small sorted slices in place of hash maps, owners
//! of checks by reference to the row. [`Interner`] lets the rows of a node share it;
//! [`HealthEntry::forget_outputs`] drops the free text of checks, which may be kilobytes.

mod address;
mod check;
mod intern;
mod node;
mod pairs;
mod proxy;
mod select;
mod service;
mod status;

pub use address::Address;
pub use check::{Check, CheckOf, CheckStatus, Owner};
pub use intern::Interner;
pub use node::Node;
pub use pairs::Pairs;
pub use proxy::{AccessLogs, EnvoyExtension, Expose, ExposePath, Proxy, TransparentProxy, Upstream};
pub use service::{PeerMeta, ServiceAddress, ServiceInstance, ServiceKind, Weights};
pub use status::{Status, Weight};

use crate::lenient::or_default;
use check::RawCheck;
use serde::Deserialize;
use std::sync::Arc;

/// One row: an instance, its node, and the checks of both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RawEntry")]
pub struct HealthEntry {
    /// The node, which rows may share ([`Interner`]).
    pub node: Arc<Node>,
    /// The instance.
    pub service: ServiceInstance,
    /// Checks of the node and of the instance, in Consul's order.
    pub checks: Box<[Check]>,
}

impl HealthEntry {
    /// Forgets the free texts of the checks: outputs and notes. A filter that asks for
    /// `Checks.Output` or `Checks.Notes` finds them empty from then on.
    pub fn forget_outputs(&mut self) {
        for check in &mut self.checks {
            check.output = Box::default();
            check.notes = Box::default();
        }
    }

    /// The service that a connection to this instance means: for a sidecar the one it stands before,
    /// else the instance's own name.
    #[must_use]
    pub fn destination(&self) -> &str {
        match &self.service.proxy {
            Some(proxy) if self.service.kind == ServiceKind::ConnectProxy => &proxy.destination_service_name,
            _ => &self.service.service,
        }
    }

    /// Whether the instance speaks the mesh's mutual TLS for a service: a sidecar, an instance that is
    /// native to the mesh, or a terminating gateway (mesh-gateway 3.2, D5).
    #[must_use]
    pub fn is_mesh_instance(&self) -> bool {
        matches!(self.service.kind, ServiceKind::ConnectProxy | ServiceKind::TerminatingGateway)
            || self.service.connect_native
    }
}

/// A row as Consul writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawEntry {
    #[serde(default, deserialize_with = "or_default")]
    node: Node,
    #[serde(default, deserialize_with = "or_default")]
    service: ServiceInstance,
    #[serde(default, deserialize_with = "or_default")]
    checks: Vec<RawCheck>,
}

impl From<RawEntry> for HealthEntry {
    fn from(raw: RawEntry) -> Self {
        let RawEntry { node, service, checks } = raw;
        let checks = checks.into_iter().map(|check| check.of(&service)).collect();
        Self { node: Arc::new(node), service, checks }
    }
}
