//! Who and where the gateway is, put together from several answers.

use super::config::ConsulConfig;
use crate::mesh::MeshIdentity;
use mesh_id::{Namespace, Partition};

/// What is known of it so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) trust_domain: Option<String>,
    /// Of the agent itself, if the token may ask it.
    pub(super) agents_datacenter: Option<String>,
    /// Of the gateway's own service.
    pub(super) own_datacenter: Option<String>,
    /// The agent's DNS domain.
    pub(super) domain: Option<String>,
}

impl Identity {
    /// The datacenter: what the operator says, then the agent, then the registration.
    pub(super) fn datacenter<'a>(&'a self, config: &'a ConsulConfig) -> Option<&'a str> {
        let of = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        of(&config.datacenter).or(of(&self.agents_datacenter)).or(of(&self.own_datacenter))
    }

    /// Whole, or what is missing.
    pub(super) fn complete(&self, config: &ConsulConfig) -> Result<MeshIdentity, &'static str> {
        let trust_domain =
            self.trust_domain.as_deref().ok_or("the trust domain: Consul's CA has no root yet")?;
        let datacenter = self.datacenter(config).ok_or(
            "the datacenter: give --datacenter, or let the token read the agent (agent_prefix \"\" { policy = \"read\" })",
        )?;
        let lower = |text: &str| text.to_ascii_lowercase().into();
        let domain = self.domain.as_deref().map(|domain| domain.trim_end_matches('.'));
        Ok(MeshIdentity {
            datacenter: lower(datacenter),
            trust_domain: lower(trust_domain),
            partition: lower(config.partition.as_deref().unwrap_or(Partition::DEFAULT)),
            namespace: lower(config.namespace.as_deref().unwrap_or(Namespace::DEFAULT)),
            domain: lower(domain.filter(|domain| !domain.is_empty()).unwrap_or("consul")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Own;
    use super::*;
    use catalog_client::registration::GatewayKind;

    #[test]
    fn the_strongest_word_for_the_datacenter_counts() {
        let mut config = ConsulConfig::new(GatewayKind::Mesh, "mesh-gateway", Own::OnlyOne);
        let mut identity = Identity { trust_domain: Some("TD.consul".to_owned()), ..Identity::default() };
        assert!(identity.complete(&config).unwrap_err().contains("--datacenter"));
        identity.own_datacenter = Some("Registered".to_owned());
        assert_eq!(&*identity.complete(&config).unwrap().datacenter, "registered");
        identity.agents_datacenter = Some("agents".to_owned());
        assert_eq!(&*identity.complete(&config).unwrap().datacenter, "agents");
        config.datacenter = Some("given".to_owned());
        let complete = identity.complete(&config).unwrap();
        assert_eq!((&*complete.datacenter, &*complete.trust_domain), ("given", "td.consul"));
        assert_eq!(
            (&*complete.partition, &*complete.namespace, &*complete.domain),
            ("default", "default", "consul")
        );
    }

    #[test]
    fn the_domain_has_no_dot_at_its_end() {
        let config = ConsulConfig {
            datacenter: Some("dc1".to_owned()),
            ..ConsulConfig::new(GatewayKind::Mesh, "mesh-gateway", Own::OnlyOne)
        };
        let identity = Identity {
            trust_domain: Some("td.consul".to_owned()),
            domain: Some("Corp.Example.".to_owned()),
            ..Identity::default()
        };
        assert_eq!(&*identity.complete(&config).unwrap().domain, "corp.example");
    }
}
