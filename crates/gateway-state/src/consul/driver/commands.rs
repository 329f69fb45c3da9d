//! Does what the handle asks for.

use super::{
    super::{config::Own, handle::Command, state::Traffic},
    Driver,
};
use catalog_client::{
    error::Class,
    watch::{Row, State},
};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What Consul shows as the reason while the gateway drains.
const DRAINING: &str = "the gateway drains";
/// How often the token's file is read while Consul does not know the token.
const REREAD_TOKEN: Duration = Duration::from_secs(2);

impl Driver {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Reload => self.reload(),
            Command::Traffic(traffic) => self.traffic(traffic),
            Command::Drain(done) => self.drain(done),
            Command::Leave(done) => self.leave(done),
        }
    }

    /// Reads token and certificates again, because somebody says so; what cannot be read stays as it was.
    pub(super) fn reload(&mut self) {
        self.read_credentials(true);
    }

    /// Consul does not know the token. It may be renewed in its file at any time: that is read again until
    /// Consul knows it.
    pub(super) fn renew_token(&mut self, now: Instant) {
        let first = self.reread_token_at.is_none();
        let unknown = |row: &Row| row.state == State::Failing(Class::TokenUnknown);
        let still = first || self.planner.status().rows(1).iter().any(unknown);
        self.reread_token_at = still.then(|| now + REREAD_TOKEN);
        if still {
            self.read_credentials(false);
        }
    }

    fn read_credentials(&mut self, told: bool) {
        match self.client.reload() {
            Ok(changed) => {
                self.unread = None;
                if told || changed {
                    tracing::info!("token and certificates for Consul were read again");
                    if let Some(registrar) = &self.registrar {
                        registrar.token_changed();
                    }
                    // What the token may is shown, and it may be another token now.
                    if self.probing.is_none() {
                        self.probe();
                    }
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

    fn traffic(&self, Traffic { used, failing }: Traffic) {
        for name in failing {
            self.planner.read_now(self.services, &name);
        }
        if !used.is_empty() {
            self.planner.hot(self.services, used);
        }
    }

    /// Maintenance: visible in Consul at once. Cleared by the next registration.
    fn drain(&mut self, done: oneshot::Sender<()>) {
        let registrar = self.registrar.as_ref().filter(|_| self.is_registered());
        let Some(handle) = registrar.cloned() else { return };
        tokio::spawn(async move {
            if let Err(error) = handle.maintenance(Some(DRAINING)).await {
                tracing::warn!("Consul is not told that this gateway drains: {error}");
            }
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        });
    }

    fn leave(&mut self, done: oneshot::Sender<()>) {
        let Own::Register { deregister: true, .. } = &self.config.own else { return };
        let Some(handle) = self.registrar.clone() else { return };
        tokio::spawn(async move {
            match handle.deregister().await {
                Ok(()) => tracing::info!("deregistered"),
                Err(error) => tracing::warn!("this gateway stays registered in Consul: {error}"),
            }
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        });
    }
}
