//! Answers of Consul -> snapshots of a mesh gateway, compiling only what an answer touched.
//!
//! Pure: answers go in as documents, in any order and each as often as it changes; [`build`] gives the
//! next snapshot if anything differs from the one before. Who asked what, when, and what failed is not
//! known here: what is not put in anew stays as it was.
//!
//! [`build`]: MeshAssembler::build

mod entries;
mod remote;
#[cfg(test)]
mod tests;

use super::{
    MeshIdentity, MeshSnapshot, MeshTable, OwnOptions, Rejected, SetPolicy, Target,
    compile::answers::{self, Base, Piece},
};
use crate::problem::Problem;
use catalog_client::health::HealthEntry;
use entries::{Entries, has_capitals};
use remote::Remotes;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

/// Problems in a snapshot, and warnings; the rest is counted.
const MAX_SHOWN: usize = 1000;

/// Everything that answers have said so far.
#[derive(Debug)]
pub(crate) struct MeshAssembler {
    /// The service name of this gateway: a `service-defaults` of that name sets its limits.
    own_service: Arc<str>,
    /// What every set starts from.
    policy: SetPolicy,
    /// `None` until the trust domain is known: until then nothing has a name.
    identity: Option<MeshIdentity>,
    own: OwnOptions,
    /// Whether the registration asks for one name of a gateway only.
    only_first_name: bool,
    entries: Entries,
    services: BTreeMap<Arc<str>, Service>,
    remotes: Remotes,
    /// Services to compile, or all.
    touched: Touched,
    snapshot: Arc<MeshSnapshot>,
}

#[derive(Debug, Default)]
struct Service {
    rows: Box<[HealthEntry]>,
    targets: Vec<Arc<Target>>,
    problems: Vec<String>,
}

#[derive(Debug, Default)]
struct Touched {
    all: bool,
    services: BTreeSet<Arc<str>>,
    remotes: bool,
    /// Something that is shown, but changes no target.
    shown: bool,
}

/// What one compilation came to.
#[derive(Debug, Default)]
struct Step {
    compiled: u64,
    /// Targets whose names were in the table already.
    changed: Vec<Arc<Target>>,
    /// Names came or went.
    names: bool,
    /// Problems may differ.
    problems: bool,
}

impl MeshAssembler {
    pub(crate) fn new(own_service: &str, policy: SetPolicy) -> Self {
        Self {
            own_service: own_service.into(),
            policy,
            identity: None,
            own: OwnOptions::default(),
            only_first_name: false,
            entries: Entries::default(),
            services: BTreeMap::new(),
            remotes: Remotes::default(),
            touched: Touched::default(),
            snapshot: Arc::new(MeshSnapshot::nothing()),
        }
    }

    /// The last snapshot that was built; the first knows nothing and has generation 0.
    pub(crate) fn snapshot(&self) -> &Arc<MeshSnapshot> {
        &self.snapshot
    }

    /// Who and where the gateway is. `None`: not known yet, or not any more; then the names that were
    /// known stay.
    pub(crate) fn set_identity(&mut self, identity: Option<MeshIdentity>) {
        if identity.is_some() && self.identity != identity {
            self.identity = identity;
            self.touched.all = true;
        }
    }

    /// What the gateway's registration says.
    pub(crate) fn set_own(&mut self, own: OwnOptions, only_first_name: bool) {
        if self.only_first_name != only_first_name {
            self.only_first_name = only_first_name;
            self.touched.remotes = true;
        }
        if self.own != own {
            self.own = own;
            self.touched.shown = true;
        }
    }

    /// A list of config entries from `endpoint`. Each endpoint's list stands for itself.
    pub(crate) fn set_entries(&mut self, endpoint: &str, body: &[u8]) {
        let changed = self.entries.set(endpoint, body, &self.own_service);
        self.touched.all |= changed.limits;
        self.touched.shown = true;
        let capitals = self.services.keys().filter(|name| has_capitals(name));
        let concerned = |name: &&Arc<str>| changed.services.contains(&*name.to_ascii_lowercase());
        self.touched.services.extend(capitals.filter(concerned).cloned());
        self.touched.services.extend(changed.services);
    }

