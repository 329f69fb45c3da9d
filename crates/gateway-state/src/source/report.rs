//! Says what changed: each thing once, in one line, and in figures.

use super::SourceStatus;
use crate::{
    changes::{gone, new_ones},
    snapshot::Snapshot,
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Lines of one kind for one change.
const MAX_LINES: usize = 50;

/// The figures, written by the source and read by whoever holds a handle.
#[derive(Debug, Default)]
pub(super) struct Counters {
    generation: AtomicU64,
    reloads_ok: AtomicU64,
    reloads_failed: AtomicU64,
    compiled_total: AtomicU64,
    rejected: AtomicU64,
}

impl Counters {
    /// The first state, which is no change.
    pub(super) fn started(&self, snapshot: &impl Snapshot) {
        self.generation.store(snapshot.generation(), Relaxed);
        self.compiled_total.fetch_add(snapshot.compiled(), Relaxed);
    }

    pub(super) fn applied(&self, snapshot: &impl Snapshot, ok: bool) {
        self.generation.store(snapshot.generation(), Relaxed);
        self.compiled_total.fetch_add(snapshot.compiled(), Relaxed);
        self.rejected.store(snapshot.rejected().len() as u64, Relaxed);
        let counter = if ok { &self.reloads_ok } else { &self.reloads_failed };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn status(&self) -> SourceStatus {
        SourceStatus {
            generation: self.generation.load(Relaxed),
            reloads_ok: self.reloads_ok.load(Relaxed),
            reloads_failed: self.reloads_failed.load(Relaxed),
            compiled_total: self.compiled_total.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
        }
    }
}

/// Logs the step from one snapshot to the next. True if nothing new went wrong.
pub(super) fn change(before: &impl Snapshot, after: &impl Snapshot, files_read: usize) -> bool {
    if before.mesh() != after.mesh() {
        let (before, after) = (before.mesh(), after.mesh());
        tracing::warn!(
            datacenter_before = &*before.datacenter,
            datacenter = &*after.datacenter,
            trust_domain_before = &*before.trust_domain,
            trust_domain = &*after.trust_domain,
            "[Mesh] has changed: the names of all services are other ones now"
        );
    }
    let (gone, come) = (gone(before, after), gone(after, before));
    tracing::info!(
        generation = after.generation(),
        files_read,
        files = after.files().len(),
        names = after.targets().len(),
        names_added = come.len(),
        names_removed = gone.len(),
        compiled = after.compiled(),
        rejected = after.rejected().len(),
        "catalog read"
    );
    if let Some(first) = gone.first() {
        tracing::info!(count = gone.len(), first = &***first, "names are gone");
    }
    let new = new_ones(after.rejected(), before.rejected());
    for rejected in new.iter().take(MAX_LINES) {
        let document = &*rejected.document;
        let kept = rejected.kept;
        tracing::warn!(document, kept, problem = %rejected.problem, "catalog problem");
    }
    if new.len() > MAX_LINES {
        tracing::warn!(more = new.len() - MAX_LINES, "catalog problems, see the snapshot for all");
    }
    for rejected in new_ones(before.rejected(), after.rejected()).into_iter().take(MAX_LINES) {
        tracing::info!(document = &*rejected.document, problem = %rejected.problem, "catalog problem is over");
    }
    for warning in new_ones(after.warnings(), before.warnings()).into_iter().take(MAX_LINES) {
        tracing::warn!(problem = %warning, "catalog warning");
    }
    new.is_empty()
}
