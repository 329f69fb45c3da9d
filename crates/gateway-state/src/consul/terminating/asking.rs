//! What is asked, and when more of it is known: the fixed questions first.

use super::{
    super::{documents::Entries, driver::Core, event::Event},
    Answer, Terminating,
    leaves::{Changes, LeafConfig, Way},
};
use catalog_client::{
    capability::{Feature, Verdict},
    health::HealthEntry,
    planner::{FamilyId, Mode, PlanConfig, Rounds, WatchId},
    query::{
        CaLeaf, CaRoots, CatalogServices, CriticalChecks, GatewayServices, HealthService, IntentionMatch,
        Intentions,
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The list of config entries of all kinds.
pub(super) const ALL_KINDS: &str = "config";
/// Lists of one kind, where Consul does not list all kinds at once. Without the first ones names would lead to other
/// instances than they should, or be spoken to in another way.
pub(super) const BY_KIND: [&str; 6] = [
    "config/service-resolver",
    "config/service-defaults",
    "config/proxy-defaults",
    "config/mesh",
    "config/terminating-gateway",
    "config/service-intentions",
];
/// An intention may be written once more within this time of having been read.
const READ_AGAIN: Duration = Duration::from_millis(250);

/// The questions that there are for each service.
pub(super) struct Families {
    pub(super) instances: FamilyId,
    pub(super) intentions: FamilyId,
    pub(super) turns: FamilyId,
    pub(super) overdue: FamilyId,
}

impl Families {
    pub(super) fn new(core: &Core<Answer>) -> Self {
        let (planner, config) = (&core.planner, &core.config);
        let leaves = |every| Arc::new(leaf_plan(&config.plan, &config.leaves, every));
        let leaf = |name: &Arc<str>, update| Event::Role(Answer::Leaf(name.clone(), update));
        Self {
            instances: planner.family(HealthService::<HealthEntry>::new, |name, update| {
                Event::Role(Answer::Instances(name.clone(), update))
            }),
            intentions: planner.family_with(
                Arc::new(intention_plan(&config.plan, config.intentions_every)),
                |name| IntentionMatch::new([name]),
                |name, update| Event::Role(Answer::Intentions(name.clone(), update)),
            ),
            turns: planner.family_with(leaves(config.leaves.every), CaLeaf::new, leaf),
            overdue: planner.family_with(leaves(config.leaves.overdue_every), CaLeaf::new, leaf),
        }
    }
}

/// Leaves are read in turn, whatever the protocol: those that are long-polled have watches of their own.
fn leaf_plan(plan: &PlanConfig, config: &LeafConfig, every: Duration) -> PlanConfig {
    PlanConfig {
        mode: Some(Mode::Sweep),
        reads: config.reads,
        sweep_reads: config.reads,
        rounds: Rounds { few: 0, some: 0, many_every: every, ..plan.rounds },
        retries: true,
        ..plan.clone()
    }
}

/// Intentions are not long-polled one by one: the list of config entries wakes for each that is written, and says which
/// (consul-api 4.4). The round is for what no list shows.
fn intention_plan(plan: &PlanConfig, every: Duration) -> PlanConfig {
    PlanConfig {
        mode: Some(Mode::Sweep),
        rounds: Rounds { few: 0, some: 0, many_every: every, ..plan.rounds },
        read_now_every: plan.read_now_every.min(READ_AGAIN),
        // A server that lags would answer with what was before, and nothing would wake for it again.
        any_server: false,
        retries: true,
        ..plan.clone()
    }
}

fn watch_entries(core: &Core<Answer>, list: &'static str, query: Entries) -> WatchId {
    core.watch(query, move |update| Answer::Entries(list, update))
}

impl Terminating {
    pub(super) fn ask(&mut self, core: &Core<Answer>) {
        core.watch(CaRoots::new(), Answer::Roots);
        core.watch(GatewayServices::new(&core.config.service), Answer::Links);
        self.entries = Some(watch_entries(core, ALL_KINDS, Entries::of_all_kinds()));
        core.watch(CriticalChecks, Answer::Critical);
        let names = core.watch(CatalogServices::new(), Answer::Names);
        core.planner.wakes(names, self.families.instances);
    }

    /// Consul does not list the entries of all kinds at once, or not for this token: one question for each kind that
    /// matters.
    pub(super) fn follow_entries_by_kind(&mut self, core: &Core<Answer>) {
        let Some(all) = self.entries.take() else { return };
        core.planner.unwatch(all);
        tracing::info!(
            "Consul does not list config entries of all kinds at once: they are read kind by kind"
        );
        for list in BY_KIND {
            let kind = list.strip_prefix("config/").unwrap_or(list);
            watch_entries(core, list, Entries::of_kind(kind));
        }
    }

    /// Before 1.9 intentions are no config entries: the list of all of them says what was written.
    pub(super) fn follow_old_intentions(&mut self, core: &Core<Answer>) {
        let no_entries = core.known.used().finding(Feature::IntentionEntries).verdict == Verdict::No;
        match (no_entries, self.old_intentions) {
            (true, None) => {
                self.old_intentions = Some(core.watch(Intentions::new(), Answer::OldIntentions));
            }
            (false, Some(watch)) => {
                core.planner.unwatch(watch);
                self.old_intentions = None;
            }
            _ => {}
        }
    }

    /// Follows what is linked now, and nothing else.
    pub(super) fn follow_links(&mut self, core: &Core<Answer>) {
        let names: BTreeSet<Arc<str>> = self.services.keys().cloned().collect();
        let with_instances = self.services.iter().filter(|(_, service)| !service.is_destination);
        core.planner.set_names(self.families.instances, with_instances.map(|(name, _)| name.clone()));
        core.planner.set_names(self.families.intentions, names.iter().cloned());
        let changes = self.leaves.set(&names);
        self.follow_leaves(core, changes);
    }

    /// Does what the plan of leaves says.
    pub(super) fn follow_leaves(&mut self, core: &Core<Answer>, changes: Changes) {
        for name in changes.release {
            if let Some(watch) = self.held.remove(&name) {
                core.planner.unwatch(watch);
            }
        }
        for name in changes.hold {
            let of = name.clone();
            let query = CaLeaf::new(&name);
            let watch = core.watch(query, move |update| Answer::Leaf(of.clone(), update));
            self.held.insert(name, watch);
        }
        for (changed, family, way) in [
            (changes.turns, self.families.turns, Way::Turn),
            (changes.overdue, self.families.overdue, Way::Overdue),
        ] {
            if changed {
                core.planner.set_names(family, self.leaves.names(way).cloned());
            }
        }
        if let Some((names, within)) = changes.soon {
            tracing::info!(
                leaves = names.len(),
                "the CA has another root: leaves that are read in turn are read soon"
            );
            core.planner.read_within(self.families.turns, &names, within);
        }
    }
}
