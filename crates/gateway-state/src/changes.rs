//! How two snapshots differ, for whoever reports it.

use crate::snapshot::Snapshot;
use std::{collections::HashSet, hash::Hash, sync::Arc};

/// Names of the one that the other does not have.
pub(crate) fn gone<'a>(one: &'a impl Snapshot, other: &impl Snapshot) -> Vec<&'a Arc<str>> {
    let known = |id: &Arc<str>| other.position(id).is_some();
    one.targets().iter().map(|target| &target.id).filter(|id| !known(id)).collect()
}

/// What is in the first list and not in the second.
pub(crate) fn new_ones<'a, T: Eq + Hash>(these: &'a [T], those: &'a [T]) -> Vec<&'a T> {
    let those: HashSet<&T> = those.iter().collect();
    these.iter().filter(|one| !those.contains(one)).collect()
}