    /// The mesh instances of a service of this datacenter; none: it has no name any more.
    pub(crate) fn set_service(&mut self, name: &Arc<str>, rows: Vec<HealthEntry>) {
        if rows.is_empty() && !self.services.contains_key(name) {
            return;
        }
        self.services.entry(name.clone()).or_default().rows = rows.into();
        self.touched.services.insert(name.clone());
    }

    /// Whether a service has mesh instances.
    pub(crate) fn has_service(&self, name: &str) -> bool {
        self.services.contains_key(name)
    }

    /// Whether a datacenter that has gateways has none in these.
    pub(crate) fn loses_datacenter(&self, states: &BTreeMap<Box<str>, Vec<HealthEntry>>) -> bool {
        self.remotes.lose(states)
    }

    /// Services with a row that is so.
    pub(crate) fn services_where(&self, is: impl Fn(&HealthEntry) -> bool) -> Vec<Arc<str>> {
        let some = self.services.iter().filter(|(_, service)| service.rows.iter().any(&is));
        some.map(|(name, _)| name.clone()).collect()
    }

    /// The gateways of all datacenters, as the federation states have them.
    pub(crate) fn set_federation_states(&mut self, gateways: BTreeMap<Box<str>, Vec<HealthEntry>>) {
        self.remotes.set_replicated(gateways);
        self.touched.remotes = true;
    }

    /// The gateways of one other datacenter, asked there.
    pub(crate) fn set_asked(&mut self, datacenter: &str, gateways: Vec<HealthEntry>) {
        self.remotes.set_asked(datacenter, gateways);
        self.touched.remotes = true;
    }

    /// Forgets what was asked in datacenters that are no more.
    pub(crate) fn keep_remotes(&mut self, datacenters: &BTreeSet<String>) {
        self.touched.remotes |= self.remotes.keep(datacenters);
    }

    /// Whether [`build`](Self::build) has something to do.
    pub(crate) fn is_touched(&self) -> bool {
        let Touched { all, services, remotes, shown } = &self.touched;
        *all || *remotes || *shown || !services.is_empty()
    }

    /// The next snapshot, if anything in it differs.
    pub(crate) fn build(&mut self) -> Option<Arc<MeshSnapshot>> {
        let touched = std::mem::take(&mut self.touched);
        let Some(identity) = self.identity.clone() else {
            // It is compiled once there is a trust domain to make names of.
            self.touched = Touched { all: true, ..Touched::default() };
            return None;
        };
        let before = self.snapshot.table.clone();
        let policy = self.entries.policy(&self.policy);
        let base = Base { own: &identity, before: &before, policy: &policy };
        let mut step = Step::default();
        self.compile_services(base, &touched, &mut step);
        if touched.all || touched.remotes {
            step.compiled += self.remotes.compile(base, self.only_first_name);
            step.names = true;
            step.problems = true;
        }
        let table = self.table(&before, &step);
        step.problems |= touched.shown;
        self.publish(identity, table, &step)
    }

    fn compile_services(&mut self, base: Base<'_>, touched: &Touched, step: &mut Step) {
        let entries = &self.entries;
        let mut compile = |name: &Arc<str>, service: &mut Service| {
            let piece = match entries.resolver(name) {
                Ok(resolver) => answers::service(base, name, &base.own.namespace, &service.rows, resolver),
                Err(problem) => Piece { problems: vec![problem], ..Piece::default() },
            };
            step.compiled += piece.compiled;
            step.problems |= service.problems != piece.problems;
            let ids = |targets: &[Arc<Target>]| targets.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
            if ids(&service.targets) == ids(&piece.targets) {
                step.changed.extend(piece.targets.iter().cloned());
            } else {
                step.names = true;
            }
            service.targets = piece.targets;
            service.problems = piece.problems;
        };
        if touched.all {
            self.services.iter_mut().for_each(|(name, service)| compile(name, service));
        } else {
            for name in &touched.services {
                // A resolver may be there for a service that is not.
                if let Some(service) = self.services.get_mut(name) {
                    compile(name, service);
                }
            }
        }
        let known = self.services.len();
        self.services.retain(|_, service| !service.rows.is_empty());
        // One of two names that differ in case only may have gone.
        step.problems |= self.services.len() != known || step.names;
    }

