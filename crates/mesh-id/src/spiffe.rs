//! SPIFFE ids: the URI in a mesh certificate that says who its holder is.
//!
//! The patterns and the order "match the raw path first, decode afterwards" are Consul's: a slash that was written
//! `%2F` belongs to a name and never separates elements. What Consul never writes (user info, port, query,
//! fragment, control characters) is refused instead of ignored.
//!
//! Decoded elements are for people. A decision compares the URI as text, see [`SpiffeId::matches_uri`].

use std::fmt;

use crate::host::NameError;
use crate::names::{Datacenter, Namespace, NodeName, Partition, ServiceName, TrustDomain};

mod escape;
#[cfg(test)]
mod tests;

/// Longest SPIFFE URI that is read, in bytes (SPIFFE-ID, section 2.3).
pub const MAX_SPIFFE_URI: usize = 2048;

/// Who the holder of a certificate is.
///
/// [`fmt::Display`] writes the URI as Consul does: `/ap/<partition>` is left out for the partition `default`. Every
/// id that is at most [`MAX_SPIFFE_URI`] bytes long and is not a [`SpiffeId::Signing`] of a single-label trust domain
/// can be read back, and is then equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpiffeId {
    /// A service, also an ingress or terminating gateway.
    Service {
        /// Cluster that signed it.
        trust_domain: TrustDomain,
        /// Admin partition, `default` where the URI names none.
        partition: Element,
        /// Namespace, always written.
        namespace: Element,
        /// Datacenter where the service runs.
        datacenter: Element,
        /// The service.
        service: Element,
    },
    /// A Consul client agent.
    Agent {
        /// Cluster that signed it.
        trust_domain: TrustDomain,
        /// Admin partition, `default` where the URI names none.
        partition: Element,
        /// Datacenter of the agent.
        datacenter: Element,
        /// Name of its node.
        node: Element,
    },
    /// Any Consul server of a datacenter.
    Server {
        /// Cluster that signed it.
        trust_domain: TrustDomain,
        /// Datacenter of the server.
        datacenter: Element,
    },
    /// Any mesh gateway of a datacenter.
    MeshGateway {
        /// Cluster that signed it.
        trust_domain: TrustDomain,
        /// Admin partition, `default` where the URI names none.
        partition: Element,
        /// Datacenter of the gateway.
        datacenter: Element,
    },
    /// A certificate authority of the cluster.
    Signing {
        /// The cluster; has at least one dot.
        trust_domain: TrustDomain,
    },
}

/// Text of one path element, decoded: not empty and without control characters. Unlike the other names of this crate
/// it may hold any other character, a slash or a dot too, because a certificate may.
///
/// Two elements are equal when their texts are, however they were written; see [`SpiffeId::is_exact`].
#[derive(Debug, Clone)]
pub struct Element {
    text: Box<str>,
    /// Whether it was written as Go's URL writer would have written it.
    exact: bool,
}

/// Why a URI is not an identity of the mesh. The holder of the certificate is at fault; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeError {
    /// Longer than [`MAX_SPIFFE_URI`].
    #[error("the URI has {length} bytes, at most {MAX_SPIFFE_URI} are allowed")]
    TooLong {
        /// Bytes in the URI.
        length: usize,
    },
    /// The scheme is not exactly `spiffe`.
    #[error("the URI does not start with spiffe://")]
    Scheme,
    /// A character that no SPIFFE URI may hold: a space, control or non-ASCII character, a query or a fragment.
    #[error("character {character:?} at byte {position} has no place in a SPIFFE URI")]
    Character {
        /// The first such character.
        character: char,
        /// Its offset in bytes.
        position: usize,
    },
    /// The trust domain is not a host name; user info and ports end here too.
    #[error("the trust domain is not a host name: {0}")]
    TrustDomain(#[source] NameError),
    /// There is no path, and the trust domain has no dot, so this is not the id of a certificate authority.
    #[error("no path, and a trust domain without a dot")]
    NoPath,
    /// The path fits none of the patterns.
    #[error(
        "the path is none of /ns/../dc/../svc/.., /agent/client/dc/../id/.., /agent/server/dc/.., /gateway/mesh/dc/.."
    )]
    Path,
    /// An element is badly percent-encoded, is not UTF-8 or holds a control character.
    #[error("the {element} is not valid percent-encoded text")]
    Encoding {
        /// Which one: `service`, `datacenter` …
        element: &'static str,
    },
}

