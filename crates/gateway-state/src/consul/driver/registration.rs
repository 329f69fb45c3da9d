//! The gateway's own service: how it comes into Consul, and what it says there.

use super::{
    super::{
        config::Own,
        event::Event,
        own::{self, Read},
        readiness::Question,
    },
    core::Core,
};
use catalog_client::{
    error::Class,
    health::HealthEntry,
    planner::WatchId,
    query::{AgentService, HealthService},
    registration::{
        OwnService, Place, Refused, Registrar, RegistrarHandle, RegistrationStatus, State as Registered,
        gateways_of_kind, only_one,
    },
    watch::Update,
};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// How often it is looked whether Consul shows the gateway itself.
const LOOK_FOR_ITSELF: Duration = Duration::from_secs(10);
/// How often the one gateway of the agent is looked for until there is one.
const LOOK_FOR_OWN: Duration = Duration::from_secs(2);

/// How far the own registration is.
#[derive(Debug, Default)]
pub(super) struct OwnState {
    /// The watch of the gateway's own service, once it is known under which ID.
    watch: Option<WatchId>,
    /// Registrations that were made when that watch began.
    since: u64,
    /// What of its options could not be honoured, as it was logged.
    notes: Vec<String>,
    candidates: Option<WatchId>,
    /// Consul is asked whether it shows the gateway itself.
    looking: bool,
    pub(super) registrar: Option<RegistrarHandle>,
    pub(super) registering: Option<JoinHandle<Result<(), Refused>>>,
    pub(super) registration: Option<watch::Receiver<RegistrationStatus>>,
    /// Why others should not be sent here although everything is known.
    pub(super) unready: Option<String>,
    /// As that, because Consul shows less than there is.
    pub(super) unlisted: Option<String>,
}

