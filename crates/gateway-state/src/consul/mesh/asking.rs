//! What is asked, and when more of it is known: the fixed questions first.

use super::{
    super::{documents::Entries, driver::Core, event::Event},
    Answer, Mesh,
};
use catalog_client::{
    health::HealthEntry,
    planner::{FamilyId, Planner, WatchId},
    query::{
        CaRoots, CatalogDatacenters, CatalogServices, CriticalChecks, FederationGateways, HealthConnect,
        HealthService,
    },
};
use std::{collections::BTreeSet, sync::Arc};

/// Other datacenters whose gateways are watched there; those of further ones come through the
/// federation states only. Each costs a connection over HTTP/1.1.
const MAX_ASKED: usize = 8;
/// The list of config entries of all kinds.
pub(super) const ALL_KINDS: &str = "config";
/// That of resolvers, where each kind has its own.
pub(super) const RESOLVERS: &str = "config/service-resolver";

pub(super) fn family(planner: &Planner<Event<Answer>>) -> FamilyId {
    planner.family(HealthConnect::<HealthEntry>::new, |name, update| {
        Event::Role(Answer::Service(name.clone(), update))
    })
}

fn watch_entries(core: &Core<Answer>, list: &'static str, query: Entries) -> WatchId {
    core.watch(query, move |update| Answer::Entries(list, update))
}

impl Mesh {
    pub(super) fn ask(&mut self, core: &Core<Answer>) {
        core.watch(CaRoots::new(), Answer::Roots);
        let names = core.watch(CatalogServices::new(), Answer::Names);
        core.planner.wakes(names, self.services);
        core.watch(CriticalChecks, Answer::Critical);
        core.watch(FederationGateways::new(), Answer::FederationStates);
        core.poll(CatalogDatacenters, core.config.datacenters_every, Answer::Datacenters);
        self.entries = Some(watch_entries(core, ALL_KINDS, Entries::of_all_kinds()));
    }

    /// Consul does not list the entries of all kinds at once, or not for this token: one question for
    /// each kind that matters.
    pub(super) fn follow_entries_by_kind(&mut self, core: &Core<Answer>) {
        let Some(all) = self.entries.take() else { return };
        core.planner.unwatch(all);
        tracing::info!(
            "Consul does not list config entries of all kinds at once: they are read kind by kind"
        );
        watch_entries(core, RESOLVERS, Entries::of_kind("service-resolver"));
        watch_entries(
            core,
            "config/service-defaults",
            Entries::one("service-defaults", &core.config.service),
        );
        watch_entries(core, "config/mesh", Entries::one("mesh", "mesh"));
    }

    /// Watches the gateways of each other datacenter there, under the name that gateways have here.
    pub(super) fn follow_datacenters(&mut self, core: &Core<Answer>) {
        // Before its own is known one cannot tell which are others.
        let Some(own) = core.identity.datacenter(&core.config).map(str::to_ascii_lowercase) else { return };
        let others: BTreeSet<String> = self
            .datacenters
            .iter()
            .filter(|datacenter| !datacenter.eq_ignore_ascii_case(&own))
            .map(|datacenter| datacenter.to_string())
            .collect();
        let gone: Vec<_> = self.asked.keys().filter(|known| !others.contains(&***known)).cloned().collect();
        for datacenter in gone {
            if let Some(watch) = self.asked.remove(&datacenter) {
                core.planner.unwatch(watch);
            }
        }
        for datacenter in &others {
            if self.asked.contains_key(datacenter.as_str()) {
                continue;
            }
            if self.asked.len() >= MAX_ASKED {
                tracing::info!(
                    datacenter,
                    most = MAX_ASKED,
                    "the gateways there are known by the federation states only"
                );
                continue;
            }
            let name: Arc<str> = datacenter.as_str().into();
            let query = HealthService::<HealthEntry>::new(&core.config.service).dc(datacenter);
            let of = name.clone();
            let watch = core.watch(query, move |update| Answer::Asked(of.clone(), update));
            self.asked.insert(name, watch);
        }
        self.assembler.keep_remotes(&others);
    }
}
