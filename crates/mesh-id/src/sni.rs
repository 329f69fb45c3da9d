//! The server names by which a mesh gateway routes.
//!
//! Consul joins the parts with dots and marks the kind with a fixed label. The trust domain is part of the name, so
//! another cluster's name never looks like one of our own. Letters keep their case: whether names are compared in
//! lower case is the caller's decision, and for one kind, [`MeshSni::PeeringServer`], they must not be.

use std::fmt;

use crate::host::NameError;
use crate::names::{
    Datacenter, DnsDomain, Namespace, NodeName, Partition, PeerName, QueryName, ServiceName, SubsetName,
    TrustDomain,
};

mod parse;
#[cfg(test)]
mod tests;

/// A server name of the mesh, taken apart.
///
/// [`fmt::Display`] writes the name. It writes any combination of parts, so the text may be longer than a host name
/// may be: [`crate::is_valid_sni_host`] tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MeshSni {
    /// A service of the mesh, or one subset of it: `v2.billing.default.fra1.internal.<trust domain>`. In a partition
    /// other than `default`, `billing.pay.fin.fra1.internal-v1.<trust domain>`.
    Service {
        /// The service.
        service: ServiceName,
        /// Its namespace.
        namespace: Namespace,
        /// Its admin partition.
        partition: Partition,
        /// Where it runs.
        datacenter: Datacenter,
        /// Its cluster.
        trust_domain: TrustDomain,
        /// The subset, if the name asks for one.
        subset: Option<SubsetName>,
    },
    /// The mesh gateways of a datacenter: `ams2.internal.<trust domain>`, or in a partition other than `default`,
    /// `fin.fra1.internal-v1.<trust domain>`.
    Gateways {
        /// Where the gateways are.
        datacenter: Datacenter,
        /// Their admin partition.
        partition: Partition,
        /// Their cluster.
        trust_domain: TrustDomain,
    },
    /// A service exported to a peer: `billing.default.default.east.external.<trust domain of the exporter>`. The
    /// partition is always written.
    Peered {
        /// The service.
        service: ServiceName,
        /// Its namespace in the exporting cluster.
        namespace: Namespace,
        /// Its admin partition in the exporting cluster.
        partition: Partition,
        /// The name that the exporter gave to the importer.
        peer: PeerName,
        /// The exporter's cluster.
        trust_domain: TrustDomain,
    },
    /// Consul servers, for federation over gateways: `fra1-srv-2.server.fra1.consul`, or any server of a datacenter,
    /// `server.fra1.consul`.
    WanServer {
        /// One server, or any.
        node: Option<NodeName>,
        /// Where it is.
        datacenter: Datacenter,
        /// The agents' DNS domain.
        domain: DnsDomain,
    },
    /// The servers' endpoint for peering: `server.fra1.peering.<trust domain>`. Compare it byte for byte: a server
    /// allows a connection with this exact name less than one with another case of it.
    PeeringServer {
        /// Where the servers are.
        datacenter: Datacenter,
        /// Their cluster.
        trust_domain: TrustDomain,
    },
    /// A prepared query: `geo-db.default.fra1.query.<trust domain>`. Proxies name upstreams so; no gateway routes it.
    PreparedQuery {
        /// The query.
        query: QueryName,
        /// Where it is defined.
        datacenter: Datacenter,
        /// Its cluster.
        trust_domain: TrustDomain,
    },
}