impl<A: Send + 'static> Core<A> {
    pub(super) fn follow_own_service(&mut self) {
        match &self.config.own {
            // Before it is registered there is nothing to be seen.
            Own::Register { registration, place, .. } => {
                let (registration, place) = ((**registration).clone(), place.clone());
                let config = self.config.registrar.clone();
                let (registrar, handle) = Registrar::new(self.client.clone(), registration, place, config);
                self.own.registration = Some(handle.subscribe());
                self.own.registering = Some(tokio::spawn(registrar.run()));
                self.own.registrar = Some(handle.clone());
                self.shared.see(|seen| seen.registrar = Some(handle));
            }
            Own::OfAgent { id } => self.follow_own(&id.clone()),
            Own::OfNode { .. } => {
                let query = HealthService::new(&self.config.service);
                self.own.watch = Some(self.planner.watch(query, Event::OwnRows));
            }
            Own::OnlyOne => {
                let query = gateways_of_kind(self.config.kind);
                self.own.candidates = Some(self.planner.poll(query, LOOK_FOR_OWN, Event::Candidates));
            }
        }
    }

    /// Watches the gateway's own service with the agent.
    fn follow_own(&mut self, id: &str) {
        self.own.watch = Some(self.planner.watch(AgentService::new(id), Event::Own));
    }

    /// The registration is in place: from here on it is watched like anybody else's. It is a new watch
    /// each time: one that has seen the registration missing says so once, and might not see that it came
    /// back before it is missing again.
    fn follow_own_registration(&mut self) {
        let Own::Register { registration, place, .. } = &self.config.own else { return };
        match place {
            Place::Agent => {
                let id = registration.id.clone();
                if let Some(before) = self.own.watch.take() {
                    self.planner.unwatch(before);
                }
                self.follow_own(&id);
            }
            // No agent knows it, and it has said everything itself.
            Place::Catalog { .. } => self.readiness.answered(Question::Own, Instant::now()),
        }
    }

    /// Looks whether the token lets the gateway see itself; who registers it looks by itself.
    fn look_for_itself(&mut self, id: &str) {
        if self.own.registrar.is_some() || self.own.looking {
            return;
        }
        self.own.looking = true;
        let query = HealthService::<HealthEntry>::new(&self.config.service);
        let id: Arc<str> = id.into();
        self.planner.poll(query, LOOK_FOR_ITSELF, move |update| Event::Listed(id.clone(), update));
    }

    /// What an agent says about the gateway's own service, if it says something new.
    pub(super) fn own(&mut self, update: Update<OwnService>) -> Option<Read> {
        match self.document(Question::Own, update)? {
            Some(service) => {
                self.own.unready = None;
                self.identity.own_datacenter = Some(service.datacenter.clone());
                self.look_for_itself(&service.id);
                Some(own::of_service(&service, &self.config, self.is_local()))
            }
            None => {
                self.own_is_gone();
                None
            }
        }
    }

    /// The same where only the catalog has it.
    pub(super) fn own_rows(&mut self, update: Update<Vec<HealthEntry>>) -> Option<Read> {
        let document = self.document(Question::Own, update)?;
        let Own::OfNode { id, node } = &self.config.own else { return None };
        let rows = document.unwrap_or_default();
        let mine = rows.iter().find(|row| *row.service.id == **id && *row.node.name == **node);
        match mine {
            Some(row) => {
                self.own.unready = None;
                self.identity.own_datacenter = Some(row.node.datacenter.to_string());
                Some(own::of_row(row, &self.config))
            }
            None => {
                self.own.unready =
                    Some(format!("service ID {id:?} is not in the catalog on node {node:?}: register it"));
                None
            }
        }
    }

    /// Logs what could not be honoured, once.
    pub(super) fn noted(&mut self, mut read: Read) -> Read {
        let notes = std::mem::take(&mut read.notes);
        if self.own.notes != notes {
            for note in &notes {
                tracing::warn!("{note}");
            }
            self.own.notes = notes;
        }
        read
    }

    fn own_is_gone(&mut self) {
        if let Some(registrar) = &self.own.registrar {
            registrar.missing();
            return;
        }
        let service = match &self.config.own {
            Own::OfAgent { id } => format!("service ID {id:?}"),
            _ => format!("a {} service", self.config.kind),
        };
        self.own.unready =
            Some(format!("{service} is not registered with this agent; register it, or run with --register"));
    }

    pub(super) fn listed_rows(&mut self, id: &str, update: Update<Vec<HealthEntry>>) {
        if let Update::Changed { document, .. } = update {
            let rows = document.unwrap_or_default();
            let listed = rows.iter().any(|row| *row.service.id == *id);
            if listed {
                self.sight.saw_itself();
            }
            self.listed(listed);
        }
    }

    /// Whether Consul shows the gateway among the instances of its name (consul-api 7, row 52).
    fn listed(&mut self, visible: bool) {
        let before = self.own.unlisted.is_some();
        self.own.unlisted = (!visible).then(|| {
            format!(
                "Consul does not list this gateway among the instances of {:?}, although it is registered: the \
                 token needs service_prefix \"\" {{ policy = \"read\" }} and node_prefix \"\" {{ policy = \"read\" }}",
                self.config.service
            )
        });
        match (before, &self.own.unlisted) {
            (false, Some(why)) => tracing::warn!("{why}"),
            (true, None) => tracing::info!("Consul lists this gateway"),
            _ => {}
        }
    }

    pub(super) fn candidates(&mut self, update: Update<BTreeMap<Box<str>, OwnService>>) {
        // One that was found already, and an answer that was on its way.
        if self.own.candidates.is_none() {
            return;
        }
        let services = match update {
            Update::Changed { document, .. } => document.map(Arc::unwrap_or_clone).unwrap_or_default(),
            Update::Failed(error) => {
                self.failed(&error);
                if matches!(error.class(), Class::Denied | Class::Mistake) {
                    self.readiness.answered(Question::Own, Instant::now());
                    self.own.unready =
                        Some(format!("cannot tell which service of the agent this is: {error}"));
                }
                return;
            }
            Update::Facts(_) | Update::Recovered => return,
        };
        match only_one(self.config.kind, services.values()) {
            Ok(own) => {
                if let Some(watch) = self.own.candidates.take() {
                    self.planner.unwatch(watch);
                }
                let id = own.id.clone();
                tracing::info!(id, "this gateway is the one registered with the agent");
                self.follow_own(&id);
            }
            Err(error) => {
                self.readiness.answered(Question::Own, Instant::now());
                self.own.unready = Some(error.to_string());
            }
        }
    }

    pub(super) fn registrar_ended(&mut self, ended: Option<Result<(), Refused>>) {
        if let Some(Err(refused)) = ended {
            self.refused = Some(format!(
                "{refused}; correct --service, --address or the token, or run without --register"
            ));
        }
    }

    pub(super) fn registration_changed(&mut self) {
        let Some(registrar) = &self.own.registrar else { return };
        let status = registrar.status();
        if status.visible == Some(true) {
            self.sight.saw_itself();
        }
        self.listed(status.visible != Some(false));
        if status.state == Registered::Registered && self.own.since != status.counts.registered {
            self.own.since = status.counts.registered;
            self.follow_own_registration();
        }
    }

    /// Whether the gateway's registration is in place, as far as this is known.
    pub(super) fn is_registered(&self) -> bool {
        self.own.registrar.as_ref().is_some_and(|handle| handle.status().state == Registered::Registered)
    }

    fn is_local(&self) -> impl Fn(IpAddr) -> bool + '_ {
        |ip| ip.is_loopback() || self.network.is_local(ip)
    }
}
