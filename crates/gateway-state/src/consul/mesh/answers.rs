//! Takes in what watches say.

use super::{
    super::{driver::Core, readiness::Question},
    Answer, Mesh,
    asking::{ALL_KINDS, RESOLVERS},
};
use catalog_client::{
    error::Class,
    health::{HealthEntry, Pairs, ServiceKind},
    query::{CriticalCheck, FederationGateways},
    watch::Update,
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Instant,
};

/// Names without mesh instances that are looked at again at once when something is registered; more are
/// left to the slow round.
const MAX_IDLE_READS: usize = 64;

impl Mesh {
    pub(super) fn answer(&mut self, core: &mut Core<Answer>, answer: Answer) {
        match answer {
            Answer::Roots(update) => {
                if let Some(roots) = core.document(Question::Roots, update) {
                    let domain = roots.and_then(|roots| roots.trust_domain().map(str::to_owned));
                    // Without a root the last known one stays.
                    if let Some(domain) = domain {
                        core.identity.trust_domain = Some(domain);
                        core.readiness.answered(Question::Roots, Instant::now());
                    }
                }
            }
            Answer::Entries(list, update) => {
                if let Update::Failed(error) = &update
                    && list == ALL_KINDS
                    && matches!(error.class(), Class::Denied | Class::Unsupported | Class::Mistake)
                {
                    core.failed(error);
                    return self.follow_entries_by_kind(core);
                }
                let body = match update {
                    // Without resolvers names would lead to other instances than they should.
                    update if matches!(list, ALL_KINDS | RESOLVERS) => {
                        core.document(Question::Entries, update)
                    }
                    Update::Changed { document, .. } => Some(document),
                    _ => None,
                };
                if let Some(body) = body {
                    let body = body.as_ref().map_or(&b"[]"[..], |body| body);
                    self.assembler.set_entries(list, body);
                }
            }
            Answer::Names(update) => {
                if let Some(Some(names)) = core.document(Question::Names, update) {
                    self.names(core, &names);
                }
            }
            Answer::Critical(update) => {
                if let Update::Changed { document: Some(checks), .. } = update {
                    self.critical(core, &checks);
                }
            }
            Answer::FederationStates(update) => self.federation_states(core, update),
            Answer::Datacenters(update) => {
                if let Update::Changed { document: Some(datacenters), .. } = update {
                    self.datacenters = Arc::unwrap_or_clone(datacenters);
                    self.follow_datacenters(core);
                }
            }
            Answer::Asked(datacenter, update) => {
                if let Update::Changed { document, .. } = update
                    && self.asked.contains_key(&datacenter)
                {
                    let rows = document.map(Arc::unwrap_or_clone).unwrap_or_default();
                    self.assembler.set_asked(&datacenter, gateways(rows));
                }
            }
            Answer::Service(name, update) => self.service(core, &name, update),
        }
    }

    fn names(&mut self, core: &mut Core<Answer>, names: &Pairs<Box<[Box<str>]>>) {
        if self.is_blind(core, names) {
            return;
        }
        let all = names.iter().map(|(name, _)| name);
        let delta = match &core.config.only {
            Some(like) => self.names.set(like.pick(all).into_iter()),
            None => self.names.set(all),
        };
        if !delta.added.is_empty() || !delta.removed.is_empty() {
            core.planner.set_names(self.services, self.names.all().cloned());
        }
        // Nobody calls these: they hold up nothing, and the number of services is that of the others.
        for name in delta.added.iter().filter(|name| self.names.is_uncalled(name)) {
            core.planner.idle(self.services, name, true);
        }
        for name in &delta.removed {
            self.no_doubt_of(name);
            self.assembler.set_service(name, Vec::new());
        }
        // A service gets its first sidecar, whose name is new.
        for name in self.names.served_by(&delta.added) {
            core.planner.read_now(self.services, &name);
        }
        for name in self.names.idle(MAX_IDLE_READS) {
            core.planner.read_now(self.services, &name);
        }
    }

