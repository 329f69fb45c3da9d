//! Documents, put in one by one -> snapshots of a terminating gateway, compiling only what they touch.
//!
//! Pure: documents go in, in any order and each as often as it changes; [`build`] gives the next snapshot if
//! anything differs from the one before. Who asked what, when, and what failed is not known here: what is not
//! put in anew stays as it was. Time is passed in.
//!
//! Put in first what all services need ([`set_mesh`], [`set_default_policy`], [`set_config`]), then links, then
//! what is known of each. Until a mesh is known there is no service.
//!
//! [`build`]: TerminatingAssembler::build
//! [`set_mesh`]: TerminatingAssembler::set_mesh
//! [`set_default_policy`]: TerminatingAssembler::set_default_policy
//! [`set_config`]: TerminatingAssembler::set_config

#[cfg(test)]
mod tests;

use super::{
    About, MeshIdentity, OwnOptions, Rejected, ServiceKey, SetPolicy, TerminatingOptions,
    TerminatingSnapshot, Trouble,
    compile::{self, Base},
    config::Config,
    contents::Contents,
    input::{LeafInput, LinkRow},
    slot::ServiceSlot,
    trouble::Weight,
    trust::{LOOK_EVERY, MeshSlot, TlsSlot},
};
use crate::{
    bytes::FileBytes,
    compile::{Member, NameMode},
    problem::Problem,
    snapshot::Head,
};
use intentions::{DefaultPolicy, Intention};
use mtls::UnixTime;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

/// Problems in a snapshot, and warnings; the rest is counted.
const MAX_SHOWN: usize = 1000;

/// Everything that documents have said so far. `M` is what an instance is: a row of a file, or of an answer.
#[derive(Debug)]
pub(crate) struct TerminatingAssembler<M> {
    /// What every set starts from.
    policy: SetPolicy,
    options: TerminatingOptions,
    mesh: MeshSlot,
    tls: TlsSlot,
    default_policy: DefaultPolicy,
    own: OwnOptions,
    names: NameMode,
    config: Config,
    services: BTreeMap<ServiceKey, ServiceSlot<M>>,
    touched: Touched,
    /// When time alone changes something.
    next_change: Option<UnixTime>,
    contents: Contents,
    /// Of the last compilation.
    troubles: Vec<Trouble>,
    notes: Notes,
    snapshot: Arc<TerminatingSnapshot>,
}

/// What else is to be shown: problems of answers that never came so far as to be put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) warnings: Vec<Problem>,
}

#[derive(Debug, Default)]
struct Touched {
    all: bool,
    services: BTreeSet<ServiceKey>,
    /// Services came or went.
    links: bool,
    mesh: bool,
    /// Something that is shown, but changes no service.
    shown: bool,
}

/// What a compilation came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step {
    /// The contents of the snapshot differ.
    pub(crate) changed: bool,
    /// Services that were compiled and are not as before.
    pub(crate) compiled: u64,
}

impl<M: Member> TerminatingAssembler<M> {
    /// One that knows nothing.
    pub(crate) fn new(policy: SetPolicy, options: TerminatingOptions) -> Self {
        Self {
            policy,
            options,
            mesh: MeshSlot::default(),
            tls: TlsSlot::default(),
            default_policy: DefaultPolicy::Deny,
            own: OwnOptions::default(),
            names: NameMode::default(),
            config: Config::default(),
            services: BTreeMap::new(),
            touched: Touched::default(),
            next_change: None,
            contents: Contents::default(),
            troubles: Vec::new(),
            notes: Notes::default(),
            snapshot: Arc::new(TerminatingSnapshot::nothing()),
        }
    }

    /// The last snapshot that [`build`](Self::build) gave; the first knows nothing and has generation 0.
    pub(crate) fn snapshot(&self) -> &Arc<TerminatingSnapshot> {
        &self.snapshot
    }

    /// Who and where the gateway is, and the roots of its trust domain (PEM texts, each with one certificate or
    /// more). They belong together: where the roots cannot be used, the mesh stays as it was.
    pub(crate) fn set_mesh(&mut self, identity: MeshIdentity, roots: Vec<FileBytes>) {
        self.touched.mesh |= self.mesh.set(identity, roots);
    }

    /// What holds where no intention decides. `Deny` until it is known.
    pub(crate) fn set_default_policy(&mut self, policy: DefaultPolicy) {
        if self.default_policy != policy {
            self.default_policy = policy;
            self.touch_rules();
        }
    }

    /// What the gateway's registration says.
    pub(crate) fn set_own(&mut self, own: OwnOptions, names: NameMode) {
        if self.names != names {
            self.names = names;
            self.touched.all = true;
        }
        if self.own != own {
            self.own = own;
            self.touched.shown = true;
        }
    }

