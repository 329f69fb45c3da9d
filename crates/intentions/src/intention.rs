//! One intention: from whom, to whom, and what then.

use std::fmt;

use crate::permission::{JwtRequirement, Permission};

/// A rule for calls from some sources to some destinations, as one row of Consul's answers has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intention {
    /// Whose calls it is about.
    pub source: IntentionSource,
    /// Which services it protects.
    pub destination: IntentionDestination,
    /// 9 is the most specific and is looked at first, 1 the least; what Consul says, else what follows from the names.
    pub precedence: u8,
    /// What is done.
    pub rule: Rule,
    /// A token that every request of these sources needs, beside the rule. Not looked at for [`Protocol::Tcp`].
    ///
    /// [`Protocol::Tcp`]: crate::Protocol::Tcp
    pub jwt: Option<JwtRequirement>,
}

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// May call.
    Allow,
    /// May not.
    Deny,
}

/// A name, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// This one, byte for byte.
    Exact(Box<str>),
    /// Every one.
    Any,
}

/// Whose calls an intention is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IntentionSource {
    /// Services.
    Services(ServiceSource),
    /// The source could not be understood. Since it might be any, such an intention covers every caller, also those
    /// that are no services. It never allows.
    NotUnderstood,
}

/// The services that an intention is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceSource {
    /// Name.
    pub name: Pattern,
    /// Namespace. `*` comes with the name `*` only.
    pub namespace: Pattern,
    /// Admin partition, in lower case as in certificates; `None`: the destination's. Without meaning for a peer's source.
    pub partition: Option<Box<str>>,
    /// The peer they live in; `None`: the own cluster. A wildcard covers one peer or the own cluster, never both.
    pub peer: Option<Box<str>>,
}

/// The services that an intention protects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentionDestination {
    /// Name.
    pub name: Pattern,
    /// Namespace. `*` comes with the name `*` only.
    pub namespace: Pattern,
    /// Admin partition; `None`: whichever the document was asked for.
    pub partition: Option<Box<str>>,
}

/// What is done with a call that an intention covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// One answer for all.
    Action(Action),
    /// Per request, by the first permission that matches; where none does, the default policy decides, and intentions of
    /// lower precedence are not looked at. Never empty.
    Permissions(Vec<Permission>),
    /// The row says something that is not understood: deny. The text says what.
    NotUnderstood(Box<str>),
}

impl Pattern {
    /// `*` is every name, anything else itself.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text == "*" { Self::Any } else { Self::Exact(text.into()) }
    }

    /// Whether `name` is meant.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => &**text == name,
            Self::Any => true,
        }
    }

    pub(crate) fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

impl IntentionDestination {
    /// 9 for an exact name, 6 for `*` in one namespace, 3 for `*` in all.
    fn rank(&self) -> u8 {
        match (&self.name, &self.namespace) {
            (Pattern::Exact(_), _) => 9,
            (Pattern::Any, Pattern::Exact(_)) => 6,
            (Pattern::Any, Pattern::Any) => 3,
        }
    }
}

impl IntentionSource {
    /// How many places below its destination's rank it stands.
    fn steps(&self) -> u8 {
        match self {
            Self::Services(ServiceSource { name: Pattern::Any, namespace: Pattern::Any, .. }) => 2,
            Self::Services(ServiceSource { name: Pattern::Any, .. }) => 1,
            Self::Services(_) | Self::NotUnderstood => 0,
        }
    }
}

/// The precedence that follows from names (Consul's table; community editions use 9, 8, 6 and 5).
pub(crate) fn precedence(source: &IntentionSource, destination: &IntentionDestination) -> u8 {
    destination.rank() - source.steps()
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Any => f.write_str("*"),
        }
    }
}

/// `web => billing (precedence 9)`, with namespaces, partitions and the peer where they are not the usual ones.
impl fmt::Display for Intention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            IntentionSource::Services(source) => {
                write_name(f, source.partition.as_deref(), &source.namespace, &source.name)?;
                if let Some(peer) = &source.peer {
                    write!(f, " (peer {peer})")?;
                }
            }
            IntentionSource::NotUnderstood => f.write_str("?")?,
        }
        f.write_str(" => ")?;
        let IntentionDestination { name, namespace, partition } = &self.destination;
        write_name(f, partition.as_deref(), namespace, name)?;
        write!(f, " (precedence {})", self.precedence)
    }
}

fn write_name(
    f: &mut fmt::Formatter<'_>,
    partition: Option<&str>,
    namespace: &Pattern,
    name: &Pattern,
) -> fmt::Result {
    let partition = partition.filter(|partition| *partition != "default");
    if let Some(partition) = partition {
        write!(f, "{partition}/")?;
    }
    if partition.is_some() || !matches!(namespace, Pattern::Exact(text) if &**text == "default") {
        write!(f, "{namespace}/")?;
    }
    write!(f, "{name}")
}