impl SpiffeId {
    /// Reads a URI as it stands in a certificate.
    ///
    /// # Errors
    ///
    /// What is wrong with it; see [`SpiffeError`].
    pub fn parse(uri: &str) -> Result<Self, SpiffeError> {
        if uri.len() > MAX_SPIFFE_URI {
            return Err(SpiffeError::TooLong { length: uri.len() });
        }
        let rest = uri.strip_prefix("spiffe://").ok_or(SpiffeError::Scheme)?;
        let foreign = |c: char| !c.is_ascii_graphic() || c == '?' || c == '#';
        if let Some((position, character)) = uri.char_indices().find(|&(_, c)| foreign(c)) {
            return Err(SpiffeError::Character { character, position });
        }
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let trust_domain = TrustDomain::parse(host).map_err(SpiffeError::TrustDomain)?;
        match path.strip_prefix('/') {
            Some(path) => Self::from_path(trust_domain, path),
            None if host.contains('.') => Ok(Self::Signing { trust_domain }),
            None => Err(SpiffeError::NoPath),
        }
    }

    /// The identity of a service as its certificate authority writes it: the partition in lower case.
    #[must_use]
    pub fn service(
        trust_domain: TrustDomain,
        partition: &Partition,
        namespace: &Namespace,
        datacenter: &Datacenter,
        service: &ServiceName,
    ) -> Self {
        Self::Service {
            trust_domain,
            partition: Element::from(partition),
            namespace: Element::plain(namespace.as_str()),
            datacenter: Element::plain(datacenter.as_str()),
            service: Element::plain(service.as_str()),
        }
    }

    /// The identity of the mesh gateways of a datacenter: the partition in lower case.
    #[must_use]
    pub fn mesh_gateway(trust_domain: TrustDomain, partition: &Partition, datacenter: &Datacenter) -> Self {
        let datacenter = Element::plain(datacenter.as_str());
        Self::MeshGateway { trust_domain, partition: Element::from(partition), datacenter }
    }

    /// Whether a certificate's URI is this identity, byte for byte. This is the comparison to decide by: `%65` for
    /// `e`, a capital letter, or `/ap/default` written out do not match, exactly as with the other proxies of a mesh.
    #[must_use]
    pub fn matches_uri(&self, uri: &str) -> bool {
        self.to_string() == uri
    }

