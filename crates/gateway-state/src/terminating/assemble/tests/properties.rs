//! Built step by step, in any order and with any detour, a snapshot is what it is built from scratch.

use super::{
    super::{Config, LeafInput, TerminatingAssembler},
    input::{Mesh, NOW, at, intention, key, link, row},
};
use crate::{
    entry_lists::EntryLists,
    terminating::{KINDS, LeafState, SetPolicy, Snapshot, TerminatingOptions, TerminatingSnapshot},
};
use catalog_client::health::HealthEntry;
use intentions::DefaultPolicy;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

const NAMES: [&str; 3] = ["web", "Web", "db"];

/// Two leaves for each service.
struct Pki {
    mesh: Mesh,
    leaves: Vec<LeafInput>,
}

static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let mesh = Mesh::new();
    let leaves = NAMES.iter().flat_map(|name| [mesh.leaf(name), mesh.leaf(name)]).collect();
    Pki { mesh, leaves }
});

#[derive(Clone, Debug)]
enum Op {
    Links(BTreeSet<usize>),
    Instances(usize, Vec<u8>),
    Intentions(usize, bool),
    Leaf(usize, usize),
    Config(u8),
    Default(bool),
    Build,
}

fn op() -> impl Strategy<Value = Op> {
    let service = 0..NAMES.len();
    prop_oneof![
        1 => prop::collection::btree_set(service.clone(), 0..=NAMES.len()).prop_map(Op::Links),
        1 => (service.clone(), prop::collection::vec(0..4_u8, 0..3)).prop_map(|(at, rows)| Op::Instances(at, rows)),
        1 => (service.clone(), any::<bool>()).prop_map(|(at, allow)| Op::Intentions(at, allow)),
        1 => (service, 0..2_usize).prop_map(|(at, version)| Op::Leaf(at, version)),
        1 => (0..4_u8).prop_map(Op::Config),
        1 => any::<bool>().prop_map(Op::Default),
        3 => Just(Op::Build),
    ]
}

/// What was said last about each thing.
#[derive(Clone, Debug, Default)]
struct Last {
    links: BTreeSet<usize>,
    instances: [Option<Vec<u8>>; 3],
    intentions: [Option<bool>; 3],
    leaves: [Option<usize>; 3],
    config: u8,
    allow: bool,
}

impl Last {
    fn note(&mut self, op: &Op) {
        match op {
            Op::Links(links) => {
                // What is unlinked is forgotten.
                for at in (0..NAMES.len()).filter(|at| !links.contains(at)) {
                    (self.instances[at], self.intentions[at], self.leaves[at]) = (None, None, None);
                }
                self.links = links.clone();
            }
            Op::Instances(at, _) | Op::Intentions(at, _) | Op::Leaf(at, _) if !self.links.contains(at) => {}
            Op::Instances(at, rows) => self.instances[*at] = Some(rows.clone()),
            Op::Intentions(at, allow) => self.intentions[*at] = Some(*allow),
            Op::Leaf(at, version) => self.leaves[*at] = Some(*version),
            Op::Config(config) => self.config = *config,
            Op::Default(allow) => self.allow = *allow,
            Op::Build => {}
        }
    }

    /// The shortest way there.
    fn ops(&self) -> Vec<Op> {
        let mut ops = vec![Op::Default(self.allow), Op::Config(self.config), Op::Links(self.links.clone())];
        for at in 0..NAMES.len() {
            ops.extend(self.instances[at].clone().map(|rows| Op::Instances(at, rows)));
            ops.extend(self.intentions[at].map(|allow| Op::Intentions(at, allow)));
            ops.extend(self.leaves[at].map(|version| Op::Leaf(at, version)));
        }
        ops
    }
}

fn config(which: u8) -> Config {
    let entries = match which {
        0 => json!([]),
        1 => json!([{ "Kind": "service-resolver", "Name": "web", "DefaultSubset": "v1", "Subsets": {
            "v1": { "Filter": "Service.Meta.version == v1" }, "v2": { "Filter": "Service.Meta.version == v2" } } }]),
        2 => json!([{ "Kind": "service-defaults", "Name": "db", "Protocol": "http" },
                    { "Kind": "proxy-defaults", "Name": "global", "Config": { "protocol": "grpc" } }]),
        _ => json!([{ "Kind": "mesh", "TLS": { "Incoming": { "TLSMinVersion": "TLSv1_3" } } }]),
    };
    let mut lists = EntryLists::new(KINDS);
    lists.set("config", entries.to_string().as_bytes());
    Config::of(lists.entries(), "egress", "default", "default")
}

