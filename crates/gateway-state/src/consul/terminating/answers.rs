//! Takes in what watches say.

use super::{
    super::{driver::Core, readiness::Question},
    Answer, INSTANCES, INTENTIONS, Service, Terminating,
    asking::{ALL_KINDS, BY_KIND},
    written::Touched,
};
use crate::terminating::LeafInput;
use bytes::Bytes;
use catalog_client::{
    error::Class,
    health::HealthEntry,
    query::{CriticalCheck, GatewayService},
    watch::{Facts, Update},
};
use intentions::Row;
use mtls::{LeafDocument, RootsDocument};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Instant,
};

impl Terminating {
    pub(super) fn answer(&mut self, core: &mut Core<Answer>, answer: Answer) {
        match answer {
            Answer::Roots(update) => {
                self.header(core, &update);
                self.roots(core, update);
            }
            Answer::Links(update) => {
                self.header(core, &update);
                self.links(core, update);
            }
            Answer::Entries(list, update) => {
                self.header(core, &update);
                self.entries(core, list, update);
            }
            Answer::Names(update) => {
                self.header(core, &update);
                if let Update::Failed(error) = update {
                    core.failed(&error);
                }
            }
            Answer::Critical(update) => {
                if let Update::Changed { document: Some(checks), .. } = update {
                    self.critical(core, &checks);
                }
            }
            Answer::OldIntentions(update) => {
                if let Update::Changed { document, .. } = update {
                    let rows = document.unwrap_or_default();
                    let touched = self.written.intentions(&rows);
                    self.read_intentions(core, touched);
                }
            }
            Answer::Instances(name, update) => self.instances(core, &name, update),
            Answer::Intentions(name, update) => self.intentions(core, &name, update),
            Answer::Leaf(name, update) => self.leaf(core, &name, update),
        }
    }

    /// What an answer says beside its body: what is denied by default.
    fn header<D>(&mut self, core: &mut Core<Answer>, update: &Update<D>) {
        let (Update::Changed { facts, .. } | Update::Facts(facts)) = update else { return };
        let Facts { default_deny, .. } = facts;
        if self.policy.header(*default_deny) {
            core.probe();
        }
    }

    fn roots(&mut self, core: &mut Core<Answer>, update: Update<RootsDocument>) {
        let Some(Some(roots)) = core.document(Question::Roots, update) else { return };
        // Without a root the last known ones stay: the CA is not ready, and nothing else is said.
        if roots.roots.is_empty() || roots.trust_domain.is_empty() {
            tracing::warn!("Consul's CA has no root: the mesh's certificates cannot be checked until it has");
            return;
        }
        core.identity.trust_domain = Some(roots.trust_domain.clone());
        core.readiness.answered(Question::Roots, Instant::now());
        self.leaves.root(&roots.active_root_id, Instant::now());
        let pems = roots.roots.iter().map(|root| root.root_cert.clone().into_bytes().into());
        self.roots = Some(pems.collect());
        self.put_mesh();
    }

    fn links(&mut self, core: &mut Core<Answer>, update: Update<Vec<GatewayService>>) {
        let Some(document) = core.document(Question::Links, update) else { return };
        let rows = document.map(Arc::unwrap_or_clone).unwrap_or_default();
        if self.links.set_rows(rows, core.sight.can_doubt()) {
            core.sight.doubt();
        }
        self.link(core);
    }

    /// Takes over what is linked.
    pub(super) fn link(&mut self, core: &mut Core<Answer>) {
        let before = std::mem::take(&mut self.services);
        for (name, link) in self.links.all() {
            let is_destination = link.is_destination;
            // A service that was a destination before has instances that nobody has asked for.
            let known = before.get(&name).filter(|service| service.is_destination == is_destination);
            let service = known.cloned().unwrap_or(Service { is_destination, ..Service::default() });
            self.services.insert(name, service);
        }
        self.doubt.retain(|name| self.services.contains_key(name));
        self.nodes.retain(|name, _| self.services.contains_key(name));
        self.put_links();
        let followed = |services: &BTreeMap<Arc<str>, Service>| {
            services.iter().map(|(name, it)| (name.clone(), it.is_destination)).collect::<Vec<_>>()
        };
        if followed(&before) != followed(&self.services) {
            self.follow_links(core);
        }
    }

    fn entries(&mut self, core: &mut Core<Answer>, list: &'static str, update: Update<Bytes>) {
        if let Update::Failed(error) = &update
            && list == ALL_KINDS
            && matches!(error.class(), Class::Denied | Class::Unsupported | Class::Mistake)
        {
            core.failed(error);
            return self.follow_entries_by_kind(core);
        }
        let Some(document) = self.entries_document(core, list, update) else { return };
        let body = document.as_ref().map_or(&b"[]"[..], |body| body);
        self.lists.set(list, body);
        self.put_config();
        if list == ALL_KINDS || list.ends_with("/service-intentions") {
            let touched = self.written.entries(body);
            self.read_intentions(core, touched);
        }
        if list == ALL_KINDS || list.ends_with("/terminating-gateway") {
            if list != ALL_KINDS {
                self.links.forget(ALL_KINDS);
            }
            self.links.set_entries(list, body);
            self.link(core);
        }
    }

