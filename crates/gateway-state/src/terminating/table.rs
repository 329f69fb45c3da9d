//! The SNI table: whole names, compared in lower case; no wildcard, no fallback.

use super::{LinkedService, NotReady, Rule, Target};
use std::{collections::HashMap, sync::Arc};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkedName {
    /// Position in [`TerminatingSnapshot::services`](super::TerminatingSnapshot::services).
    pub service: usize,
    /// Position in [`TerminatingSnapshot::targets`](super::TerminatingSnapshot::targets); `None` while the
    /// service is not ready.
    pub target: Option<usize>,
    /// `service`, `subset` or `destination`.
    pub rule: Rule,
}

/// All names that clients may ask for. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub struct SniTable {
    names: Arc<HashMap<Arc<str>, LinkedName>>,
}

/// What [`TerminatingSnapshot::lookup`](super::TerminatingSnapshot::lookup) found.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// A service that is ready.
    Found(Linked<'a>),
    /// A linked service that accepts nothing now.
    NotReady {
        /// Which one.
        service: &'a Arc<LinkedService>,
        /// Why.
        why: &'a NotReady,
    },
    /// No linked service has this name.
    Unknown,
}

/// Where a name leads. Only a lookup makes one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Linked<'a> {
    /// The name as the table has it.
    pub name: &'a Arc<str>,
    /// What put it there.
    pub rule: Rule,
    /// The service.
    pub service: &'a Arc<LinkedService>,
    /// Its instances, all or those of a subset; or one address of a destination.
    pub target: &'a Arc<Target>,
    /// Position in [`TerminatingSnapshot::targets`](super::TerminatingSnapshot::targets).
    pub index: usize,
}

impl SniTable {
    /// Each name with what it stands for, in no order.
    pub fn names(&self) -> impl Iterator<Item = (&Arc<str>, LinkedName)> {
        self.names.iter().map(|(name, linked)| (name, *linked))
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn new(names: HashMap<Arc<str>, LinkedName>) -> Self {
        Self { names: Arc::new(names) }
    }

    pub(super) fn get(&self, name: &str) -> Option<LinkedName> {
        self.names.get(name).copied()
    }

    /// Whether both are one table.
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
    }

    pub(super) fn lookup<'a>(
        &'a self,
        sni_lowercase: &str,
        services: &'a [Arc<LinkedService>],
        targets: &'a [Arc<Target>],
    ) -> Lookup<'a> {
        let Some((name, linked)) = self.names.get_key_value(sni_lowercase) else { return Lookup::Unknown };
        let Some(service) = services.get(linked.service) else { return Lookup::Unknown };
        if let Some(why) = &service.not_ready {
            return Lookup::NotReady { service, why };
        }
        match linked.target.and_then(|index| Some((index, targets.get(index)?))) {
            Some((index, target)) => {
                Lookup::Found(Linked { name, rule: linked.rule, service, target, index })
            }
            None => Lookup::Unknown,
        }
    }
}