fn new() -> TerminatingAssembler<HealthEntry> {
    let mut it = TerminatingAssembler::new(SetPolicy::default(), TerminatingOptions::default());
    it.set_mesh(PKI.mesh.identity(), PKI.mesh.roots());
    it
}

fn apply(it: &mut TerminatingAssembler<HealthEntry>, op: &Op) -> Option<Arc<TerminatingSnapshot>> {
    match op {
        Op::Links(links) => it.set_links(links.iter().map(|at| link(NAMES[*at])).collect()),
        Op::Instances(at, rows) => {
            let rows = rows.iter().map(|number| row(NAMES[*at], &format!("10.0.0.{number}"), json!({})));
            it.set_instances(&key(NAMES[*at]), rows.collect());
        }
        Op::Intentions(at, allow) => {
            let action = if *allow { "allow" } else { "deny" };
            it.set_intentions(&key(NAMES[*at]), vec![intention("ops", NAMES[*at], action)]);
        }
        Op::Leaf(at, version) => it.set_leaf(&key(NAMES[*at]), PKI.leaves[at * 2 + version].clone()),
        Op::Config(which) => it.set_config(config(*which)),
        Op::Default(allow) => {
            it.set_default_policy(if *allow { DefaultPolicy::Allow } else { DefaultPolicy::Deny });
        }
        Op::Build => return it.build(at(NOW)),
    }
    None
}

/// Everything in a snapshot but its number, as text.
fn printed(snapshot: &TerminatingSnapshot) -> String {
    let mut text = format!("{:?}\n{:?}\n", snapshot.tls, snapshot.default_policy);
    for service in snapshot.services.iter() {
        let leaf = match &service.leaf {
            LeafState::Ready(leaf) => leaf.fingerprint().to_string(),
            LeafState::Missing { why } => why.to_string(),
        };
        let ops =
            mesh_id::SpiffeId::parse(&format!("spiffe://{}/ns/default/dc/dc1/svc/ops", super::input::TD));
        let verdict = service
            .rules
            .check_connection(intentions::Source::Direct(&ops.unwrap()), intentions::Protocol::Tcp);
        let (key, protocol) = (&service.key, &service.protocol);
        text += &format!("{key} {protocol} {leaf} {:?} {:?}\n", service.targets, service.not_ready);
        text += &format!("{verdict:?}\n");
    }
    let mut names: Vec<_> = snapshot.table.names().collect();
    names.sort_by(|a, b| a.0.cmp(b.0));
    text + &format!("{names:?}\n{:?}\n{:?}\n{:?}\n", snapshot.targets, snapshot.rejected, snapshot.warnings)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn step_by_step_and_from_scratch_are_the_same(ops in prop::collection::vec(op(), 0..40)) {
        let (mut it, mut last) = (new(), Last::default());
        let mut before = it.snapshot().clone();
        for op in ops.iter().chain([&Op::Build]) {
            let built = apply(&mut it, op);
            last.note(op);
            let Some(now) = built else { continue };
            prop_assert_eq!(now.generation, before.generation + 1);
            // What is equal is one.
            for service in now.services.iter() {
                let known = before.service(None, &service.key.name).filter(|known| known.is_same(service));
                prop_assert!(known.is_none_or(|known| Arc::ptr_eq(known, service)), "{:?}", service);
            }
            for target in now.targets() {
                let known = before.position(&target.id).map(|at| &before.targets[at]);
                let known = known.filter(|known| *known == target);
                prop_assert!(known.is_none_or(|known| Arc::ptr_eq(known, target)), "{:?}", target);
            }
            before = now;
        }
        let mut scratch = new();
        for op in last.ops() {
            apply(&mut scratch, &op);
        }
        let scratch = scratch.build(at(NOW)).expect("the first one");
        prop_assert_eq!(printed(it.snapshot()), printed(&scratch));
        prop_assert!(it.build(at(NOW)).is_none());
    }
}
