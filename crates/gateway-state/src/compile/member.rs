//! What stands behind a name: a row of a file, or of an answer of Consul.

use super::row::Row;
use crate::{
    document::{Instance, Status, host},
    filter::Filter,
    snapshot::MeshIdentity,
    target::TargetEndpoint,
};
use catalog_client::health::HealthEntry;

/// Something that stands behind a name: a row of a file, or of an answer of Consul.
pub(crate) trait Member {
    /// Where it is and how good: `wan` by the address that it has for other datacenters, `only_passing`
    /// if a warning makes it unhealthy. `Err` with what is wrong with its address.
    fn endpoint(&self, wan: bool, only_passing: bool) -> Result<TargetEndpoint, String>;

    /// Whether a subset with this filter takes it in. What the filter cannot answer it does not.
    fn matches(&self, filter: &Filter, own: &MeshIdentity) -> bool;
}

impl Member for Instance {
    fn endpoint(&self, wan: bool, only_passing: bool) -> Result<TargetEndpoint, String> {
        let (host, port) = if wan { self.wan() } else { (&self.host, self.port) };
        let weight = match self.status {
            Status::Warning => self.weights.warning,
            Status::Passing | Status::Critical => self.weights.passing,
        };
        let up = match self.status {
            Status::Passing => true,
            Status::Warning => !only_passing,
            Status::Critical => false,
        };
        Ok(TargetEndpoint {
            host: host.clone(),
            port,
            weight: weight.clamp(1, mesh_endpoints::MAX_WEIGHT),
            healthy: up && weight > 0,
            label: self.id.as_ref().unwrap_or(&self.service).clone(),
        })
    }

    fn matches(&self, filter: &Filter, own: &MeshIdentity) -> bool {
        filter.matches(&Row::new(self, Some(own))).unwrap_or(false)
    }
}

impl Member for HealthEntry {
    fn endpoint(&self, wan: bool, only_passing: bool) -> Result<TargetEndpoint, String> {
        let unusable = |what: String| format!("instance {} on node {}: {what}", id(self), self.node.name);
        let address = if wan { self.best_wan() } else { self.lan() };
        let address = address.ok_or_else(|| unusable("it has no address or no port".to_owned()))?;
        let host = host(address.host).map_err(unusable)?;
        let weight = self.weight(only_passing);
        Ok(TargetEndpoint {
            host,
            port: address.port,
            weight: weight.value.into(),
            healthy: weight.healthy,
            label: id(self).into(),
        })
    }

    fn matches(&self, filter: &Filter, _own: &MeshIdentity) -> bool {
        filter.matches(self).unwrap_or(false)
    }
}

/// What an instance is called: Consul gives one without an id the name of its service.
fn id(row: &HealthEntry) -> &str {
    if row.service.id.is_empty() { &row.service.service } else { &row.service.id }
}
