//! The name table: exact names first, then the longest `*.suffix`, else nothing.
//!
//! One hash lookup for an exact name; one more per label for a wildcard, and none of those when the
//! table has no wildcard. Each name leads to exactly one target, whose id the name is.

use super::{Rule, Target};
use std::{borrow::Borrow, collections::HashMap, hash::Hash, sync::Arc};

/// Most names that [`MeshTable::near`] looks at.
pub const NEAR_NAMES: usize = 20_000;

/// What [`MeshTable::lookup`] found. Only a lookup makes one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Matched<'a> {
    /// The name in the table, with its `*.` if it has one.
    pub name: &'a Arc<str>,
    /// What put it there.
    pub rule: Rule,
    /// Position in [`MeshTable::targets`].
    pub index: usize,
    /// What is behind it.
    pub target: &'a Arc<Target>,
}

/// All names a gateway routes. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub struct MeshTable {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    targets: Vec<Arc<Target>>,
    /// Shared by tables that have the same names.
    names: Arc<Names>,
}

/// Where the target of a name stands.
#[derive(Debug, Default)]
struct Names {
    exact: HashMap<Arc<str>, u32>,
    wild: HashMap<Wildcard, u32>,
}

/// A wildcard name, hashed and compared without its `*.`.
#[derive(Clone, Debug)]
struct Wildcard(Arc<str>);

impl Borrow<str> for Wildcard {
    fn borrow(&self) -> &str {
        self.0.strip_prefix("*.").unwrap_or(&self.0)
    }
}

impl PartialEq for Wildcard {
    fn eq(&self, other: &Self) -> bool {
        Borrow::<str>::borrow(self) == Borrow::<str>::borrow(other)
    }
}

impl Eq for Wildcard {}

impl Hash for Wildcard {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Borrow::<str>::borrow(self).hash(state);
    }
}

impl MeshTable {
    /// A table of these targets, each under its own id. Of two with the same id the first stays.
    #[must_use]
    pub fn new(targets: Vec<Arc<Target>>) -> Self {
        Self::after(&Self::default(), targets)
    }

    /// As [`new`](Self::new), sharing what it can with the table before.
    pub(crate) fn after(before: &Self, mut targets: Vec<Arc<Target>>) -> Self {
        targets.sort_by(|a, b| a.id.cmp(&b.id));
        targets.dedup_by(|later, earlier| later.id == earlier.id);
        targets.shrink_to_fit();
        let same_name = |(a, b): (&Arc<Target>, &Arc<Target>)| Arc::ptr_eq(a, b) || a.id == b.id;
        let same =
            before.targets().len() == targets.len() && before.targets().iter().zip(&targets).all(same_name);
        let names = if same { Arc::clone(&before.inner.names) } else { Arc::new(Names::of(&targets)) };
        Self { inner: Arc::new(Inner { targets, names }) }
    }

    /// This table with other targets in place of those of the same ids. `None` if it has no such id:
    /// then the names differ, and it has to be made anew.
    pub(crate) fn with(&self, changed: impl IntoIterator<Item = Arc<Target>>) -> Option<Self> {
        let mut targets = self.targets().to_vec();
        for target in changed {
            let position = self.position(&target.id)?;
            *targets.get_mut(position)? = target;
        }
        let names = Arc::clone(&self.inner.names);
        Some(Self { inner: Arc::new(Inner { targets, names }) })
    }

    /// What a name leads to: the exact name, else the longest wildcard that it ends with. `*.x`
    /// stands for one or more labels in front of `x`, never for `x` itself.
    ///
    /// The name must be lower-cased already; one that is not matches nothing.
    #[must_use]
    pub fn lookup(&self, sni_lowercase: &str) -> Option<Matched<'_>> {
        let inner = &*self.inner;
        if let Some((name, &index)) = inner.names.exact.get_key_value(sni_lowercase) {
            return self.matched(name, index);
        }
        if inner.names.wild.is_empty() {
            return None;
        }
        let mut rest = sni_lowercase;
        while let Some((label, suffix)) = rest.split_once('.') {
            // An empty label is no label: ".x" has nothing in front of "x".
            if let Some((name, &index)) = inner.names.wild.get_key_value(suffix)
                && !label.is_empty()
            {
                return self.matched(&name.0, index);
            }
            rest = suffix;
        }
        None
    }

    /// Whether both have the same names, whatever is behind them. Quick; may say no of equal tables that
    /// have nothing to do with each other.
    #[must_use]
    pub fn has_names_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner.names, &other.inner.names)
    }

    /// Whether both have the same targets, allocation by allocation.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let (a, b) = (self.targets(), other.targets());
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// Whether both are one table.
    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Where the target of exactly this id stands, wildcards included.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        let names = &self.inner.names;
        let index = match id.strip_prefix("*.") {
            Some(suffix) => names.wild.get(suffix),
            None => names.exact.get(id),
        };
        index.map(|index| *index as usize)
    }

    /// All targets, sorted by id; equal ones of two generations are the same `Arc`.
    #[must_use]
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.inner.targets
    }

    /// Each name of the table with the rule it comes from and the position of its target.
    pub fn names(&self) -> impl Iterator<Item = (&Arc<str>, Rule, usize)> {
        self.inner.targets.iter().enumerate().map(|(index, target)| (&target.id, target.rule, index))
    }

    /// Up to `n` names that differ little from one that is not in the table, the nearest first. For
    /// people: it looks at no more than [`NEAR_NAMES`] names, and at those only where they differ.
    #[must_use]
    pub fn near(&self, sni: &str, n: usize) -> Vec<String> {
        let sni = sni.to_ascii_lowercase();
        let names = self.inner.targets.iter().take(NEAR_NAMES).map(|target| &target.id);
        let mut near: Vec<(usize, &Arc<str>)> =
            names.filter_map(|name| Some((difference(&sni, name)?, name))).collect();
        near.sort();
        near.into_iter().take(n).map(|(_, name)| name.as_ref().to_owned()).collect()
    }

    fn matched<'a>(&'a self, name: &'a Arc<str>, index: u32) -> Option<Matched<'a>> {
        let target = self.inner.targets.get(index as usize)?;
        Some(Matched { name, rule: target.rule, index: index as usize, target })
    }
}

impl Names {
    fn of(targets: &[Arc<Target>]) -> Self {
        let wildcards = targets.iter().filter(|target| target.id.starts_with("*.")).count();
        let mut exact = HashMap::with_capacity(targets.len() - wildcards);
        let mut wild = HashMap::with_capacity(wildcards);
        for (index, target) in (0u32..).zip(targets) {
            if target.id.starts_with("*.") {
                wild.insert(Wildcard(target.id.clone()), index);
            } else {
                exact.insert(target.id.clone(), index);
            }
        }
        Self { exact, wild }
    }
}

/// How many letters differ, if they are few and close to each other.
pub(crate) fn difference(a: &str, b: &str) -> Option<usize> {
    const FEW: usize = 4;
    const CLOSE: usize = 24;
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let front = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (a.get(front..)?, b.get(front..)?);
    let back = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (a.get(..a.len() - back)?, b.get(..b.len() - back)?);
    if a.len().max(b.len()) > CLOSE || a.len().abs_diff(b.len()) > FEW {
        return None;
    }
    let distance = strsim::generic_damerau_levenshtein(a, b);
    (distance <= FEW).then_some(distance)
}