    /// Kind by kind, the entries are known when all lists that matter have come, or cannot.
    fn entries_document(
        &mut self,
        core: &mut Core<Answer>,
        list: &'static str,
        update: Update<Bytes>,
    ) -> Option<Option<Arc<Bytes>>> {
        if list == ALL_KINDS {
            return core.document(Question::Entries, update);
        }
        let (document, answered) = match update {
            Update::Changed { document, .. } => (Some(document), true),
            Update::Failed(error) => (None, core.service_failed(&error)),
            Update::Facts(_) | Update::Recovered => (None, false),
        };
        if answered && self.came.insert(list) && self.came.len() == BY_KIND.len() {
            core.readiness.answered(Question::Entries, Instant::now());
        }
        document
    }

    /// Reads the intentions again that were written.
    fn read_intentions(&self, core: &Core<Answer>, touched: Touched) {
        match touched {
            Touched::All => core.planner.fast_round(self.families.intentions),
            Touched::These(names) => {
                for name in names {
                    core.planner.read_now(self.families.intentions, &name);
                }
            }
        }
    }

    fn instances(&mut self, core: &mut Core<Answer>, name: &Arc<str>, update: Update<Vec<HealthEntry>>) {
        let rows = match update {
            Update::Changed { document, .. } => document.map(Arc::unwrap_or_clone).unwrap_or_default(),
            Update::Failed(error) => {
                if core.service_failed(&error) {
                    self.answered(name, |service| {
                        let known = std::mem::replace(&mut service.instances, true);
                        if !known {
                            service.unread[INSTANCES] = Some(format!("its instances: {error}").into());
                        }
                    });
                }
                return;
            }
            Update::Facts(_) | Update::Recovered => return,
        };
        if self.services.get(name).is_none_or(|service| service.is_destination) {
            return;
        }
        let lost_all =
            rows.is_empty() && self.services.get(name).is_some_and(|service| service.has_instances);
        if lost_all && core.sight.can_doubt() {
            self.doubt.insert(name.clone());
            core.sight.doubt();
            return;
        }
        self.doubt.remove(name);
        self.take_rows(name, rows);
    }

    pub(super) fn take_rows(&mut self, name: &Arc<str>, mut rows: Vec<HealthEntry>) {
        rows.iter_mut().for_each(HealthEntry::forget_outputs);
        self.interner.share(&mut rows);
        let has_instances = !rows.is_empty();
        self.answered(name, |service| {
            (service.instances, service.has_instances) = (true, has_instances);
            service.unread[INSTANCES] = None;
        });
        if has_instances {
            self.nodes.insert(name.clone(), rows.iter().map(|row| row.node.name.clone()).collect());
        }
        let key = self.key(name);
        self.assembler.set_instances(&key, rows);
    }

    fn intentions(
        &mut self,
        core: &mut Core<Answer>,
        name: &Arc<str>,
        update: Update<BTreeMap<Box<str>, Vec<Row>>>,
    ) {
        match update {
            Update::Changed { document, .. } => {
                if !self.services.contains_key(name) {
                    return;
                }
                let mut lists = document.map(Arc::unwrap_or_clone).unwrap_or_default();
                // An answer without the name is no answer about it; the query looks at that.
                let Some(rows) = lists.remove(&**name) else { return };
                self.answered(name, |service| {
                    service.intentions = true;
                    service.unread[INTENTIONS] = None;
                });
                let intentions = rows.into_iter().filter_map(|row| row.intention).collect();
                let key = self.key(name);
                self.assembler.set_intentions(&key, intentions);
            }
            Update::Failed(error) => {
                if core.service_failed(&error) {
                    self.answered(name, |service| {
                        let known = std::mem::replace(&mut service.intentions, true);
                        if !known {
                            service.unread[INTENTIONS] = Some(format!("its intentions: {error}").into());
                        }
                    });
                }
            }
            Update::Facts(_) | Update::Recovered => {}
        }
    }

    fn leaf(&mut self, core: &mut Core<Answer>, name: &Arc<str>, update: Update<LeafDocument>) {
        match update {
            Update::Changed { document: Some(document), .. } => {
                if !self.services.contains_key(name) {
                    return;
                }
                self.answered(name, |service| (service.leaf, service.has_leaf) = (true, true));
                let (cert, private) =
                    (document.cert_pem.as_bytes(), document.private_key_pem.expose().as_bytes());
                let leaf = LeafInput::Pem { cert: cert.to_vec().into(), key: private.to_vec().into() };
                let key = self.key(name);
                self.assembler.set_leaf(&key, leaf);
            }
            Update::Failed(error) => {
                if core.service_failed(&error) {
                    self.answered(name, |service| service.leaf = true);
                }
                // Of one that has a leaf the watch says that it fails.
                if self.services.get(name).is_some_and(|service| !service.has_leaf) {
                    let key = self.key(name);
                    self.assembler.set_leaf(&key, LeafInput::Failed(error.to_string().into()));
                }
            }
            Update::Changed { document: None, .. } | Update::Facts(_) | Update::Recovered => {}
        }
    }

    /// Reads at once what a check that turned may be about.
    fn critical(&mut self, core: &Core<Answer>, checks: &[CriticalCheck]) {
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
        for name in services.iter().filter(|name| self.services.contains_key(&***name)) {
            core.planner.read_now(self.families.instances, name);
        }
        if !nodes.is_empty() {
            let on_them = self.nodes.iter().filter(|(_, of)| of.iter().any(|node| nodes.contains(node)));
            for (name, _) in on_them {
                core.planner.read_now(self.families.instances, name);
            }
        }
    }
}
