//! The loop of a source: answers in, snapshots out.

mod answers;
mod asking;
mod commands;
mod doubt;

use super::{
    ConsulSource,
    config::{ConsulConfig, Own},
    event::Event,
    handle::{Command, Shared},
    identity::Identity,
    names::Names,
    readiness::{Question, Readiness},
    report,
    state::SourceState,
};
use crate::{
    mesh::{MeshAssembler, MeshSnapshot},
    publish::Publisher,
};
use catalog_client::{
    Client,
    capability::{Capabilities, Known},
    health::Interner,
    planner::{FamilyId, Planner, WatchId},
    query::CriticalCheck,
    registration::{HostNetwork, Refused, RegistrarHandle, RegistrationStatus, State as Registered},
    watch::{AgentState, Row, State},
};
use doubt::Doubt;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Instant,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Duration, sleep_until},
};

/// Answers that are taken in before the next snapshot is thought of.
const BATCH: usize = 256;
/// How often it is looked whether the agent has come back, for what is asked again then.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is said what is waited for, as it gets less.
const SAY_WAITING: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    client: Client,
    config: ConsulConfig,
    shared: Arc<Shared>,
    publisher: Publisher<MeshSnapshot>,
    commands: mpsc::Receiver<Command>,
    planner: Planner<Event>,
    events: mpsc::Receiver<Event>,
    services: FamilyId,
    assembler: MeshAssembler,
    identity: Identity,
    names: Names,
    readiness: Readiness,
    interner: Interner,
    critical: HashSet<CriticalCheck>,
    doubt: Doubt,
    /// Consul's own servers were among the services.
    saw_servers: bool,
    /// They were not, and it was said.
    blind_from_start: bool,
    /// They are no longer: the token sees nothing.
    blind: bool,
    network: HostNetwork,
    /// Watches of the gateways of other datacenters.
    asked: BTreeMap<Arc<str>, WatchId>,
    /// The watch of the gateway's own service, once it is known under which ID.
    own: Option<WatchId>,
    /// Registrations that were made when that watch began.
    own_since: u64,
    /// What of its options could not be honoured, as it was logged.
    own_notes: Vec<String>,
    candidates: Option<WatchId>,
    /// The watch of config entries of all kinds, while there is one.
    entries: Option<WatchId>,
    datacenters: Vec<Box<str>>,
    /// Consul is asked whether it shows the gateway itself.
    looking: bool,
    registrar: Option<RegistrarHandle>,
    registering: Option<JoinHandle<Result<(), Refused>>>,
    registration: Option<watch::Receiver<RegistrationStatus>>,
    known: Known,
    probing: Option<JoinHandle<Capabilities>>,
    agent_was_down: bool,
    /// Why others should not be sent here although everything is known.
    unready: Option<String>,
    /// As that, because Consul shows less than there is.
    unlisted: Option<String>,
    refused: Option<String>,
    /// Consul does not know the token: when its file is read again.
    reread_token_at: Option<Instant>,
    /// What was wrong with the files of token and certificates, as it was logged.
    unread: Option<String>,
    published: Option<Instant>,
    said_waiting: Option<Instant>,
}

impl Driver {
    pub(super) fn new(source: ConsulSource) -> Self {
        let ConsulSource { client, config, publisher, commands, shared } = source;
        let (planner, events) = Planner::new(client.clone(), config.plan.clone());
        let services = asking::family(&planner);
        shared.see(|seen| seen.plan = Some(planner.status()));
        let assembler = MeshAssembler::new(&config.service, config.policy.clone());
        let network = HostNetwork::read().unwrap_or_else(|error| {
            tracing::warn!(%error, "the addresses of this host cannot be listed: none is taken for its own");
            HostNetwork::default()
        });
        let known = Known::new(config.capabilities.clone());
        let names = Names::new(&config.service);
        Self {
            client,
            config,
            shared,
            publisher,
            commands,
            planner,
            events,
            services,
            assembler,
            identity: Identity::default(),
            names,
            readiness: Readiness::default(),
            interner: Interner::default(),
            critical: HashSet::new(),
            doubt: Doubt::default(),
            saw_servers: false,
            blind_from_start: false,
            blind: false,
            network,
            asked: BTreeMap::new(),
            own: None,
            own_since: 0,
            own_notes: Vec::new(),
            candidates: None,
            entries: None,
            datacenters: Vec::new(),
            looking: false,
            registrar: None,
            registering: None,
            registration: None,
            known,
            probing: None,
            agent_was_down: false,
            unready: None,
            unlisted: None,
            refused: None,
            reread_token_at: None,
            unread: None,
            published: None,
            said_waiting: None,
        }
    }

