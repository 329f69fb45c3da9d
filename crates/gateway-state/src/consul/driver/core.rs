//! What every source does, whatever its role.

use super::{
    super::{
        config::ConsulConfig,
        event::Event,
        handle::Shared,
        identity::Identity,
        readiness::{Question, Readiness},
        state::SourceState,
    },
    registration::OwnState,
    sight::Sight,
};
use catalog_client::{
    Client, Error, Query,
    capability::{Capabilities, Known, TokenFacts},
    error::{Cause, Class},
    planner::{Planner, WatchId},
    registration::{HostNetwork, RegistrationStatus},
    watch::{Row, State, Update},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// How often the token's file is read while Consul does not know the token.
const REREAD_TOKEN: Duration = Duration::from_secs(2);

/// What every source does, whatever its role: its own registration, the token, what this Consul can do, whether
/// enough is known. `A` is what the role's own questions are answered with.
pub struct Core<A> {
    pub(in crate::consul) client: Client,
    pub(in crate::consul) config: ConsulConfig,
    pub(in crate::consul) shared: Arc<Shared>,
    pub(in crate::consul) planner: Planner<Event<A>>,
    pub(in crate::consul) identity: Identity,
    pub(in crate::consul) readiness: Readiness,
    pub(in crate::consul) sight: Sight,
    pub(in crate::consul) known: Known,
    pub(super) own: OwnState,
    pub(super) network: HostNetwork,
    pub(super) probing: Option<JoinHandle<Capabilities>>,
    agent_was_down: bool,
    pub(super) refused: Option<String>,
    /// Consul does not know the token: when its file is read again.
    reread_token_at: Option<Instant>,
    /// What was wrong with the files of token and certificates, as it was logged.
    unread: Option<String>,
    pub(in crate::consul) published: Option<Instant>,
    pub(super) said_waiting: Option<Instant>,
}

impl<A: Send + 'static> Core<A> {
    pub(super) fn new(
        client: Client,
        config: ConsulConfig,
        shared: Arc<Shared>,
        planner: Planner<Event<A>>,
        questions: &'static [Question],
    ) -> Self {
        shared.see(|seen| seen.plan = Some(planner.status()));
        let network = HostNetwork::read().unwrap_or_else(|error| {
            tracing::warn!(%error, "the addresses of this host cannot be listed: none is taken for its own");
            HostNetwork::default()
        });
        let known = Known::new(config.capabilities.clone());
        Self {
            client,
            config,
            shared,
            planner,
            identity: Identity::default(),
            readiness: Readiness::new(questions),
            sight: Sight::default(),
            known,
            own: OwnState::default(),
            network,
            probing: None,
            agent_was_down: false,
            refused: None,
            reread_token_at: None,
            unread: None,
            published: None,
            said_waiting: None,
        }
    }

    pub(super) fn start(&mut self) {
        self.follow_own_service();
        self.probe();
        self.sight.begin();
    }

    /// Follows a question of the role.
    pub(in crate::consul) fn watch<Q: Query>(
        &self,
        query: Q,
        to_answer: impl Fn(Update<Q::Document>) -> A + Send + Sync + 'static,
    ) -> WatchId {
        self.planner.watch(query, move |update| Event::Role(to_answer(update)))
    }

    /// Asks a question of the role at an interval.
    pub(in crate::consul) fn poll<Q: Query>(
        &self,
        query: Q,
        every: Duration,
        to_answer: impl Fn(Update<Q::Document>) -> A + Send + Sync + 'static,
    ) -> WatchId {
        self.planner.poll(query, every, move |update| Event::Role(to_answer(update)))
    }

    /// The document of an update, if it has one; `Some(None)`: it is absent. A question that cannot be
    /// answered is answered as well: there is nothing to wait for.
    pub(in crate::consul) fn document<D>(
        &mut self,
        question: Question,
        update: Update<D>,
    ) -> Option<Option<Arc<D>>> {
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
                if hopeless && !question.is_needed() {
                    self.readiness.answered(question, Instant::now());
                }
                None
            }
            Update::Facts(_) | Update::Recovered => None,
        }
    }

    /// A token that Consul does not know may have been renewed in its file. What only Consul Enterprise
    /// has cannot be asked of another Consul, now or later (consul-api 1.4).
    pub(in crate::consul) fn failed(&mut self, error: &Error) {
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

    /// The same for one of many services. Says whether it is hopeless to wait for this one at the start.
    pub(in crate::consul) fn service_failed(&mut self, error: &Error) -> bool {
        self.failed(error);
        matches!(error.class(), Class::Denied | Class::Unsupported | Class::Mistake | Class::Rejected)
    }

    pub(in crate::consul) fn probe(&mut self) {
        if self.probing.is_some() {
            return;
        }
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
    }

    fn show_capabilities(&self) {
        self.shared.see(|seen| seen.capabilities = self.known.used().rows());
    }

    pub(super) fn look_after_the_agent(&mut self, now: Instant) {
        let down = super::is_down(self.planner.agent().state().0);
        if std::mem::replace(&mut self.agent_was_down, down) && !down {
            // It may be another one, or have forgotten us.
            if let Some(registrar) = &self.own.registrar {
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

    /// Tells whoever runs this how things are.
    pub(super) fn say(&self, state: SourceState) {
        if let Some(registrar) = &self.own.registrar {
            registrar.set_ready(state == SourceState::Ready);
        }
        self.shared.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    /// Consul does not know the token. It may be renewed in its file at any time: that is read again until
    /// Consul knows it.
    fn renew_token(&mut self, now: Instant) {
        let first = self.reread_token_at.is_none();
        let unknown = |row: &Row| row.state == State::Failing(Class::TokenUnknown);
        let still = first || self.planner.status().rows(1).iter().any(unknown);
        self.reread_token_at = still.then(|| now + REREAD_TOKEN);
        if still {
            self.read_credentials(false);
        }
    }

    /// Reads token and certificates again; what cannot be read stays as it was. `told`: because somebody
    /// says so.
    pub(super) fn read_credentials(&mut self, told: bool) {
        match self.client.reload() {
            Ok(changed) => {
                self.unread = None;
                if told || changed {
                    tracing::info!("token and certificates for Consul were read again");
                    if let Some(registrar) = &self.own.registrar {
                        registrar.token_changed();
                    }
                    // What the token may is shown, and it may be another token now.
                    self.probe();
                }
                if changed {
                    self.planner.agent().ask_again();
                }
            }
            Err(error) => {
                let text = error.to_string();
                if told || self.unread.as_ref() != Some(&text) {
                    tracing::error!("{text}; what was read before stays in use");
                }
                self.unread = Some(text);
            }
        }
    }
}

/// Waits for the next status of the registration. Never returns if there is none.
pub(super) async fn changed(registration: &mut Option<watch::Receiver<RegistrationStatus>>) {
    if let Some(status) = registration
        && status.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
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
