//! Takes in what watches say.

use super::{
    super::{config::Own, own},
    Driver, Event, Question,
    asking::{ALL_KINDS, RESOLVERS},
};
use catalog_client::{
    Error,
    error::{Cause, Class},
    health::{HealthEntry, Pairs, ServiceKind},
    query::{CriticalCheck, FederationGateways},
    registration::{OwnService, State as Registered, only_one},
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

impl Driver {
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Roots(update) => {
                if let Some(roots) = self.document(Question::Roots, update) {
                    let domain = roots.and_then(|roots| roots.trust_domain().map(str::to_owned));
                    // Without a root the last known one stays.
                    if let Some(domain) = domain {
                        self.identity.trust_domain = Some(domain);
                        self.readiness.answered(Question::Roots, Instant::now());
                    }
                }
            }
            Event::Entries(list, update) => {
                if let Update::Failed(error) = &update
                    && list == ALL_KINDS
                    && matches!(error.class(), Class::Denied | Class::Unsupported | Class::Mistake)
                {
                    self.failed(error);
                    return self.follow_entries_by_kind();
                }
                let body = match update {
                    // Without resolvers names would lead to other instances than they should.
                    update if matches!(list, ALL_KINDS | RESOLVERS) => {
                        self.document(Question::Entries, update)
                    }
                    Update::Changed { document, .. } => Some(document),
                    _ => None,
                };
                if let Some(body) = body {
                    let body = body.as_ref().map_or(&b"[]"[..], |body| body);
                    self.assembler.set_entries(list, body);
                }
            }
            Event::Names(update) => {
                if let Some(Some(names)) = self.document(Question::Names, update) {
                    self.names(&names);
                }
            }
            Event::Critical(update) => {
                if let Update::Changed { document: Some(checks), .. } = update {
                    self.critical(&checks);
                }
            }
            Event::FederationStates(update) => self.federation_states(update),
            Event::Datacenters(update) => {
                if let Update::Changed { document: Some(datacenters), .. } = update {
                    self.datacenters = Arc::unwrap_or_clone(datacenters);
                    self.follow_datacenters();
                }
            }
            Event::Asked(datacenter, update) => {
                if let Update::Changed { document, .. } = update
                    && self.asked.contains_key(&datacenter)
                {
                    let rows = document.map(Arc::unwrap_or_clone).unwrap_or_default();
                    self.assembler.set_asked(&datacenter, gateways(rows));
                }
            }
            Event::Own(update) => self.own(update),
            Event::Candidates(update) => self.candidates(update),
            Event::OwnRows(update) => self.own_rows(update),
            Event::Listed(id, update) => {
                if let Update::Changed { document, .. } = update {
                    let rows = document.unwrap_or_default();
                    self.listed(rows.iter().any(|row| *row.service.id == *id));
                }
            }
            Event::Service(name, update) => self.service(&name, update),
        }
    }

    /// The document of an update, if it has one; `Some(None)`: it is absent. A question that cannot be
    /// answered is answered as well: there is nothing to wait for.
    fn document<D>(&mut self, question: Question, update: Update<D>) -> Option<Option<Arc<D>>> {
        match update {
            Update::Changed { document, .. } => {
                // Roots without a root are no answer.
                if question != Question::Roots {
                    self.readiness.answered(question, Instant::now());
                }
                Some(document)
            }
            Update::Failed(error) => {
                self.failed(&error);
                let hopeless = matches!(error.class(), Class::Denied | Class::Unsupported | Class::Mistake);
                if hopeless && !matches!(question, Question::Roots | Question::Names) {
                    self.readiness.answered(question, Instant::now());
                }
                None
            }
            Update::Facts(_) | Update::Recovered => None,
        }
    }

    /// A token that Consul does not know may have been renewed in its file. What only Consul Enterprise
    /// has cannot be asked of another Consul, now or later (consul-api 1.4).
    fn failed(&mut self, error: &Error) {
        let now = Instant::now();
        if self.published.is_none()
            && matches!(&error.cause, Cause::Status { text, .. } if text.contains("Consul Enterprise feature"))
        {
            self.refused = Some(error.to_string());
        }
        if error.class() == Class::TokenUnknown && self.reread_token_at.is_none() {
            self.renew_token(now);
        }
    }

    fn names(&mut self, names: &Pairs<Box<[Box<str>]>>) {
        if self.is_blind(names) {
            return;
        }
        let all = names.iter().map(|(name, _)| name);
        let delta = match &self.config.only {
            Some(like) => self.names.set(like.pick(all).into_iter()),
            None => self.names.set(all),
        };
        if !delta.added.is_empty() || !delta.removed.is_empty() {
            self.planner.set_names(self.services, self.names.all().cloned());
        }
        // Nobody calls these: they hold up nothing, and the number of services is that of the others.
        for name in delta.added.iter().filter(|name| self.names.is_uncalled(name)) {
            self.planner.idle(self.services, name, true);
        }
        for name in &delta.removed {
            self.no_doubt_of(name);
            self.assembler.set_service(name, Vec::new());
        }
        // A service gets its first sidecar, whose name is new.
        for name in self.names.served_by(&delta.added) {
            self.planner.read_now(self.services, &name);
        }
        for name in self.names.idle(MAX_IDLE_READS) {
            self.planner.read_now(self.services, &name);
        }
    }

    /// Whether the token has lost the right to read services, which older Consuls answer with a list that
    /// has none. Consul's servers are services of every datacenter: a list without them, after one with
    /// them, is no news of services.
    fn is_blind(&mut self, names: &Pairs<Box<[Box<str>]>>) -> bool {
        let sees_servers = names.iter().any(|(name, _)| name == "consul");
        let blind = self.saw_servers && !sees_servers;
        // The servers are services of the default partition and namespace only.
        let elsewhere = |name: &Option<String>| name.as_ref().is_some_and(|name| name != "default");
        let here = !elsewhere(&self.config.partition) && !elsewhere(&self.config.namespace);
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

    fn service(&mut self, name: &Arc<str>, update: Update<Vec<HealthEntry>>) {
        let rows = match update {
            Update::Changed { document, .. } => document.map(Arc::unwrap_or_clone).unwrap_or_default(),
            Update::Failed(error) => {
                self.failed(&error);
                if matches!(
                    error.class(),
                    Class::Denied | Class::Unsupported | Class::Mistake | Class::Rejected
                ) {
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
        if !(rows.is_empty() && self.doubts_service(name)) {
            self.no_doubt_of(name);
            self.take_rows(name, rows);
        }
    }

    /// Takes over what is known of a service.
    pub(super) fn take_rows(&mut self, name: &Arc<str>, mut rows: Vec<HealthEntry>) {
        for row in &mut rows {
            // Free text, kilobytes of it; a filter that selects by it is refused.
            row.forget_outputs();
            if row.service.kind == ServiceKind::ConnectProxy && *row.service.service != **name {
                self.names.seen_proxy(&row.service.service);
            }
        }
        self.interner.share(&mut rows);
        self.names.answered(name, rows.is_empty());
        self.planner.idle(self.services, name, rows.is_empty());
        self.assembler.set_service(name, rows);
    }

    /// Reads at once what a check that turned may be about.
    fn critical(&mut self, checks: &[CriticalCheck]) {
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
            self.planner.read_now(self.services, &name);
        }
    }

    fn federation_states(&mut self, update: Update<BTreeMap<Box<str>, Vec<HealthEntry>>>) {
        if let Update::Failed(error) = &update
            && FederationGateways::<HealthEntry>::are_disabled(error)
        {
            // A fresh secondary: none yet.
            self.readiness.answered(Question::FederationStates, Instant::now());
        }
        if let Some(document) = self.document(Question::FederationStates, update) {
            let states = document.map(Arc::unwrap_or_clone).unwrap_or_default();
            let states: BTreeMap<_, _> =
                states.into_iter().map(|(datacenter, rows)| (datacenter, gateways(rows))).collect();
            if !self.doubts_states(&states) {
                self.assembler.set_federation_states(states);
            }
        }
    }

    fn own(&mut self, update: Update<OwnService>) {
        let Some(document) = self.document(Question::Own, update) else { return };
        match document {
            Some(service) => {
                self.unready = None;
                self.identity.own_datacenter = Some(service.datacenter.clone());
                self.follow_datacenters();
                let read = own::of_service(&service, &self.config, self.is_local());
                self.take_own(read);
                self.look_for_itself(&service.id);
            }
            None => self.own_is_gone(),
        }
    }

    /// Whether Consul shows the gateway among the instances of its name (consul-api 7, row 52).
    pub(super) fn listed(&mut self, visible: bool) {
        let before = self.unlisted.is_some();
        self.unlisted = (!visible).then(|| {
            format!(
                "Consul does not list this gateway among the instances of {:?}, although it is registered: the \
                 token needs service_prefix \"\" {{ policy = \"read\" }} and node_prefix \"\" {{ policy = \"read\" }}",
                self.config.service
            )
        });
        match (before, &self.unlisted) {
            (false, Some(why)) => tracing::warn!("{why}"),
            (true, None) => tracing::info!("Consul lists this gateway"),
            _ => {}
        }
    }

    fn own_is_gone(&mut self) {
        if let Some(registrar) = &self.registrar {
            registrar.missing();
            return;
        }
        let service = match &self.config.own {
            Own::OfAgent { id } => format!("service ID {id:?}"),
            _ => format!("a {} service", self.config.kind),
        };
        self.unready =
            Some(format!("{service} is not registered with this agent; register it, or run with --register"));
    }

    fn candidates(&mut self, update: Update<BTreeMap<Box<str>, OwnService>>) {
        // One that was found already, and an answer that was on its way.
        if self.candidates.is_none() {
            return;
        }
        let services = match update {
            Update::Changed { document, .. } => document.map(Arc::unwrap_or_clone).unwrap_or_default(),
            Update::Failed(error) => {
                self.failed(&error);
                if matches!(error.class(), Class::Denied | Class::Mistake) {
                    self.readiness.answered(Question::Own, Instant::now());
                    self.unready = Some(format!("cannot tell which service of the agent this is: {error}"));
                }
                return;
            }
            Update::Facts(_) | Update::Recovered => return,
        };
        match only_one(self.config.kind, services.values()) {
            Ok(own) => {
                if let Some(watch) = self.candidates.take() {
                    self.planner.unwatch(watch);
                }
                let id = own.id.clone();
                tracing::info!(id, "this gateway is the one registered with the agent");
                self.follow_own(&id);
            }
            Err(error) => {
                self.readiness.answered(Question::Own, Instant::now());
                self.unready = Some(error.to_string());
            }
        }
    }

    fn own_rows(&mut self, update: Update<Vec<HealthEntry>>) {
        let Some(document) = self.document(Question::Own, update) else { return };
        let Own::OfNode { id, node } = &self.config.own else { return };
        let rows = document.unwrap_or_default();
        let mine = rows.iter().find(|row| *row.service.id == **id && *row.node.name == **node);
        match mine {
            Some(row) => {
                self.unready = None;
                self.identity.own_datacenter = Some(row.node.datacenter.to_string());
                self.follow_datacenters();
                let read = own::of_row(row, &self.config);
                self.take_own(read);
            }
            None => {
                self.unready =
                    Some(format!("service ID {id:?} is not in the catalog on node {node:?}: register it"));
            }
        }
    }

    fn take_own(&mut self, read: own::Read) {
        if self.own_notes != read.notes {
            for note in &read.notes {
                tracing::warn!("{note}");
            }
            self.own_notes = read.notes;
        }
        self.assembler.set_own(read.options, read.only_first_name);
    }

    /// Whether the gateway's registration is in place, as far as this is known.
    pub(super) fn is_registered(&self) -> bool {
        self.registrar.as_ref().is_some_and(|handle| handle.status().state == Registered::Registered)
    }
}

/// What of a list of instances can carry traffic of other datacenters.
fn gateways(mut rows: Vec<HealthEntry>) -> Vec<HealthEntry> {
    rows.retain(|row| row.service.kind == ServiceKind::MeshGateway);
    rows.iter_mut().for_each(HealthEntry::forget_outputs);
    rows
}