    /// Whether the token has lost the right to read services, which older Consuls answer with a list that
    /// has none. Consul's servers are services of every datacenter: a list without them, after one with
    /// them, is no news of services.
    fn is_blind(&mut self, core: &mut Core<Answer>, names: &Pairs<Box<[Box<str>]>>) -> bool {
        let sees_servers = names.iter().any(|(name, _)| name == "consul");
        let blind = self.saw_servers && !sees_servers;
        // The servers are services of the default partition and namespace only.
        let elsewhere = |name: &Option<String>| name.as_ref().is_some_and(|name| name != "default");
        let here = !elsewhere(&core.config.partition) && !elsewhere(&core.config.namespace);
        if here && !sees_servers && !self.saw_servers && !self.blind_from_start {
            self.blind_from_start = true;
            tracing::warn!(
                "the list of services has not even Consul's own: the token reads no services, or only some \
                 (service_prefix \"\" {{ policy = \"read\" }}, node_prefix \"\" {{ policy = \"read\" }}); the others \
                 have no name here"
            );
        }
        self.saw_servers |= sees_servers;
        match (std::mem::replace(&mut self.blind, blind), blind) {
            (false, true) => tracing::warn!(
                "the list of services has lost Consul's own: the token may no longer read services \
                 (service_prefix \"\" {{ policy = \"read\" }}) and nodes (node_prefix \"\" {{ policy = \"read\" }}); \
                 what is known stays in use"
            ),
            (true, false) => tracing::info!("the list of services is complete again"),
            _ => {}
        }
        blind
    }

    fn service(&mut self, core: &mut Core<Answer>, name: &Arc<str>, update: Update<Vec<HealthEntry>>) {
        let rows = match update {
            Update::Changed { document, .. } => document.map(Arc::unwrap_or_clone).unwrap_or_default(),
            Update::Failed(error) => {
                if core.service_failed(&error) {
                    self.names.answered(name, false);
                }
                return;
            }
            Update::Facts(_) | Update::Recovered => return,
        };
        if !self.names.contains(name) {
            return;
        }
        let rows: Vec<_> = rows.into_iter().filter(HealthEntry::is_mesh_instance).collect();
        if !(rows.is_empty() && self.doubts_service(core, name)) {
            self.no_doubt_of(name);
            self.take_rows(core, name, rows);
        }
    }

    /// Takes over what is known of a service.
    pub(super) fn take_rows(&mut self, core: &mut Core<Answer>, name: &Arc<str>, mut rows: Vec<HealthEntry>) {
        for row in &mut rows {
            // Free text, kilobytes of it; a filter that selects by it is refused.
            row.forget_outputs();
            if row.service.kind == ServiceKind::ConnectProxy && *row.service.service != **name {
                self.names.seen_proxy(&row.service.service);
            }
        }
        self.interner.share(&mut rows);
        self.names.answered(name, rows.is_empty());
        core.planner.idle(self.services, name, rows.is_empty());
        self.assembler.set_service(name, rows);
    }

    /// Reads at once what a check that turned may be about.
    fn critical(&mut self, core: &mut Core<Answer>, checks: &[CriticalCheck]) {
        let now: HashSet<CriticalCheck> = checks.iter().cloned().collect();
        let turned = now.symmetric_difference(&self.critical);
        let (mut nodes, mut services) = (HashSet::new(), HashSet::new());
        for check in turned {
            if check.service_name.is_empty() {
                nodes.insert(check.node.clone());
            } else {
                services.insert(check.service_name.clone());
            }
        }
        self.critical = now;
        if nodes.is_empty() && services.is_empty() {
            return;
        }
        let concerned =
            |row: &HealthEntry| nodes.contains(&row.node.name) || services.contains(&row.service.service);
        for name in self.assembler.services_where(concerned) {
            core.planner.read_now(self.services, &name);
        }
    }

    fn federation_states(
        &mut self,
        core: &mut Core<Answer>,
        update: Update<BTreeMap<Box<str>, Vec<HealthEntry>>>,
    ) {
        if let Update::Failed(error) = &update
            && FederationGateways::<HealthEntry>::are_disabled(error)
        {
            // A fresh secondary: none yet.
            core.readiness.answered(Question::FederationStates, Instant::now());
        }
        if let Some(document) = core.document(Question::FederationStates, update) {
            let states = document.map(Arc::unwrap_or_clone).unwrap_or_default();
            let states: BTreeMap<_, _> =
                states.into_iter().map(|(datacenter, rows)| (datacenter, gateways(rows))).collect();
            if !self.doubts_states(core, &states) {
                self.assembler.set_federation_states(states);
            }
        }
    }
}

/// What of a list of instances can carry traffic of other datacenters.
fn gateways(mut rows: Vec<HealthEntry>) -> Vec<HealthEntry> {
    rows.retain(|row| row.service.kind == ServiceKind::MeshGateway);
    rows.iter_mut().for_each(HealthEntry::forget_outputs);
    rows
}