    pub(super) async fn run(mut self) {
        self.start();
        loop {
            let due = self.due(Instant::now());
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                event = self.events.recv() => {
                    let Some(event) = event else { return };
                    self.take(event);
                    self.take_what_is_there();
                }
                found = finished(&mut self.probing) => self.learn(found),
                sees = finished(&mut self.doubt.checking) => self.settle_doubt(sees.flatten()),
                ended = finished(&mut self.registering) => self.registrar_ended(ended),
                () = changed(&mut self.registration) => self.registration_changed(),
                () = sleep_until(due.into()) => {}
            }
            self.step(Instant::now());
        }
    }

    fn take_what_is_there(&mut self) {
        for _ in 0..BATCH {
            let Ok(event) = self.events.try_recv() else { return };
            self.take(event);
        }
    }

    /// When the loop has to look at the clock next.
    fn due(&self, now: Instant) -> Instant {
        let mut due = now + LOOK;
        if let Some(published) = self.published
            && self.assembler.is_touched()
        {
            due = due.min(published + self.config.settle);
        }
        if self.published.is_none()
            && let Some(at) = self.readiness.gives_up_at(self.config.ready_within)
        {
            due = due.min(at.max(now));
        }
        due
    }

    /// Publishes what has come together, and says how things are.
    fn step(&mut self, now: Instant) {
        self.look_after_the_agent(now);
        self.look_into_doubt(now);
        self.assembler.set_identity(self.identity.complete(&self.config).ok());
        match self.published {
            Some(published) if self.assembler.is_touched() && now >= published + self.config.settle => {
                self.publish(now);
            }
            Some(_) => {}
            None if self.missing(now).is_none() => {
                let waiting = self.names.waiting();
                if waiting > 0 {
                    tracing::warn!(
                        services = waiting,
                        "serving without services whose endpoints Consul does not tell; they are asked for again"
                    );
                }
                self.publish(now);
            }
            None => {}
        }
        self.say_state(now);
    }

    fn publish(&mut self, now: Instant) {
        let before = self.assembler.snapshot().clone();
        if let Some(snapshot) = self.assembler.build() {
            let new_problem = report::change(&before, &snapshot);
            self.shared.counters.published(&snapshot, new_problem);
            // Whoever takes the first one up looks at the state next.
            self.published = Some(now);
            self.say_state(now);
            self.publisher.publish(snapshot);
        }
    }

    /// What is still waited for before the first snapshot.
    fn missing(&self, now: Instant) -> Option<String> {
        let missing = self.readiness.missing(self.names.waiting(), self.config.ready_within, now);
        missing.or_else(|| {
            self.identity
                .complete(&self.config)
                .err()
                .map(|what| format!("waiting for Consul to tell {what}"))
        })
    }

    fn say_state(&mut self, now: Instant) {
        let state = if let Some(why) = &self.refused {
            SourceState::Refused(why.clone())
        } else if self.published.is_none() {
            // What is missing changes with each of the first answers: no news for a reader.
            if self.said_waiting.is_some_and(|at| now < at + SAY_WAITING) {
                return;
            }
            self.said_waiting = Some(now);
            let missing = self.missing(now).unwrap_or_default();
            SourceState::Waiting(match self.trouble() {
                Some(error) => format!("{missing}; {error}"),
                None => missing,
            })
        } else if let Some(why) = self.unready.as_ref().or(self.unlisted.as_ref()) {
            SourceState::Unready(why.clone())
        } else {
            SourceState::Ready
        };
        if let Some(registrar) = &self.registrar {
            registrar.set_ready(state == SourceState::Ready);
        }
        self.shared.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    /// Why Consul does not tell what is missing, if that is known.
    fn trouble(&self) -> Option<String> {
        let away = self.planner.agent().error().map(|error| error.to_string());
        away.or_else(|| {
            let unknown = |row: &Row| row.answers == 0 && matches!(row.state, State::Failing(_));
            self.planner.status().rows(1).into_iter().find(unknown)?.error
        })
    }

    fn registrar_ended(&mut self, ended: Option<Result<(), Refused>>) {
        if let Some(Err(refused)) = ended {
            self.refused = Some(format!(
                "{refused}; correct --service, --address or the token, or run without --register"
            ));
        }
    }

    fn registration_changed(&mut self) {
        let Some(registrar) = &self.registrar else { return };
        let status = registrar.status();
        self.listed(status.visible != Some(false));
        if status.state == Registered::Registered && self.own_since != status.counts.registered {
            self.own_since = status.counts.registered;
            self.follow_own_registration();
        }
    }

    fn is_local(&self) -> impl Fn(std::net::IpAddr) -> bool + '_ {
        |ip| ip.is_loopback() || self.network.is_local(ip)
    }

    fn look_after_the_agent(&mut self, now: Instant) {
        let down = self.planner.agent().state().0 == AgentState::Down;
        if std::mem::replace(&mut self.agent_was_down, down) && !down {
            // It may be another one, or have forgotten us.
            if let Some(registrar) = &self.registrar {
                registrar.agent_returned();
            }
            self.known.agent_returned();
        }
        if self.probing.is_none() && !down && self.known.ask_at().is_none_or(|at| at <= now) {
            self.probe();
        }
        if self.known.settle(now) {
            self.show_capabilities();
        }
        if self.reread_token_at.is_some_and(|at| at <= now) {
            self.renew_token(now);
        }
    }
}

/// The result of a task that is awaited once. Never returns if there is none.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    let Some(running) = task else { return std::future::pending().await };
    let result = running.await;
    *task = None;
    result.ok()
}

/// Waits for the next status of the registration. Never returns if there is none.
async fn changed(registration: &mut Option<watch::Receiver<RegistrationStatus>>) {
    if let Some(status) = registration
        && status.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
