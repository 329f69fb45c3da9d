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

mod build;
#[cfg(test)]
mod tests;

use super::{
    MeshIdentity, OwnOptions, Rejected, ServiceKey, SetPolicy, TerminatingOptions, TerminatingSnapshot,
    Trouble,
    config::Config,
    contents::Contents,
    input::{LeafInput, LinkRow},
    slot::ServiceSlot,
    trust::{MeshSlot, TlsSlot},
};
use crate::{
    bytes::FileBytes,
    compile::{Member, NameMode},
    problem::Problem,
};
use intentions::{DefaultPolicy, Intention};
use mtls::UnixTime;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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
        if difference.services.is_empty() {
            return;
        }
        // Entries are found in any case, so that one may be of two services.
        let concerned = |key: &&ServiceKey| {
            let lower = (key.namespace.to_ascii_lowercase(), key.name.to_ascii_lowercase());
            difference.services.contains(&lower)
        };
        self.touched.services.extend(self.services.keys().filter(concerned).cloned());
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

    fn touch_rules(&mut self) {
        self.touched.all = true;
        self.services.values_mut().for_each(|slot| slot.rules_are_old = true);
    }

    fn is_due(&self, now: UnixTime) -> bool {
        self.next_change.is_some_and(|at| at.as_secs() <= now.as_secs())
    }
}