    /// Whether the URI that this was read from is byte for byte the one that [`fmt::Display`] writes. An identity that
    /// was not read from a URI always is.
    ///
    /// Consul writes no other form, and the other proxies of a mesh compare text: `/svc/w%65b` and `/ap/default/...`
    /// are nobody's name there. Who decides by the parts of an identity asks this first.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Service { partition, namespace, datacenter, service, .. } => {
                [partition, namespace, datacenter, service].iter().all(|element| element.exact)
            }
            Self::Agent { partition, datacenter, node, .. } => {
                [partition, datacenter, node].iter().all(|element| element.exact)
            }
            Self::Server { datacenter, .. } => datacenter.exact,
            Self::MeshGateway { partition, datacenter, .. } => partition.exact && datacenter.exact,
            Self::Signing { .. } => true,
        }
    }

    /// The cluster that the identity belongs to.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        match self {
            Self::Service { trust_domain, .. }
            | Self::Agent { trust_domain, .. }
            | Self::Server { trust_domain, .. }
            | Self::MeshGateway { trust_domain, .. }
            | Self::Signing { trust_domain } => trust_domain,
        }
    }

    /// `path` comes without its first slash. Elements are told apart before they are decoded.
    fn from_path(trust_domain: TrustDomain, path: &str) -> Result<Self, SpiffeError> {
        // The longest pattern has eight elements; one more is read so that a longer path does not fit any.
        let elements: Vec<&str> = path.splitn(10, '/').collect();
        if elements.iter().any(|raw| raw.is_empty()) {
            return Err(SpiffeError::Path);
        }
        let (partition, elements) = match elements.as_slice() {
            ["ap", partition, rest @ ..] => {
                let read = Element::decode("partition", partition)?;
                // The default partition is never written out.
                let exact = read.exact && read.as_str() != Partition::DEFAULT;
                (Some(Element { exact, ..read }), rest)
            }
            whole => (None, whole),
        };
        let in_partition = partition.is_some();
        let partition = partition.unwrap_or_else(|| Element::plain(Partition::DEFAULT));
        match elements {
            ["ns", namespace, "dc", datacenter, "svc", service] => Ok(Self::Service {
                trust_domain,
                partition,
                namespace: Element::decode("namespace", namespace)?,
                datacenter: Element::decode("datacenter", datacenter)?,
                service: Element::decode("service", service)?,
            }),
            ["agent", "client", "dc", datacenter, "id", node] => Ok(Self::Agent {
                trust_domain,
                partition,
                datacenter: Element::decode("datacenter", datacenter)?,
                node: Element::decode("node", node)?,
            }),
            ["gateway", "mesh", "dc", datacenter] => Ok(Self::MeshGateway {
                trust_domain,
                partition,
                datacenter: Element::decode("datacenter", datacenter)?,
            }),
            // Servers belong to no partition.
            ["agent", "server", "dc", datacenter] if !in_partition => {
                Ok(Self::Server { trust_domain, datacenter: Element::decode("datacenter", datacenter)? })
            }
            _ => Err(SpiffeError::Path),
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}", self.trust_domain())?;
        match self {
            Self::Service { partition, namespace, datacenter, service, .. } => {
                write_partition(partition, f)?;
                write_elements(&[("ns", namespace), ("dc", datacenter), ("svc", service)], f)
            }
            Self::Agent { partition, datacenter, node, .. } => {
                write_partition(partition, f)?;
                f.write_str("/agent/client")?;
                write_elements(&[("dc", datacenter), ("id", node)], f)
            }
            Self::Server { datacenter, .. } => {
                f.write_str("/agent/server")?;
                write_elements(&[("dc", datacenter)], f)
            }
            Self::MeshGateway { partition, datacenter, .. } => {
                write_partition(partition, f)?;
                f.write_str("/gateway/mesh")?;
                write_elements(&[("dc", datacenter)], f)
            }
            Self::Signing { .. } => Ok(()),
        }
    }
}

fn write_partition(partition: &Element, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if partition.as_str() == Partition::DEFAULT { Ok(()) } else { write_elements(&[("ap", partition)], f) }
}

fn write_elements(elements: &[(&str, &Element)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (key, element) in elements {
        write!(f, "/{key}/")?;
        escape::write_element(element.as_str(), f)?;
    }
    Ok(())
}

impl Element {
    /// Takes decoded text; `None` if it is empty or holds a control character.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.chars().any(char::is_control)).then(|| Self::plain(text))
    }

    /// The decoded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn plain(text: &str) -> Self {
        Self { text: text.into(), exact: true }
    }

    fn decode(element: &'static str, raw: &str) -> Result<Self, SpiffeError> {
        let read = escape::decode_element(raw).as_deref().and_then(Self::new);
        let read = read.ok_or(SpiffeError::Encoding { element })?;
        let exact = escape::is_written(raw, &read.text);
        Ok(Self { exact, ..read })
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Element {}

impl std::hash::Hash for Element {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Consul writes partitions in lower case.
impl From<&Partition> for Element {
    fn from(partition: &Partition) -> Self {
        Self::plain(&partition.as_str().to_ascii_lowercase())
    }
}

impl From<&NodeName> for Element {
    fn from(node: &NodeName) -> Self {
        Self::plain(node.as_str())
    }
}
