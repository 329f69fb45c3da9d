//! What a terminating gateway asks of a Consul, and what it makes of the answers.

mod answers;
mod asking;
mod files;
mod leaves;
mod links;
mod policy;
mod written;

pub use leaves::LeafConfig;

use super::{
    driver::Core,
    own,
    readiness::Question,
    role::{ConsulRole, NameChanges, Part},
    state::Traffic,
};
use crate::{
    bytes::FileBytes,
    changes,
    entry_lists::EntryLists,
    snapshot::MeshIdentity,
    terminating::{
        Config, KINDS, LeafState, NameMode, Notes, ServiceKey, TerminatingAssembler, TerminatingOptions,
        TerminatingRole, TerminatingSnapshot,
    },
};
use asking::Families;
use bytes::Bytes;
use catalog_client::{
    health::{HealthEntry, Interner, Pairs},
    planner::WatchId,
    query::{CriticalCheck, GatewayService},
    registration::DnsDiscovery,
    watch::Update,
};
use files::Files;
use intentions::Row;
use leaves::Leaves;
use links::Links;
use mesh_id::Namespace;
use mtls::{LeafDocument, RootsDocument, UnixTime};
use policy::Policy;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Instant,
};
use written::Written;

/// An answer, or that there is none.
#[derive(Debug)]
pub enum Answer {
    Roots(Update<RootsDocument>),
    Links(Update<Vec<GatewayService>>),
    /// Of this list.
    Entries(&'static str, Update<Bytes>),
    /// All names of the catalog: only that something was registered.
    Names(Update<Pairs<Box<[Box<str>]>>>),
    Critical(Update<Vec<CriticalCheck>>),
    /// All intentions, before 1.9: only which were written.
    OldIntentions(Update<Vec<Value>>),
    /// The instances of a linked service.
    Instances(Arc<str>, Update<Vec<HealthEntry>>),
    /// Its intentions, under its name.
    Intentions(Arc<str>, Update<BTreeMap<Box<str>, Vec<Row>>>),
    /// Its certificate.
    Leaf(Arc<str>, Update<LeafDocument>),
}

/// What has been answered about a linked service, or will not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Service {
    is_destination: bool,
    instances: bool,
    intentions: bool,
    leaf: bool,
    has_instances: bool,
    has_leaf: bool,
    /// Why its instances, and its intentions, cannot be read, where they never could.
    unread: [Option<Arc<str>>; 2],
}

/// The places in [`Service::unread`].
const INSTANCES: usize = 0;
const INTENTIONS: usize = 1;

impl Service {
    fn waits(&self) -> bool {
        !(self.leaf && self.intentions && (self.instances || self.is_destination))
    }
}

/// What a terminating gateway knows of its Consul.
pub struct Terminating {
    assembler: TerminatingAssembler<HealthEntry>,
    /// The gateway's own name, namespace and partition.
    service: Box<str>,
    namespace: Box<str>,
    partition: Box<str>,
    identity: Option<MeshIdentity>,
    roots: Option<Vec<FileBytes>>,
    lists: EntryLists,
    files: Files,
    families: Families,
    services: BTreeMap<Arc<str>, Service>,
    links: Links,
    leaves: Leaves,
    /// Long polls of leaves.
    held: BTreeMap<Arc<str>, WatchId>,
    policy: Policy,
    written: Written,
    interner: Interner,
    critical: HashSet<CriticalCheck>,
    /// Nodes that the instances of a service are on.
    nodes: BTreeMap<Arc<str>, BTreeSet<Box<str>>>,
    /// Services that have lost their last instance, until it is clear that the token sees nodes.
    doubt: BTreeSet<Arc<str>>,
    /// The watch of config entries of all kinds, while there is one.
    entries: Option<WatchId>,
    /// Lists of one kind that have come.
    came: BTreeSet<&'static str>,
    old_intentions: Option<WatchId>,
}

impl ConsulRole for TerminatingRole {
    type Part = Terminating;

    fn nothing() -> TerminatingSnapshot {
        TerminatingSnapshot::nothing()
    }
}

impl Part<TerminatingRole> for Terminating {
    type Answer = Answer;

    const QUESTIONS: &'static [Question] =
        &[Question::Own, Question::Roots, Question::Links, Question::Entries];
    const SEES_ITSELF: bool = true;

    fn new(core: &Core<Answer>, options: TerminatingOptions) -> Self {
        let config = &core.config;
        let lower = |text: Option<&str>| text.unwrap_or(Namespace::DEFAULT).to_ascii_lowercase().into();
        let namespace: Box<str> = lower(config.namespace.as_deref());
        Self {
            assembler: TerminatingAssembler::new(config.policy.clone(), options),
            service: config.service.as_str().into(),
            partition: lower(config.partition.as_deref()),
            identity: None,
            roots: None,
            lists: EntryLists::new(KINDS),
            files: Files::default(),
            families: Families::new(core),
            services: BTreeMap::new(),
            links: Links::new(&config.service, &namespace),
            namespace,
            leaves: Leaves::new(config.leaves.clone()),
            held: BTreeMap::new(),
            policy: Policy::new(config.default_policy),
            written: Written::default(),
            interner: Interner::default(),
            critical: HashSet::new(),
            nodes: BTreeMap::new(),
            doubt: BTreeSet::new(),
            entries: None,
            came: BTreeSet::new(),
            old_intentions: None,
        }
    }

