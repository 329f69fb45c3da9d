//! What was put in -> contents of a snapshot, and the snapshot.

use super::{TerminatingAssembler, Touched};
use crate::{
    compile::Member,
    problem::Problem,
    snapshot::{Head, Rejected},
    terminating::{
        About, TerminatingSnapshot, Trouble,
        compile::{self, Base},
        contents::Contents,
        slot::ServiceSlot,
        trouble::Weight,
        trust::LOOK_EVERY,
    },
};
use mtls::UnixTime;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Problems in a snapshot, and warnings; the rest is counted.
const MAX_SHOWN: usize = 1000;

/// What a compilation came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step {
    /// The contents of the snapshot differ.
    pub(crate) changed: bool,
    /// Services that were compiled and are not as before.
    pub(crate) compiled: u64,
}

impl<M: Member> TerminatingAssembler<M> {
    /// Compiles what was touched.
    pub(crate) fn compile(&mut self, now: UnixTime) -> Step {
        let due = self.is_due(now);
        let Touched { mut all, services, links, mesh, shown } = std::mem::take(&mut self.touched);
        let change = if mesh || due { self.mesh.refresh(now, due) } else { Default::default() };
        if change.identity {
            self.services.values_mut().for_each(|slot| slot.rules_are_old = true);
        }
        all |= due || change.identity || change.roots;
        let mut step = Step { changed: shown || change.identity, compiled: 0 };
        if let Some(mesh) = self.mesh.in_use() {
            let before = self.contents.clone();
            let policy = self.config.policy(&self.policy);
            let base = Base {
                mesh,
                tls: &self.tls,
                default_policy: self.default_policy,
                config: &self.config,
                policy: &policy,
                names: self.names,
                options: &self.options,
                before: &before,
                now,
            };
            let mut compile = |slot: &mut ServiceSlot<M>| {
                let piece = compile::service(base, slot);
                step.compiled += u64::from(piece.as_ref().is_some_and(|piece| piece.changed));
                slot.piece = piece;
            };
            if all {
                self.services.values_mut().for_each(&mut compile);
            } else {
                services.iter().for_each(|key| {
                    self.services.get_mut(key).map(&mut compile);
                });
            }
            let pieces = self.services.values().filter_map(|slot| slot.piece.as_ref());
            if all || links || !services.is_empty() {
                self.contents = Contents::after(&before, pieces);
            }
            self.contents.roots = Some(mesh.roots.clone());
            self.contents.tls = self.tls.in_use().clone();
            self.contents.default_policy = self.default_policy;
            step.changed |= !self.contents.is_same(&before);
        }
        self.collect_troubles();
        self.next_change = self.when(now);
        step
    }

    /// The next snapshot, if anything in it differs.
    pub(crate) fn build(&mut self, now: UnixTime) -> Option<Arc<TerminatingSnapshot>> {
        let step = self.compile(now);
        let identity = self.identity()?.clone();
        let mut rejected = self.notes.rejected.clone();
        let mut warnings = self.notes.warnings.clone();
        for trouble in &self.troubles {
            let problem = of_answer(&trouble.about, &trouble.message);
            match trouble.weight {
                Weight::Rejected { kept } => {
                    rejected.push(Rejected { document: trouble.about.document(), kept, problem });
                }
                Weight::NotAtStart | Weight::Warning => warnings.push(problem),
            }
        }
        let not_shown = rejected.len().saturating_sub(MAX_SHOWN);
        if not_shown > 0 {
            rejected.truncate(MAX_SHOWN);
            let problem = of_answer(&About::Roots, &format!("{not_shown} more problems"));
            rejected.push(Rejected { document: String::new(), kept: true, problem });
        }
        warnings.truncate(MAX_SHOWN);
        let old = &self.snapshot;
        let same = !step.changed && rejected == old.rejected && warnings == old.warnings;
        // The first one says that there is something, if only a mesh without services.
        if same && old.generation > 0 {
            return None;
        }
        self.snapshot = Arc::new(self.contents.snapshot(Head {
            generation: old.generation + 1,
            mesh: identity,
            rejected,
            warnings,
            files: Vec::new(),
            own: self.own.clone(),
            compiled: step.compiled,
        }));
        Some(self.snapshot.clone())
    }

    /// The contents that were compiled last, as a snapshot.
    pub(crate) fn snapshot_of(&self, head: Head) -> TerminatingSnapshot {
        self.contents.snapshot(head)
    }

    fn when(&self, now: UnixTime) -> Option<UnixTime> {
        self.mesh.in_use()?;
        let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + LOOK_EVERY);
        let of_services = self.services.values().filter_map(|slot| slot.leaf.next_change(now));
        of_services.chain(self.mesh.next_change(now)).chain([later]).min()
    }

    fn collect_troubles(&mut self) {
        let mut troubles = Vec::new();
        self.mesh.troubles(&mut troubles);
        self.tls.troubles(&mut troubles);
        for slot in self.services.values() {
            let key = &slot.link.key;
            if let Some(other) = &slot.same_name {
                let message =
                    format!("differs from service {other:?} in nothing but case: only one is reachable");
                troubles.push(Trouble::warning(About::Link(key.clone()), message));
            }
            match &slot.piece {
                Some(piece) => troubles.extend(piece.troubles.iter().cloned()),
                None if self.mesh.in_use().is_some() => {
                    let message = "its name is none that a certificate could bear; the link is ignored";
                    troubles.push(Trouble::rejected(About::Link(key.clone()), false, message));
                }
                None => {}
            }
        }
        self.troubles = troubles;
    }
}

/// A problem of an answer; the endpoint stands in place of a file.
pub(super) fn of_answer(about: &About, message: &str) -> Problem {
    Problem {
        file: PathBuf::from(format!("/v1/{}", about.endpoint())),
        line: None,
        path: String::new(),
        message: message.to_owned(),
        hint: None,
    }
}
