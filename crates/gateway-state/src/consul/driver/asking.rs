//! What is asked, and when more of it is known: the fixed questions first.

use super::{super::documents::Entries, Driver, Event, Own, Question};
use catalog_client::{
    capability::{Capabilities, TokenFacts},
    health::HealthEntry,
    planner::{FamilyId, Planner, WatchId},
    query::{
        AgentService, CaRoots, CatalogDatacenters, CatalogServices, CriticalChecks, FederationGateways,
        HealthConnect, HealthService,
    },
    registration::{Place, Registrar, gateways_of_kind},
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// Other datacenters whose gateways are watched there; those of further ones come through the
/// federation states only. Each costs a connection over HTTP/1.1.
const MAX_ASKED: usize = 8;
/// How often it is looked whether Consul shows the gateway itself.
const LOOK_FOR_ITSELF: Duration = Duration::from_secs(10);
/// The list of config entries of all kinds.
pub(super) const ALL_KINDS: &str = "config";
/// That of resolvers, where each kind has its own.
pub(super) const RESOLVERS: &str = "config/service-resolver";
/// How often the one gateway of the agent is looked for until there is one.
const LOOK_FOR_OWN: Duration = Duration::from_secs(2);

pub(super) fn family(planner: &Planner<Event>) -> FamilyId {
    planner.family(HealthConnect::<HealthEntry>::new, |name, update| Event::Service(name.clone(), update))
}

impl Driver {
    pub(super) fn start(&mut self) {
        self.planner.watch(CaRoots::new(), Event::Roots);
        let names = self.planner.watch(CatalogServices::new(), Event::Names);
        self.planner.wakes(names, self.services);
        self.planner.watch(CriticalChecks, Event::Critical);
        self.planner.watch(FederationGateways::new(), Event::FederationStates);
        self.planner.poll(CatalogDatacenters, self.config.datacenters_every, Event::Datacenters);
        self.entries = Some(self.watch_entries(ALL_KINDS, Entries::of_all_kinds()));
        match &self.config.own {
            // Before it is registered there is nothing to be seen.
            Own::Register { registration, place, .. } => {
                let (registration, place) = ((**registration).clone(), place.clone());
                let config = self.config.registrar.clone();
                let (registrar, handle) = Registrar::new(self.client.clone(), registration, place, config);
                self.registration = Some(handle.subscribe());
                self.registering = Some(tokio::spawn(registrar.run()));
                self.registrar = Some(handle.clone());
                self.shared.see(|seen| seen.registrar = Some(handle));
            }
            Own::OfAgent { id } => self.follow_own(&id.clone()),
            Own::OfNode { .. } => {
                let query = HealthService::new(&self.config.service);
                self.own = Some(self.planner.watch(query, Event::OwnRows));
            }
            Own::OnlyOne => {
                let query = gateways_of_kind(self.config.kind);
                self.candidates = Some(self.planner.poll(query, LOOK_FOR_OWN, Event::Candidates));
            }
        }
        self.probe();
        self.begin_to_doubt();
    }

    /// Watches the gateway's own service with the agent.
    pub(super) fn follow_own(&mut self, id: &str) {
        self.own = Some(self.planner.watch(AgentService::new(id), Event::Own));
    }

    /// The registration is in place: from here on it is watched like anybody else's. It is a new watch
    /// each time: one that has seen the registration missing says so once, and might not see that it came
    /// back before it is missing again.
    pub(super) fn follow_own_registration(&mut self) {
        let Own::Register { registration, place, .. } = &self.config.own else { return };
        match place {
            Place::Agent => {
                let id = registration.id.clone();
                if let Some(before) = self.own.take() {
                    self.planner.unwatch(before);
                }
                self.follow_own(&id);
            }
            // No agent knows it, and it has said everything itself.
            Place::Catalog { .. } => self.readiness.answered(Question::Own, Instant::now()),
        }
    }

    /// Looks whether the token lets the gateway see itself; who registers it looks by itself.
    pub(super) fn look_for_itself(&mut self, id: &str) {
        if self.registrar.is_some() || self.looking {
            return;
        }
        self.looking = true;
        let query = HealthService::<HealthEntry>::new(&self.config.service);
        let id: Arc<str> = id.into();
        self.planner.poll(query, LOOK_FOR_ITSELF, move |update| Event::Listed(id.clone(), update));
    }

    pub(super) fn probe(&mut self) {
        let (client, own) = (self.client.clone(), self.config.service.clone());
        self.probing = Some(tokio::spawn(async move { Capabilities::probe(&client, &own).await }));
    }

    /// Takes over what a probe found out. `None`: it came to nothing, and is repeated.
    pub(super) fn learn(&mut self, found: Option<Capabilities>) {
        let now = Instant::now();
        self.known.learn(found.unwrap_or_default(), now);
        self.show_capabilities();
        let acls_off = self.known.used().token == TokenFacts::AclsOff;
        self.planner.agent().set_acls_off(acls_off);
        if let Some(agent) = &self.known.used().agent {
            self.identity.agents_datacenter = Some(agent.info.datacenter.to_string());
            self.identity.domain = Some(agent.info.dns_domain.to_string());
            self.planner.agent().set_version(release(&agent.info.version));
        }
        self.follow_datacenters();
    }

    pub(super) fn show_capabilities(&self) {
        self.shared.see(|seen| seen.capabilities = self.known.used().rows());
    }

    /// Consul does not list the entries of all kinds at once, or not for this token: one question for
    /// each kind that matters.
    pub(super) fn follow_entries_by_kind(&mut self) {
        let Some(all) = self.entries.take() else { return };
        self.planner.unwatch(all);
        tracing::info!(
            "Consul does not list config entries of all kinds at once: they are read kind by kind"
        );
        self.watch_entries(RESOLVERS, Entries::of_kind("service-resolver"));
        self.watch_entries("config/service-defaults", Entries::one("service-defaults", &self.config.service));
        self.watch_entries("config/mesh", Entries::one("mesh", "mesh"));
    }

    fn watch_entries(&self, list: &'static str, query: Entries) -> WatchId {
        self.planner.watch(query, move |update| Event::Entries(list, update))
    }

    /// Watches the gateways of each other datacenter there, under the name that gateways have here.
    pub(super) fn follow_datacenters(&mut self) {
        // Before its own is known one cannot tell which are others.
        let Some(own) = self.identity.datacenter(&self.config).map(str::to_ascii_lowercase) else { return };
        let others: BTreeSet<String> = self
            .datacenters
            .iter()
            .filter(|datacenter| !datacenter.eq_ignore_ascii_case(&own))
            .map(|datacenter| datacenter.to_string())
            .collect();
        let gone: Vec<_> = self.asked.keys().filter(|known| !others.contains(&***known)).cloned().collect();
        for datacenter in gone {
            if let Some(watch) = self.asked.remove(&datacenter) {
                self.planner.unwatch(watch);
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
            let query = HealthService::<HealthEntry>::new(&self.config.service).dc(datacenter);
            let of = name.clone();
            let watch = self.planner.watch(query, move |update| Event::Asked(of.clone(), update));
            self.asked.insert(name, watch);
        }
        self.assembler.keep_remotes(&others);
    }
}

/// `1.21` of `1.21.0-dev`. Nothing but the meaning of one empty answer depends on it (consul-api 2.12).
fn release(version: &str) -> Option<(u16, u16)> {
    let mut parts = version.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_release_is_read_of_any_version() {
        let cases =
            [("1.8.7", Some((1, 8))), ("1.21.0-dev", Some((1, 21))), ("1.17+ent", Some((1, 17))), ("", None)];
        for (version, release) in cases {
            assert_eq!(super::release(version), release, "{version}");
        }
    }
}