    /// Most changes are of endpoints: then the table keeps its names, and nothing is sorted.
    fn table(&self, before: &MeshTable, step: &Step) -> MeshTable {
        let same_names = (!step.names).then(|| before.with(step.changed.iter().cloned())).flatten();
        let table = same_names.unwrap_or_else(|| {
            let targets = self.services.values().flat_map(|service| &service.targets);
            MeshTable::after(before, targets.chain(self.remotes.targets()).cloned().collect())
        });
        if table.is_same(before) { before.clone() } else { table }
    }

    fn publish(&mut self, mesh: MeshIdentity, table: MeshTable, step: &Step) -> Option<Arc<MeshSnapshot>> {
        let old = &self.snapshot;
        let (rejected, warnings) = if step.problems {
            (self.entries.rejected(), self.warnings())
        } else {
            (old.rejected.clone(), old.warnings.clone())
        };
        let same = table.is_shared_with(&old.table)
            && mesh == old.mesh
            && self.own == old.own
            && rejected == old.rejected
            && warnings == old.warnings;
        // The first one says that there is something, if only an empty mesh.
        if same && old.generation > 0 {
            return None;
        }
        let (generation, compiled) = (old.generation + 1, step.compiled);
        let (own, files) = (self.own.clone(), Vec::new());
        self.snapshot =
            Arc::new(MeshSnapshot { generation, mesh, table, rejected, warnings, files, own, compiled });
        Some(self.snapshot.clone())
    }

    fn warnings(&self) -> Vec<Problem> {
        let of_services = self.services.iter().flat_map(|(name, service)| {
            service.problems.iter().map(move |message| of_answer(&format!("health/connect/{name}"), message))
        });
        let of_remotes = self.remotes.problems().map(|(endpoint, message)| of_answer(&endpoint, message));
        let of_entries = self.entries.warnings();
        of_entries.chain(of_services).chain(of_remotes).chain(self.same_names()).take(MAX_SHOWN).collect()
    }

    /// Services whose names differ in nothing but case have one name in the mesh, and one of them has it.
    fn same_names(&self) -> impl Iterator<Item = Problem> + '_ {
        // One of two has capitals, and capitals come first in the order of names.
        let mut seen: BTreeMap<String, &Arc<str>> = BTreeMap::new();
        self.services.keys().filter(|name| has_capitals(name)).filter_map(move |one| {
            let lower = one.to_ascii_lowercase();
            let twin = self.services.get_key_value(&*lower).map(|(name, _)| name);
            let other = twin.or_else(|| seen.get(&lower).copied());
            let problem = other.map(|other| {
                let message =
                    format!("differs from service {one:?} in nothing but case: only one is reachable");
                of_answer(&format!("health/connect/{other}"), &message)
            });
            seen.entry(lower).or_insert(one);
            problem
        })
    }
}

/// A problem of an answer; the endpoint stands in place of a file.
fn of_answer(endpoint: &str, message: &str) -> Problem {
    Problem {
        file: PathBuf::from(format!("/v1/{endpoint}")),
        line: None,
        path: String::new(),
        message: message.to_owned(),
        hint: None,
    }
}

fn bounded(mut rejected: Vec<Rejected>) -> Vec<Rejected> {
    let not_shown = rejected.len().saturating_sub(MAX_SHOWN);
    if not_shown > 0 {
        rejected.truncate(MAX_SHOWN);
        let problem = of_answer("config", &format!("{not_shown} more problems"));
        rejected.push(Rejected { document: String::new(), kept: true, problem });
    }
    rejected
}
