//! What a mesh gateway asks of a Consul, and what it makes of the answers.

mod answers;
mod asking;
mod doubt;
mod names;

use super::{
    documents::Roots,
    driver::Core,
    own,
    readiness::Question,
    role::{ConsulRole, NameChanges, Part},
    state::Traffic,
};
use crate::{
    changes,
    mesh::{MeshAssembler, MeshIdentity, MeshRole, MeshSnapshot},
};
use bytes::Bytes;
use catalog_client::{
    health::{HealthEntry, Interner, Pairs},
    planner::{FamilyId, WatchId},
    query::CriticalCheck,
    registration::DnsDiscovery,
    watch::Update,
};
use doubt::Doubt;
use names::Names;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// An answer, or that there is none.
#[derive(Debug)]
pub enum Answer {
    Roots(Update<Roots>),
    /// Of this list.
    Entries(&'static str, Update<Bytes>),
    Names(Update<Pairs<Box<[Box<str>]>>>),
    Critical(Update<Vec<CriticalCheck>>),
    FederationStates(Update<BTreeMap<Box<str>, Vec<HealthEntry>>>),
    Datacenters(Update<Vec<Box<str>>>),
    /// The gateways of another datacenter, asked there.
    Asked(Arc<str>, Update<Vec<HealthEntry>>),
    /// The mesh instances of a service.
    Service(Arc<str>, Update<Vec<HealthEntry>>),
}

/// What a mesh gateway knows of its Consul.
pub struct Mesh {
    services: FamilyId,
    assembler: MeshAssembler,
    names: Names,
    interner: Interner,
    critical: HashSet<CriticalCheck>,
    doubt: Doubt,
    /// Consul's own servers were among the services.
    saw_servers: bool,
    /// They were not, and it was said.
    blind_from_start: bool,
    /// They are no longer: the token sees nothing.
    blind: bool,
    /// Watches of the gateways of other datacenters.
    asked: BTreeMap<Arc<str>, WatchId>,
    /// The watch of config entries of all kinds, while there is one.
    entries: Option<WatchId>,
    datacenters: Vec<Box<str>>,
}

impl ConsulRole for MeshRole {
    type Part = Mesh;

    fn nothing() -> MeshSnapshot {
        MeshSnapshot::nothing()
    }
}

impl Part<MeshRole> for Mesh {
    type Answer = Answer;

    const QUESTIONS: &'static [Question] =
        &[Question::Own, Question::Roots, Question::Entries, Question::Names, Question::FederationStates];

    fn new(core: &Core<Answer>, (): ()) -> Self {
        Self {
            services: asking::family(&core.planner),
            assembler: MeshAssembler::new(&core.config.service, core.config.policy.clone()),
            names: Names::new(&core.config.service),
            interner: Interner::default(),
            critical: HashSet::new(),
            doubt: Doubt::default(),
            saw_servers: false,
            blind_from_start: false,
            blind: false,
            asked: BTreeMap::new(),
            entries: None,
            datacenters: Vec::new(),
        }
    }

    fn start(&mut self, core: &mut Core<Answer>) {
        self.ask(core);
    }

    fn take(&mut self, core: &mut Core<Answer>, answer: Answer) {
        self.answer(core, answer);
    }

    fn learned(&mut self, core: &mut Core<Answer>) {
        self.follow_datacenters(core);
    }

    fn set_own(&mut self, read: own::Read) {
        // Consul's own default; of a row of the catalog it is not known, and then all names count.
        let only_first = read.is_of_agent && read.dns_discovery != Some(DnsDiscovery::Strict);
        self.assembler.set_own(read.options, only_first);
    }

    fn set_identity(&mut self, identity: Option<MeshIdentity>) {
        self.assembler.set_identity(identity);
    }

    fn let_go(&mut self, core: &mut Core<Answer>, _granted: &BTreeSet<Arc<str>>) {
        self.settle_doubt(core);
    }

    fn held_back(&self) -> usize {
        self.doubt.services.len()
    }

    fn traffic(&mut self, core: &mut Core<Answer>, Traffic { used, failing }: Traffic) {
        for name in failing {
            core.planner.read_now(self.services, &name);
        }
        if !used.is_empty() {
            core.planner.hot(self.services, used);
        }
    }

    fn waiting(&self) -> usize {
        self.names.waiting()
    }

    fn snapshot(&self) -> &Arc<MeshSnapshot> {
        self.assembler.snapshot()
    }

    fn is_touched(&self) -> bool {
        self.assembler.is_touched()
    }

    fn build(&mut self) -> Option<Arc<MeshSnapshot>> {
        self.assembler.build()
    }

    fn names(before: &MeshSnapshot, after: &MeshSnapshot) -> NameChanges {
        let total = after.table.targets().len();
        if after.table.has_names_of(&before.table) {
            return NameChanges { total, ..NameChanges::default() };
        }
        let (come, gone) = (changes::gone(after, before).len(), changes::gone(before, after));
        NameChanges { total, come, gone: gone.into_iter().cloned().collect() }
    }
}