    fn start(&mut self, core: &mut Core<Answer>) {
        self.ask(core);
    }

    fn take(&mut self, core: &mut Core<Answer>, answer: Answer) {
        self.answer(core, answer);
    }

    fn learned(&mut self, core: &mut Core<Answer>) {
        if let Some(agent) = &core.known.used().agent {
            self.policy.agent(&agent.info);
        }
        self.follow_old_intentions(core);
    }

    fn set_own(&mut self, read: own::Read) {
        let names = match read.dns_discovery {
            None => NameMode::All,
            Some(DnsDiscovery::Logical) => NameMode::LogicalDns,
            Some(DnsDiscovery::Strict) => NameMode::StrictDns,
        };
        self.assembler.set_own(read.options, names);
    }

    fn set_identity(&mut self, identity: Option<MeshIdentity>) {
        if identity.is_some() && self.identity != identity {
            self.identity = identity;
            self.put_mesh();
        }
    }

    fn doubted(&self) -> Vec<Arc<str>> {
        self.doubt.iter().chain(self.links.lost()).cloned().collect()
    }

    fn let_go(&mut self, core: &mut Core<Answer>, granted: &BTreeSet<Arc<str>>) {
        for name in granted {
            if self.doubt.remove(name) {
                self.take_rows(name, Vec::new());
            }
        }
        if self.links.let_go(granted) {
            self.link(core);
        }
    }

    fn held_back(&self) -> usize {
        self.doubt.len()
    }

    fn traffic(&mut self, core: &mut Core<Answer>, Traffic { used, failing }: Traffic) {
        for name in failing {
            core.planner.read_now(self.families.instances, &name);
        }
        if !used.is_empty() {
            core.planner.hot(self.families.instances, used);
        }
    }

    fn tick(&mut self, core: &mut Core<Answer>, now: Instant) {
        if let Some((policy, origin)) = self.policy.news() {
            tracing::info!(%policy, by = origin.as_str(), "connections that no intention is about");
            self.assembler.set_default_policy(policy);
        }
        let changes = self.leaves.tick(now, UnixTime::now().as_secs());
        self.follow_leaves(core, changes);
        if self.files.changed(now) {
            self.put_links();
        }
    }

    fn due(&self) -> Option<Instant> {
        self.leaves.due()
    }

    fn waiting(&self) -> usize {
        self.services.values().filter(|service| service.waits()).count()
    }

    fn snapshot(&self) -> &Arc<TerminatingSnapshot> {
        self.assembler.snapshot()
    }

    fn is_touched(&self) -> bool {
        self.assembler.is_touched(UnixTime::now())
    }

    fn build(&mut self) -> Option<Arc<TerminatingSnapshot>> {
        let before = self.assembler.snapshot().clone();
        let snapshot = self.assembler.build(UnixTime::now())?;
        self.note_leaves(&before, &snapshot);
        Some(snapshot)
    }

    fn names(before: &TerminatingSnapshot, after: &TerminatingSnapshot) -> NameChanges {
        let (come, gone) = (changes::gone(after, before).len(), changes::gone(before, after));
        NameChanges { total: after.table.len(), come, gone: gone.into_iter().cloned().collect() }
    }
}

impl Terminating {
    fn key(&self, name: &str) -> ServiceKey {
        ServiceKey::new(&self.namespace, name)
    }

    /// Something of a service is known, or will not be: it holds up nothing any more.
    fn answered(&mut self, name: &str, what: impl FnOnce(&mut Service)) {
        let key = self.key(name);
        let Some(service) = self.services.get_mut(name) else { return };
        let before = service.unread.clone();
        what(service);
        if service.unread != before {
            let why = service.unread.iter().flatten().next().cloned();
            self.assembler.set_waiting(&key, why);
        }
    }

    /// Who and where the gateway is, and whom it believes, go together.
    fn put_mesh(&mut self) {
        if let (Some(identity), Some(roots)) = (&self.identity, &self.roots) {
            self.assembler.set_mesh(identity.clone(), roots.clone());
        }
    }

    /// What is linked, with the files as they are now.
    fn put_links(&mut self) {
        let rows = self.files.read(&self.namespace, &self.links.all());
        self.assembler.set_links(rows);
    }

    /// What the lists of config entries say together.
    fn put_config(&mut self) {
        let (service, namespace) = (&*self.service, &*self.namespace);
        let mut config = Config::of(self.lists.entries(), service, namespace, &self.partition);
        for kind in ["service-resolver", "service-defaults"] {
            for name in self.lists.not_understood(kind) {
                config.not_understood(kind, namespace, &name);
            }
        }
        self.assembler.set_config(config);
        self.assembler.set_notes(Notes {
            rejected: self.lists.rejected().cloned().collect(),
            warnings: self.lists.warnings().cloned().collect(),
        });
    }

    /// Only a leaf that was verified counts as renewed.
    fn note_leaves(&mut self, before: &TerminatingSnapshot, after: &TerminatingSnapshot) {
        for service in after.services.iter() {
            let LeafState::Ready(leaf) = &service.leaf else { continue };
            let old = before.service(Some(&service.key.namespace), &service.key.name);
            if !old.is_some_and(|old| matches!(&old.leaf, LeafState::Ready(old) if Arc::ptr_eq(old, leaf))) {
                self.leaves.received(&service.key.name, leaf.renewal_alarm().as_secs());
            }
        }
    }
}
