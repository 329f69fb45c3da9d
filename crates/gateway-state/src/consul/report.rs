//! Says what changed: names and problems, each once. Endpoints come and go too often for the log.

use super::role::{ConsulRole, NameChanges, Part};
use crate::{changes, snapshot::Snapshot};

/// Lines of one kind for one change.
const MAX_LINES: usize = 20;

/// Logs the step from one snapshot to the next. True if a new problem came up.
pub(super) fn change<R: ConsulRole>(before: &R::Snapshot, after: &R::Snapshot) -> bool {
    let (mesh_before, mesh) = (before.mesh(), after.mesh());
    if mesh_before != mesh && before.generation() > 0 {
        tracing::warn!(
            datacenter_before = &*mesh_before.datacenter,
            datacenter = &*mesh.datacenter,
            trust_domain_before = &*mesh_before.trust_domain,
            trust_domain = &*mesh.trust_domain,
            "the mesh is another one: the names of all services are other ones now"
        );
    }
    let NameChanges { total: names, come, gone } = R::Part::names(before, after);
    if let Some(first) = gone.first() {
        tracing::info!(count = gone.len(), first = &**first, "names are gone");
    }
    let (generation, compiled, gone) = (after.generation(), after.compiled(), gone.len());
    if come + gone > 0 || before.generation() == 0 {
        tracing::info!(
            generation,
            names,
            names_added = come,
            names_removed = gone,
            compiled,
            "read from Consul"
        );
    } else {
        tracing::debug!(generation, names, compiled, "read from Consul");
    }
    let new = changes::new_ones(after.rejected(), before.rejected());
    for rejected in new.iter().take(MAX_LINES) {
        let (document, kept) = (&*rejected.document, rejected.kept);
        tracing::warn!(document, kept, problem = %rejected.problem, "an answer of Consul cannot be used");
    }
    if new.len() > MAX_LINES {
        tracing::warn!(more = new.len() - MAX_LINES, "answers that cannot be used, see the snapshot for all");
    }
    for rejected in changes::new_ones(before.rejected(), after.rejected()).into_iter().take(MAX_LINES) {
        tracing::info!(document = &*rejected.document, problem = %rejected.problem, "this problem is over");
    }
    for warning in changes::new_ones(after.warnings(), before.warnings()).into_iter().take(MAX_LINES) {
        tracing::warn!(problem = %warning, "doubtful answer of Consul");
    }
    !new.is_empty()
}
