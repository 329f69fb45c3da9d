//! What a rule set is made for: a destination, in a mesh, with peers and a default.

use std::fmt;

use mesh_id::{Namespace, Partition, PeerName, ServiceName, TrustDomain};

/// The service that is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Its name.
    pub name: ServiceName,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its admin partition.
    pub partition: Partition,
}

impl Destination {
    /// A service of the namespace and the partition `default`.
    #[must_use]
    pub fn new(name: ServiceName) -> Self {
        Self { name, namespace: Namespace::default(), partition: Partition::default() }
    }
}

/// `billing`, `team/billing`, `part1/team/billing`.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.partition.is_default() {
            write!(f, "{}/{}/{}", self.partition, self.namespace, self.name)
        } else if !self.namespace.is_default() {
            write!(f, "{}/{}", self.namespace, self.name)
        } else {
            write!(f, "{}", self.name)
        }
    }
}

/// What happens where no intention decides. Consul's `default_intention_policy`, else `acl.default_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefaultPolicy {
    /// Everybody may call.
    Allow,
    /// Nobody may call. What to take when the policy is not known.
    Deny,
}

impl DefaultPolicy {
    pub(crate) fn allows(self) -> bool {
        self == Self::Allow
    }
}

impl fmt::Display for DefaultPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allows() { "allow" } else { "deny" })
    }
}

/// How the destination is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A stream of bytes, Consul's `tcp`: judged once, as a connection. Permissions cannot be judged and deny.
    Tcp,
    /// Requests, Consul's `http`, `http2` and `grpc`: each one is judged.
    Http,
}

/// The cluster that the gateway belongs to, and the clusters it is peered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMesh {
    /// Its trust domain. Identities of another one match no local source.
    pub trust_domain: TrustDomain,
    /// The gateway's own partition. Only mesh gateways of this one are believed what they say of a peer's caller.
    pub partition: Partition,
    /// Peers whose trust bundle is known. An intention for a source of another peer is skipped.
    pub peers: Vec<PeerBundle>,
}

impl LocalMesh {
    /// A cluster without peers; partition `default`.
    #[must_use]
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self { trust_domain, partition: Partition::default(), peers: Vec::new() }
    }
}

/// What an intention needs of a peer's trust bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerBundle {
    /// What this cluster calls the peer; `SourcePeer` of an intention.
    pub peer: PeerName,
    /// The trust domain that signs the peer's identities.
    pub trust_domain: TrustDomain,
    /// The peer's partition that exports to us.
    pub partition: Partition,
}
