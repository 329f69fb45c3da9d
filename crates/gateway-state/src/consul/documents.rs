//! The documents that a gateway reads of a Consul, besides rows of the health API, and the queries for
//! those that no type of `catalog-client` fits.

use bytes::Bytes;
use catalog_client::query::{Blocking, ConfigEntry, ConfigList, Query};
use serde::{Deserialize, de::IgnoredAny};

/// What names are made of; the certificates themselves are nothing to a gateway that ends no TLS.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Roots {
    trust_domain: String,
    roots: Option<Vec<IgnoredAny>>,
}

impl Roots {
    /// The trust domain. A secondary datacenter that has not reached its primary has no root, and a
    /// made-up trust domain for the time being: that one is nobody's.
    pub(super) fn trust_domain(&self) -> Option<&str> {
        let known = self.roots.as_ref().is_some_and(|roots| !roots.is_empty());
        Some(&*self.trust_domain).filter(|domain| known && !domain.is_empty())
    }
}

/// Config entries, not taken apart: whoever decides on them has a decoder that knows the place of each
/// value.
#[derive(Clone, Debug)]
pub(super) enum Entries {
    /// All kinds at once, or one.
    List(ConfigList<IgnoredAny>),
    /// One entry alone, for a token that may read no more.
    One(ConfigEntry<IgnoredAny>),
}

impl Entries {
    pub(super) fn of_all_kinds() -> Self {
        Self::List(ConfigList::all())
    }

    pub(super) fn of_kind(kind: &str) -> Self {
        Self::List(ConfigList::of(kind))
    }

    pub(super) fn one(kind: &str, name: &str) -> Self {
        Self::One(ConfigEntry::new(kind, name))
    }
}

impl Query for Entries {
    /// A JSON list of entries.
    type Document = Bytes;

    fn endpoint(&self) -> &'static str {
        match self {
            Self::List(list) => list.endpoint(),
            Self::One(one) => one.endpoint(),
        }
    }

    fn path(&self) -> String {
        match self {
            Self::List(list) => list.path(),
            Self::One(one) => one.path(),
        }
    }

    fn blocking(&self) -> Blocking {
        Blocking::Index
    }

    fn may_be_absent(&self) -> bool {
        matches!(self, Self::One(_))
    }

    fn large(&self) -> bool {
        matches!(self, Self::List(_))
    }

    fn rule(&self) -> String {
        match self {
            Self::List(list) => list.rule(),
            Self::One(one) => one.rule(),
        }
    }

    fn decode(&self, body: &Bytes) -> Result<Bytes, String> {
        match self {
            // Whether it is a list of objects; the rest is the decoder's.
            Self::List(list) => match list.decode(body)?.len() {
                0 => Ok(Bytes::from_static(b"[]")),
                _ => Ok(body.clone()),
            },
            Self::One(one) => {
                one.decode(body)?;
                Ok([b"[", &**body, b"]"].concat().into())
            }
        }
    }
}