/// Why a text is not a server name of the mesh. Whoever wrote the name is at fault; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SniError {
    /// It is not even a host name.
    #[error("not a host name: {0}")]
    Host(#[source] NameError),
    /// No label marks it as a name of the mesh.
    #[error(
        "not a name of the mesh: no label is internal, internal-v1, external, peering or query, \
         and it is not server.<datacenter> or <node>.server.<datacenter> under the DNS domain"
    )]
    Foreign,
    /// It has the mark of a kind, but not as many labels as that kind.
    #[error("{found} labels in front of \"{marker}\", where {expected} is written")]
    Labels {
        /// The label that marks the kind.
        marker: &'static str,
        /// How many labels stand in front of it.
        found: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// One label has a fixed text in this kind and differs.
    #[error("the {part} is \"{found}\", in names with \"{marker}\" it is always \"{expected}\"")]
    Fixed {
        /// The label that marks the kind.
        marker: &'static str,
        /// Which part.
        part: &'static str,
        /// What stands there.
        found: Box<str>,
        /// What should stand there.
        expected: &'static str,
    },
    /// The partition `default` is written out in a form that leaves it out; Consul never writes or routes this.
    #[error("the partition \"default\" is not written: use the form with \"internal\"")]
    DefaultPartition,
    /// One part is not a valid name.
    #[error("the {part} is not a valid name: {source}")]
    Part {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
}

impl MeshSni {
    /// Takes a server name apart. `dns_domain` is the agents' DNS domain, with or without a trailing dot.
    ///
    /// Nothing is lower-cased, the fixed labels neither: `INTERNAL` marks nothing.
    ///
    /// The length of the trust domain is not known in advance, so a name can have more than one reading when a part
    /// of it is called like a mark (a namespace `internal`). The reading with a trust domain of two labels wins,
    /// because Consul makes no other; then the one with the shortest trust domain.
    ///
    /// # Errors
    ///
    /// Which part is wrong. Where several readings fail, the error is that of the preferred one.
    pub fn parse(name: &str, dns_domain: &str) -> Result<Self, SniError> {
        parse::parse(name, dns_domain)
    }

    /// One or two words for the kind of name: `service`, `service subset`, `mesh gateways` …
    #[must_use]
    pub fn form(&self) -> &'static str {
        match self {
            Self::Service { subset: None, .. } => "service",
            Self::Service { subset: Some(_), .. } => "service subset",
            Self::Gateways { .. } => "mesh gateways",
            Self::Peered { .. } => "exported service",
            Self::WanServer { node: Some(_), .. } => "one server",
            Self::WanServer { node: None, .. } => "any server",
            Self::PeeringServer { .. } => "peering servers",
            Self::PreparedQuery { .. } => "prepared query",
        }
    }
}

impl fmt::Display for MeshSni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { service, namespace, partition, datacenter, trust_domain, subset } => {
                if let Some(subset) = subset {
                    write!(f, "{subset}.")?;
                }
                write!(f, "{service}.{namespace}.")?;
                write_place(partition, datacenter, trust_domain, f)
            }
            Self::Gateways { datacenter, partition, trust_domain } => {
                write_place(partition, datacenter, trust_domain, f)
            }
            Self::Peered { service, namespace, partition, peer, trust_domain } => {
                write!(f, "{service}.{namespace}.{partition}.{peer}.external.{trust_domain}")
            }
            Self::WanServer { node, datacenter, domain } => {
                if let Some(node) = node {
                    write!(f, "{node}.")?;
                }
                write!(f, "server.{datacenter}.{domain}")
            }
            Self::PeeringServer { datacenter, trust_domain } => {
                write!(f, "server.{datacenter}.peering.{trust_domain}")
            }
            Self::PreparedQuery { query, datacenter, trust_domain } => {
                write!(f, "{query}.default.{datacenter}.query.{trust_domain}")
            }
        }
    }
}

fn write_place(
    partition: &Partition,
    datacenter: &Datacenter,
    trust_domain: &TrustDomain,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if partition.is_default() {
        write!(f, "{datacenter}.internal.{trust_domain}")
    } else {
        write!(f, "{partition}.{datacenter}.internal-v1.{trust_domain}")
    }
}

/// The parts of a name with their labels, in the order in which a person reads them, for `explain`. The first one is
/// `form`, see [`MeshSni::form`]. Parts that the name does not have are left out.
#[must_use]
pub fn explain_parts(sni: &MeshSni) -> Vec<(&'static str, String)> {
    let mut parts = vec![("form", sni.form().to_owned())];
    let mut add = |label, value: &dyn fmt::Display| parts.push((label, value.to_string()));
    match sni {
        MeshSni::Service { service, namespace, partition, datacenter, trust_domain, subset } => {
            add("service", service);
            if let Some(subset) = subset {
                add("subset", subset);
            }
            add("namespace", namespace);
            add("partition", partition);
            add("datacenter", datacenter);
            add("trust_domain", trust_domain);
        }
        MeshSni::Gateways { datacenter, partition, trust_domain } => {
            add("partition", partition);
            add("datacenter", datacenter);
            add("trust_domain", trust_domain);
        }
        MeshSni::Peered { service, namespace, partition, peer, trust_domain } => {
            add("service", service);
            add("namespace", namespace);
            add("partition", partition);
            add("peer", peer);
            add("trust_domain", trust_domain);
        }
        MeshSni::WanServer { node, datacenter, domain } => {
            if let Some(node) = node {
                add("node", node);
            }
            add("datacenter", datacenter);
            add("domain", domain);
        }
        MeshSni::PeeringServer { datacenter, trust_domain } => {
            add("datacenter", datacenter);
            add("trust_domain", trust_domain);
        }
        MeshSni::PreparedQuery { query, datacenter, trust_domain } => {
            add("query", query);
            add("datacenter", datacenter);
            add("trust_domain", trust_domain);
        }
    }
    parts
}
