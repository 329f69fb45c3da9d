//! Keeps the registration in place: the loop around the decisions of [`Machine`].

use super::{
    agent::Agent,
    config::RegistrarConfig,
    gateway::GatewayRegistration,
    handle::RegistrarHandle,
    machine::{Action, Machine, Step, Wants},
    request::{self, Place},
    status::{RegistrationStatus, State},
};
use crate::error::Error;
use std::{
    future::{Future, pending},
    time::Instant,
};
use tokio::{sync::watch, time::sleep_until};

/// The first registration was refused; the process should end with this text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id} cannot be registered: {error}")]
pub struct Refused {
    /// The service ID.
    pub id: String,
    /// What Consul said.
    pub error: Error,
}

/// Registers a gateway and keeps it registered.
#[derive(Debug)]
pub struct Registrar<A> {
    agent: A,
    registration: GatewayRegistration,
    place: Place,
    machine: Machine,
    wants: watch::Receiver<Wants>,
    status: watch::Sender<RegistrationStatus>,
}

impl<A: Agent> Registrar<A> {
    /// Makes a registrar that does nothing before [`run`](Self::run).
    pub fn new(
        agent: A,
        registration: GatewayRegistration,
        place: Place,
        config: RegistrarConfig,
    ) -> (Self, RegistrarHandle) {
        let status = RegistrationStatus::new(place.clone(), &registration.id);
        let machine = Machine::new(config, status.clone(), Wants::default(), now());
        let (wants_sender, wants) = watch::channel(Wants::default());
        let (status, status_receiver) = watch::channel(status);
        let handle = RegistrarHandle::new(wants_sender, status_receiver);
        (Self { agent, registration, place, machine, wants, status }, handle)
    }

    /// Registers, and does what the handle asks for, until [`RegistrarHandle::deregister`] is done.
    /// An agent that cannot be reached is tried for ever.
    ///
    /// # Errors
    /// The first registration was refused, or answered with 5xx or 429 for longer than the patience.
    pub async fn run(mut self) -> Result<(), Refused> {
        loop {
            let wants = self.wants.borrow_and_update().clone();
            self.machine.heed(wants, now());
            let step = self.machine.next(now());
            self.publish(step);
            match step {
                Step::Do(action) => self.act(action).await,
                Step::Wait(until) => tokio::select! {
                    () = at(until) => {}
                    () = changed(&mut self.wants) => {}
                },
                Step::End => break,
            }
        }
        match (self.machine.status.state, self.machine.status.last_error.clone()) {
            (State::Refused, Some(error)) => Err(Refused { id: self.registration.id, error }),
            _ => Ok(()),
        }
    }

    async fn act(&mut self, action: Action) {
        self.machine.begin(action, now());
        let wants = self.machine.wants().clone();
        match action {
            Action::Register(reason) => {
                let write = self.place.register(&self.registration, wants.failure());
                let send = self.agent.send(&write);
                // The last words do not wait for a write that may hang; it may be heard all the same,
                // which they allow for.
                if let Some(result) = unless_urgent(send, &mut self.wants, &wants).await {
                    self.machine.registered(reason, result, now(), fastrand::f64());
                }
            }
            Action::Confirm => {
                let ask = self.agent.knows(&self.registration.id);
                if let Some(known) = unless_urgent(ask, &mut self.wants, &wants).await {
                    self.machine.confirmed(known, now());
                }
            }
            Action::Look => {
                let ask = self.agent.lists(&self.registration.name, &self.registration.id);
                if let Some(seen) = unless_urgent(ask, &mut self.wants, &wants).await {
                    self.machine.looked(&seen, now());
                }
            }
            Action::Maintain => {
                let write = request::maintenance(&self.registration, wants.maintenance.1.as_deref());
                let send = self.agent.send(&write);
                if let Some(result) = unless_urgent(send, &mut self.wants, &wants).await {
                    self.machine.maintained(&wants.maintenance, result, now(), fastrand::f64());
                }
            }
            Action::Deregister => {
                let result = self.agent.send(&self.place.deregister(&self.registration)).await;
                if result.is_ok() {
                    self.remove_node().await;
                }
                self.machine.deregistered(result, now(), fastrand::f64());
            }
        }
    }

    /// Removes the node of a gateway without an agent, unless somebody else has a service on it. A
    /// node that stays does no harm.
    async fn remove_node(&self) {
        let Place::Catalog { node, .. } = &self.place else { return };
        let removed = match self.agent.node_is_empty(node).await {
            Ok(true) => self.agent.send(&request::remove_node(&self.registration, node)).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::info!(node, %error, "the node of the gateway stays in the catalog");
        }
    }

    /// Shows the state, with one log line for each change of it.
    fn publish(&mut self, step: Step) {
        let mut status = self.machine.status.clone();
        status.next_try = match step {
            Step::Wait(until) => until,
            Step::Do(_) => Some(now()),
            Step::End => None,
        };
        let before = self.status.send_replace(status);
        log_change(&before, &self.machine.status, &self.registration);
    }
}

fn log_change(before: &RegistrationStatus, after: &RegistrationStatus, it: &GatewayRegistration) {
    let id = it.id.as_str();
    match (before.state, after.state) {
        (a, State::Registered) if a != after.state => tracing::info!(id, name = it.name, "registered"),
        (a, State::Lost) if a != after.state => {
            tracing::warn!(id, "the agent does not know the registration any more; registering again");
        }
        (a, State::Ended) if a != after.state => match &after.left {
            Some(Err(error)) => tracing::warn!(id, %error, "the registration could not be taken back"),
            _ => tracing::info!(id, "not registered any more"),
        },
        _ => {}
    }
    match (&before.last_error, &after.last_error) {
        (None, Some(error)) => tracing::warn!(id, %error, "cannot register; trying again"),
        (Some(old), Some(new)) if old.class() != new.class() => {
            tracing::warn!(id, error = %new, "still cannot register, for another reason");
        }
        (Some(_), None) if before.state == after.state => tracing::info!(id, "registering works again"),
        _ => {}
    }
    if before.maintenance != after.maintenance {
        let reason = after.maintenance.as_deref();
        tracing::info!(id, reason, "maintenance is switched {}", if reason.is_some() { "on" } else { "off" });
    }
    if before.visible == Some(false) && after.visible == Some(true) {
        tracing::info!(id, name = it.name, "the token sees the own registration now");
    }
    if after.visible == Some(false) && before.visible != after.visible {
        tracing::warn!(
            id,
            name = it.name,
            "the token does not see the own registration, so it may miss other services too: it needs \
             service_prefix \"\" {{ policy = \"read\" }} and node_prefix \"\" {{ policy = \"read\" }}"
        );
    }
}

/// Runs `work` to its end, or drops it when something urgent is wanted.
async fn unless_urgent<T>(
    work: impl Future<Output = T>,
    wants: &mut watch::Receiver<Wants>,
    before: &Wants,
) -> Option<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = changed(wants) => {
                if wants.borrow().is_urgent_after(before) {
                    return None;
                }
            }
        }
    }
}

/// Something is wanted. Never, once every handle is gone.
async fn changed(wants: &mut watch::Receiver<Wants>) {
    if wants.changed().await.is_err() {
        pending::<()>().await;
    }
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until.into()).await,
        None => pending().await,
    }
}

/// Now, also by a test's paused clock.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
