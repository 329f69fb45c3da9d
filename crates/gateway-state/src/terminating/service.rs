//! One linked service, with everything that accepting and forwarding a connection for it needs.

use intentions::RuleSet;
use mtls::{Leaf, LeafKey, Originator};
use std::{fmt, net::IpAddr, sync::Arc};

/// Which linked service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// Its namespace, `default` in the community edition.
    pub namespace: Arc<str>,
    /// Its name as the link writes it.
    pub name: Arc<str>,
}

/// What a link leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// A service of the catalog, with instances.
    #[default]
    Service,
    /// A `Destination` of its `service-defaults`: addresses without instances.
    Destination,
}

/// A service that this gateway stands for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkedService {
    /// Namespace and name.
    pub key: ServiceKey,
    /// The gateway's partition, which is the service's as well.
    pub partition: Arc<str>,
    /// It was taken in by `*`.
    pub from_wildcard: bool,
    /// Whether it has instances or addresses of its own.
    pub kind: LinkKind,
    /// Lower-cased: `tcp`, `http`, `http2`, `grpc`, or something else, which means `tcp`.
    pub protocol: Arc<str>,
    /// Where its certificate is in an [`mtls::CertStore`].
    pub leaf_key: LeafKey,
    /// The certificate that is presented for it.
    pub leaf: LeafState,
    /// Who may call it. Where its intentions are not known it denies everybody.
    pub rules: Arc<RuleSet>,
    /// `None`: its instances are spoken to in clear.
    pub origination: Option<Origination>,
    /// Whether `Host` becomes the name of the instance that was chosen (HTTP, instances with a name only).
    pub host_rewrite: bool,
    /// Connections to its instances leave from this address.
    pub source_address: Option<IpAddr>,
    /// Denials are reported and let pass.
    pub dry_run: bool,
    /// Ids of its targets in the order of its names: the service's own first, then subsets by name; for a
    /// `Destination` one for each address. Empty while it is not ready.
    pub targets: Box<[Arc<str>]>,
    /// Why connections for it are not accepted, if they are not.
    pub not_ready: Option<NotReady>,
}

/// The certificate of a linked service.
#[derive(Clone, Debug)]
pub enum LeafState {
    /// Verified: the key fits, it names the service, it is valid now.
    Ready(Arc<Leaf>),
    /// There is none that could be presented.
    Missing {
        /// What is wrong, for people.
        why: Arc<str>,
    },
}

/// How TLS is spoken to the instances of a service.
#[derive(Clone, Debug)]
pub enum Origination {
    /// With these certificates and this name.
    Ready(Arc<Originator>),
    /// It should be spoken and cannot: the service must not be dialled, least of all in clear.
    Broken {
        /// What is wrong, for people.
        why: Arc<str>,
    },
}

/// Why connections for a linked service are not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReady {
    /// It has no instance of any health.
    NoInstances,
    /// It has no certificate; the text says why.
    NoLeaf(Arc<str>),
    /// Its intentions are not known yet: not the same as that there are none.
    NoIntentions,
    /// A config entry of it (the text names its kind) was never understood. Without it, connections could be
    /// led to instances, or judged by rules, that they must not meet.
    NotUnderstood(Arc<str>),
    /// Its name would be no host name in the mesh.
    NoHostName(Arc<str>),
    /// Another service, whose name differs in nothing but case, has its name in the mesh.
    SameName(Arc<str>),
    /// Something else that is not known yet, in the words of whoever asks for it.
    Waiting(Arc<str>),
}

impl ServiceKey {
    /// A key of these names.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// `billing`; `team/billing` outside the namespace `default`.
impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.namespace != *mesh_id::Namespace::DEFAULT {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl LinkedService {
    /// Whether requests are judged one by one, in place of the connection.
    #[must_use]
    pub fn is_http(&self) -> bool {
        matches!(&*self.protocol, "http" | "http2" | "grpc")
    }

    /// How its intentions are judged.
    #[must_use]
    pub fn judged_as(&self) -> intentions::Protocol {
        if self.is_http() { intentions::Protocol::Http } else { intentions::Protocol::Tcp }
    }

    /// Whether the two are one and the same in everything, so that the older one can stay.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let Self {
            key,
            partition,
            from_wildcard,
            kind,
            protocol,
            leaf_key,
            leaf,
            rules,
            origination,
            host_rewrite,
            source_address,
            dry_run,
            targets,
            not_ready,
        } = self;
        let same_leaf = match (leaf, &other.leaf) {
            (LeafState::Ready(one), LeafState::Ready(other)) => Arc::ptr_eq(one, other),
            (LeafState::Missing { why }, LeafState::Missing { why: other }) => why == other,
            _ => false,
        };
        let same_origination = match (origination, &other.origination) {
            (None, None) => true,
            (Some(Origination::Ready(one)), Some(Origination::Ready(other))) => Arc::ptr_eq(one, other),
            (Some(Origination::Broken { why }), Some(Origination::Broken { why: other })) => why == other,
            _ => false,
        };
        *key == other.key
            && *partition == other.partition
            && *from_wildcard == other.from_wildcard
            && *kind == other.kind
            && *protocol == other.protocol
            && *leaf_key == other.leaf_key
            && same_leaf
            && Arc::ptr_eq(rules, &other.rules)
            && same_origination
            && *host_rewrite == other.host_rewrite
            && *source_address == other.source_address
            && *dry_run == other.dry_run
            && *targets == other.targets
            && *not_ready == other.not_ready
    }
}

impl NotReady {
    /// The word for logs and metric labels.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoInstances => "no_instances",
            Self::NoLeaf(_) => "no_leaf",
            Self::NoIntentions => "no_intentions",
            Self::NotUnderstood(_) => "not_understood",
            Self::NoHostName(_) => "no_host_name",
            Self::SameName(_) => "same_name",
            Self::Waiting(_) => "waiting",
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInstances => f.write_str("it has no instance"),
            Self::NoLeaf(why) => write!(f, "it has no certificate: {why}"),
            Self::NoIntentions => f.write_str("its intentions are not known yet"),
            Self::NotUnderstood(kind) => write!(f, "its {kind} cannot be understood"),
            Self::NoHostName(why) => write!(f, "its name in the mesh would be no host name: {why}"),
            Self::SameName(other) => {
                write!(f, "service {other:?} differs in nothing but case, and has its name in the mesh")
            }
            Self::Waiting(what) => f.write_str(what),
        }
    }
}
