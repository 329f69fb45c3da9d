//! The loop of a source: answers in, snapshots out. What is asked and made of it is the role's.

mod commands;
mod core;
mod registration;
mod sight;

pub(super) use core::Core;

use super::{
    ConsulSource,
    event::Event,
    handle::Command,
    report,
    role::{ConsulRole, Part},
    state::SourceState,
};
use crate::publish::Publisher;
use catalog_client::{
    capability::Capabilities,
    planner::Planner,
    watch::{AgentState, Row, State},
};
use sight::Seen;
use std::time::Instant;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Duration, sleep_until},
};

/// Answers that are taken in before the next snapshot is thought of.
const BATCH: usize = 256;
/// How often it is looked whether the agent has come back, for what is asked again then.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is said what is waited for, as it gets less.
const SAY_WAITING: Duration = Duration::from_secs(1);

pub(super) struct Driver<R: ConsulRole> {
    core: Core<<R::Part as Part<R>>::Answer>,
    role: R::Part,
    publisher: Publisher<R::Snapshot>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Receiver<Event<<R::Part as Part<R>>::Answer>>,
}

impl<R: ConsulRole> Driver<R> {
    pub(super) fn new(source: ConsulSource<R>) -> Self {
        let ConsulSource { client, config, options, publisher, commands, shared } = source;
        let (planner, events) = Planner::new(client.clone(), config.plan.clone());
        let mut core = Core::new(client, config, shared, planner, R::Part::QUESTIONS);
        core.sight.trust_itself(R::Part::SEES_ITSELF);
        let role = R::Part::new(&core, options);
        Self { core, role, publisher, commands, events }
    }

    pub(super) async fn run(mut self) {
        self.role.start(&mut self.core);
        self.core.start();
        loop {
            let due = self.due(Instant::now());
            let core = &mut self.core;
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
                found = finished(&mut core.probing) => self.learn(found),
                seen = finished(&mut core.sight.checking) => self.settle_doubt(seen.flatten()),
                ended = finished(&mut core.own.registering) => core.registrar_ended(ended),
                () = core::changed(&mut core.own.registration) => {
                    core.registration_changed();
                }
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

    fn take(&mut self, event: Event<<R::Part as Part<R>>::Answer>) {
        match event {
            Event::Role(answer) => self.role.take(&mut self.core, answer),
            Event::Own(update) => {
                if let Some(read) = self.core.own(update) {
                    self.take_own(read);
                }
            }
            Event::OwnRows(update) => {
                if let Some(read) = self.core.own_rows(update) {
                    self.take_own(read);
                }
            }
            Event::Candidates(update) => self.core.candidates(update),
            Event::Listed(id, update) => self.core.listed_rows(&id, update),
        }
    }

    fn take_own(&mut self, read: super::own::Read) {
        self.role.set_own(self.core.noted(read));
        self.role.learned(&mut self.core);
    }

    /// Takes over what a probe found out. `None`: it came to nothing, and is repeated.
    fn learn(&mut self, found: Option<Capabilities>) {
        self.core.learn(found);
        self.role.learned(&mut self.core);
    }

    fn settle_doubt(&mut self, seen: Option<Seen>) {
        if let Some(granted) = self.core.sight.settle(seen, self.role.held_back()) {
            self.role.let_go(&mut self.core, &granted);
        }
    }

    fn look_into_doubt(&mut self, now: Instant) {
        if self.core.sight.is_due(now) {
            let itself = R::Part::SEES_ITSELF.then(|| self.core.config.service.clone());
            self.core.sight.look(self.core.client.clone(), itself, self.role.doubted());
        }
    }

    /// When the loop has to look at the clock next.
    fn due(&self, now: Instant) -> Instant {
        let mut due = now + LOOK;
        if let Some(published) = self.core.published
            && self.role.is_touched()
        {
            due = due.min(published + self.core.config.settle);
        }
        if self.core.published.is_none()
            && let Some(at) = self.core.readiness.gives_up_at(self.core.config.ready_within)
        {
            due = due.min(at.max(now));
        }
        self.role.due().map_or(due, |at| due.min(at.max(now)))
    }

    /// Publishes what has come together, and says how things are.
    fn step(&mut self, now: Instant) {
        self.core.look_after_the_agent(now);
        self.look_into_doubt(now);
        self.role.tick(&mut self.core, now);
        self.role.set_identity(self.core.identity.complete(&self.core.config).ok());
        match self.core.published {
            Some(published) if self.role.is_touched() && now >= published + self.core.config.settle => {
                self.publish(now);
            }
            Some(_) => {}
            None if self.missing(now).is_none() => {
                let waiting = self.role.waiting();
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
        let before = self.role.snapshot().clone();
        if let Some(snapshot) = self.role.build() {
            let new_problem = report::change::<R>(&before, &snapshot);
            self.core.shared.counters.published(&*snapshot, new_problem);
            // Whoever takes the first one up looks at the state next.
            self.core.published = Some(now);
            self.say_state(now);
            self.publisher.publish(snapshot);
        }
    }

    /// What is still waited for before the first snapshot.
    fn missing(&self, now: Instant) -> Option<String> {
        let core = &self.core;
        let missing = core.readiness.missing(self.role.waiting(), core.config.ready_within, now);
        missing.or_else(|| {
            core.identity
                .complete(&core.config)
                .err()
                .map(|what| format!("waiting for Consul to tell {what}"))
        })
    }

    fn say_state(&mut self, now: Instant) {
        let state = if let Some(why) = &self.core.refused {
            SourceState::Refused(why.clone())
        } else if self.core.published.is_none() {
            // What is missing changes with each of the first answers: no news for a reader.
            if self.core.said_waiting.is_some_and(|at| now < at + SAY_WAITING) {
                return;
            }
            self.core.said_waiting = Some(now);
            let missing = self.missing(now).unwrap_or_default();
            SourceState::Waiting(match self.trouble() {
                Some(error) => format!("{missing}; {error}"),
                None => missing,
            })
        } else if let Some(why) = self.core.own.unready.as_ref().or(self.core.own.unlisted.as_ref()) {
            SourceState::Unready(why.clone())
        } else {
            SourceState::Ready
        };
        self.core.say(state);
    }

    /// Why Consul does not tell what is missing, if that is known.
    fn trouble(&self) -> Option<String> {
        let away = self.core.planner.agent().error().map(|error| error.to_string());
        away.or_else(|| {
            let unknown = |row: &Row| row.answers == 0 && matches!(row.state, State::Failing(_));
            self.core.planner.status().rows(1).into_iter().find(unknown)?.error
        })
    }
}

/// The result of a task that is awaited once. Never returns if there is none.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    let Some(running) = task else { return std::future::pending().await };
    let result = running.await;
    *task = None;
    result.ok()
}

/// Whether the agent is away.
fn is_down(state: AgentState) -> bool {
    state == AgentState::Down
}
