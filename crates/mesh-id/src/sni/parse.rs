//! Takes a server name apart: finds the label that marks the kind, then counts what stands in front of it.

use super::{MeshSni, SniError};
use crate::host::{NameError, is_valid_sni_host};
use crate::names::{
    Datacenter, DnsDomain, Namespace, NodeName, Partition, PeerName, QueryName, ServiceName, SubsetName,
    TrustDomain,
};

/// The label that tells the kind of a name; the trust domain follows it.
#[derive(Clone, Copy)]
enum Marker {
    Internal,
    InternalV1,
    External,
    Peering,
    Query,
}

pub(super) fn parse(name: &str, dns_domain: &str) -> Result<MeshSni, SniError> {
    is_valid_sni_host(name).map_err(SniError::Host)?;
    if let Some(servers) = wan_server(name, dns_domain)? {
        return Ok(servers);
    }
    let labels: Vec<&str> = name.split('.').collect();
    let mut first_error = None;
    for trust_domain_labels in lengths_by_preference(labels.len()) {
        let at = labels.len() - trust_domain_labels - 1;
        let Some(marker) = Marker::of(labels[at]) else { continue };
        let trust_domain = part("trust domain", TrustDomain::parse(&labels[at + 1..].join(".")))?;
        match marker.read(&labels[..at], trust_domain) {
            Ok(sni) => return Ok(sni),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(SniError::Foreign))
}

/// Lengths that the trust domain can have, in labels, when a mark and one more label stand in front of it.
fn lengths_by_preference(labels: usize) -> impl Iterator<Item = usize> {
    [2, 1].into_iter().chain(3..labels).filter(move |length| length + 2 <= labels)
}

/// `server.<dc>.<domain>` and `<node>.server.<dc>.<domain>`; nothing else in front of the domain is of this kind.
fn wan_server(name: &str, dns_domain: &str) -> Result<Option<MeshSni>, SniError> {
    let domain = dns_domain.strip_suffix('.').unwrap_or(dns_domain);
    let Some(front) = name.strip_suffix(domain).and_then(|front| front.strip_suffix('.')) else {
        return Ok(None);
    };
    let (node, datacenter) = match *front.split('.').collect::<Vec<_>>().as_slice() {
        ["server", datacenter] => (None, datacenter),
        [node, "server", datacenter] => (Some(node), datacenter),
        _ => return Ok(None),
    };
    Ok(Some(MeshSni::WanServer {
        node: node.map(|node| part("node", NodeName::parse(node))).transpose()?,
        datacenter: part("datacenter", Datacenter::parse(datacenter))?,
        domain: part("DNS domain", DnsDomain::parse(domain))?,
    }))
}

impl Marker {
    fn of(label: &str) -> Option<Self> {
        [Self::Internal, Self::InternalV1, Self::External, Self::Peering, Self::Query]
            .into_iter()
            .find(|marker| marker.as_str() == label)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::InternalV1 => "internal-v1",
            Self::External => "external",
            Self::Peering => "peering",
            Self::Query => "query",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Internal => "<datacenter>, or [<subset>.]<service>.<namespace>.<datacenter>,",
            Self::InternalV1 => {
                "<partition>.<datacenter>, or [<subset>.]<service>.<namespace>.<partition>.<datacenter>,"
            }
            Self::External => "<service>.<namespace>.<partition>.<peer>",
            Self::Peering => "server.<datacenter>",
            Self::Query => "<query>.default.<datacenter>",
        }
    }

    fn read(self, front: &[&str], trust_domain: TrustDomain) -> Result<MeshSni, SniError> {
        match (self, front) {
            (Self::Internal, [datacenter]) => gateways(None, datacenter, trust_domain),
            (Self::Internal, [service, namespace, datacenter]) => {
                mesh_service(None, service, namespace, None, datacenter, trust_domain)
            }
            (Self::Internal, [subset, service, namespace, datacenter]) => {
                mesh_service(Some(subset), service, namespace, None, datacenter, trust_domain)
            }
            (Self::InternalV1, [partition, datacenter]) => {
                gateways(Some(partition), datacenter, trust_domain)
            }
            (Self::InternalV1, [service, namespace, partition, datacenter]) => {
                mesh_service(None, service, namespace, Some(partition), datacenter, trust_domain)
            }
            (Self::InternalV1, [subset, service, namespace, partition, datacenter]) => {
                mesh_service(Some(subset), service, namespace, Some(partition), datacenter, trust_domain)
            }
            (Self::External, [service, namespace, partition, peer]) => Ok(MeshSni::Peered {
                service: part("service", ServiceName::parse(service))?,
                namespace: part("namespace", Namespace::parse(namespace))?,
                partition: part("partition", Partition::parse(partition))?,
                peer: part("peer", PeerName::parse(peer))?,
                trust_domain,
            }),
            (Self::Peering, [first, datacenter]) => {
                self.fixed("first label", first, "server")?;
                let datacenter = part("datacenter", Datacenter::parse(datacenter))?;
                Ok(MeshSni::PeeringServer { datacenter, trust_domain })
            }
            (Self::Query, [query, namespace, datacenter]) => {
                self.fixed("namespace", namespace, Namespace::DEFAULT)?;
                Ok(MeshSni::PreparedQuery {
                    query: part("query", QueryName::parse(query))?,
                    datacenter: part("datacenter", Datacenter::parse(datacenter))?,
                    trust_domain,
                })
            }
            _ => {
                Err(SniError::Labels { marker: self.as_str(), found: front.len(), expected: self.expected() })
            }
        }
    }

    fn fixed(self, part: &'static str, found: &str, expected: &'static str) -> Result<(), SniError> {
        if found == expected {
            return Ok(());
        }
        Err(SniError::Fixed { marker: self.as_str(), part, found: found.into(), expected })
    }
}

fn gateways(
    partition: Option<&str>,
    datacenter: &str,
    trust_domain: TrustDomain,
) -> Result<MeshSni, SniError> {
    Ok(MeshSni::Gateways {
        datacenter: part("datacenter", Datacenter::parse(datacenter))?,
        partition: written_partition(partition)?,
        trust_domain,
    })
}

fn mesh_service(
    subset: Option<&str>,
    service: &str,
    namespace: &str,
    partition: Option<&str>,
    datacenter: &str,
    trust_domain: TrustDomain,
) -> Result<MeshSni, SniError> {
    Ok(MeshSni::Service {
        service: part("service", ServiceName::parse(service))?,
        namespace: part("namespace", Namespace::parse(namespace))?,
        partition: written_partition(partition)?,
        datacenter: part("datacenter", Datacenter::parse(datacenter))?,
        trust_domain,
        subset: subset.map(|subset| part("subset", SubsetName::parse(subset))).transpose()?,
    })
}

/// `default` has a form of its own, so where a partition is written it is another one.
fn written_partition(partition: Option<&str>) -> Result<Partition, SniError> {
    let Some(text) = partition else { return Ok(Partition::default()) };
    let partition = part("partition", Partition::parse(text))?;
    if partition.is_default() { Err(SniError::DefaultPartition) } else { Ok(partition) }
}

fn part<T>(part: &'static str, parsed: Result<T, NameError>) -> Result<T, SniError> {
    parsed.map_err(|source| SniError::Part { part, source })
}