    /// What config entries say: resolvers, defaults, the mesh entry.
    pub(crate) fn set_config(&mut self, config: Config) {
        let difference = config.difference(&self.config);
        self.config = config;
        self.touched.all |= difference.all;
        if self.tls.set(self.config.mesh.as_deref()) {
            self.touched.all = true;
        }
        for (namespace, name) in difference.services {
            // Nearly all are written in lower case, as here.
            let key = ServiceKey::new(&namespace, &name);
            if self.services.contains_key(&key) {
                self.touched.services.insert(key);
                continue;
            }
            let named = self.services.keys().filter(|key| {
                key.namespace.eq_ignore_ascii_case(&namespace) && key.name.eq_ignore_ascii_case(&name)
            });
            self.touched.services.extend(named.cloned());
        }
    }

    /// All linked services, none of them twice. What is known of one that stays linked is kept.
    pub(crate) fn set_links(&mut self, links: Vec<LinkRow>) {
        let mut before = std::mem::take(&mut self.services);
        let known = before.len();
        let mut seen: BTreeMap<(String, String), Arc<str>> = BTreeMap::new();
        let mut kept = 0;
        let mut links = links;
        links.sort_by(|a, b| a.key.cmp(&b.key));
        for link in links {
            let key = link.key.clone();
            let lower = (key.namespace.to_ascii_lowercase(), key.name.to_ascii_lowercase());
            let same_name = seen.get(&lower).cloned();
            seen.entry(lower).or_insert_with(|| key.name.clone());
            let mut slot = before.remove(&key).inspect(|_| kept += 1).unwrap_or_else(|| {
                self.touched.services.insert(key.clone());
                ServiceSlot::new(link.clone())
            });
            if slot.link != link || slot.same_name != same_name {
                slot.link = link;
                slot.same_name = same_name;
                self.touched.services.insert(key.clone());
            }
            self.services.insert(key, slot);
        }
        self.touched.links |= kept != known || self.services.len() != known;
    }

    /// The linked services, about each of which something has to be put in.
    pub(crate) fn links(&self) -> impl Iterator<Item = &LinkRow> {
        self.services.values().map(|slot| &slot.link)
    }

    /// Instances of a linked service, in Consul's order. None of any health: it is not ready.
    pub(crate) fn set_instances(&mut self, key: &ServiceKey, instances: Vec<M>) {
        if let Some(slot) = self.services.get_mut(key) {
            slot.instances = Some(instances.into());
            self.touched.services.insert(key.clone());
        }
    }

    /// Intentions of which the service is a destination, by name or by wildcard; others do no harm.
    pub(crate) fn set_intentions(&mut self, key: &ServiceKey, intentions: Vec<Arc<Intention>>) {
        let Some(slot) = self.services.get_mut(key) else { return };
        if slot.intentions.as_ref() != Some(&intentions) {
            slot.intentions = Some(intentions);
            slot.rules_are_old = true;
            self.touched.services.insert(key.clone());
        }
    }

    /// The certificate of a linked service.
    pub(crate) fn set_leaf(&mut self, key: &ServiceKey, leaf: LeafInput) {
        if let Some(slot) = self.services.get_mut(key)
            && slot.leaf.set(leaf)
        {
            self.touched.services.insert(key.clone());
        }
    }

    /// Something of a linked service is not known yet, so that it is not ready; `None`: all is known.
    pub(crate) fn set_waiting(&mut self, key: &ServiceKey, what: Option<Arc<str>>) {
        if let Some(slot) = self.services.get_mut(key)
            && slot.waiting != what
        {
            slot.waiting = what;
            self.touched.services.insert(key.clone());
        }
    }

    /// What is shown besides.
    pub(crate) fn set_notes(&mut self, notes: Notes) {
        if self.notes != notes {
            self.notes = notes;
            self.touched.shown = true;
        }
    }

    /// Whether [`build`](Self::build) has something to do.
    pub(crate) fn is_touched(&self, now: UnixTime) -> bool {
        let Touched { all, services, links, mesh, shown } = &self.touched;
        *all || *links || *mesh || *shown || !services.is_empty() || self.is_due(now)
    }

    /// When to build although nothing was put in: a certificate begins or ends. At most an hour away.
    pub(crate) fn next_change(&self) -> Option<UnixTime> {
        self.next_change
    }

    /// The mesh in use: not the one that was put in last, where the roots of that one cannot be used.
    pub(crate) fn identity(&self) -> Option<&MeshIdentity> {
        self.mesh.in_use().map(|mesh| &mesh.identity)
    }

    /// What is wrong, after [`compile`](Self::compile).
    pub(crate) fn troubles(&self) -> &[Trouble] {
        &self.troubles
    }

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

    fn touch_rules(&mut self) {
        self.touched.all = true;
        self.services.values_mut().for_each(|slot| slot.rules_are_old = true);
    }

    fn is_due(&self, now: UnixTime) -> bool {
        self.next_change.is_some_and(|at| at.as_secs() <= now.as_secs())
    }

    fn when(&self, now: UnixTime) -> Option<UnixTime> {
        self.mesh.in_use()?;
        let later = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs()) + LOOK_EVERY);
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
fn of_answer(about: &About, message: &str) -> Problem {
    Problem {
        file: PathBuf::from(format!("/v1/{}", about.endpoint())),
        line: None,
        path: String::new(),
        message: message.to_owned(),
        hint: None,
    }
}
