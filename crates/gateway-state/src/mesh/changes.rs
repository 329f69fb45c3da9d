//! How two snapshots differ, for whoever reports it.

use super::MeshSnapshot;
use std::{collections::HashSet, hash::Hash, sync::Arc};

/// Names of the one that the other does not have.
pub(crate) fn gone<'a>(one: &'a MeshSnapshot, other: &MeshSnapshot) -> Vec<&'a Arc<str>> {
    let known = |id: &Arc<str>| other.table.position(id).is_some();
    one.table.targets().iter().map(|target| &target.id).filter(|id| !known(id)).collect()
}

/// What is in the first list and not in the second.
pub(crate) fn new_ones<'a, T: Eq + Hash>(these: &'a [T], those: &'a [T]) -> Vec<&'a T> {
    let those: HashSet<&T> = those.iter().collect();
    these.iter().filter(|one| !those.contains(one)).collect()
}
