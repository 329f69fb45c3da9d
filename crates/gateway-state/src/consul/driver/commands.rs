//! Does what the handle asks for.

use super::{
    super::{config::Own, handle::Command, state::Traffic},
    Driver,
};
use tokio::sync::oneshot;

/// What Consul shows as the reason while the gateway drains.
const DRAINING: &str = "the gateway drains";

impl Driver {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Reload => self.reload(),
            Command::Traffic(traffic) => self.traffic(traffic),
            Command::Drain(done) => self.drain(done),
            Command::Leave(done) => self.leave(done),
        }
    }

    /// Reads token and certificates again; what cannot be read stays as it was.
    pub(super) fn reload(&mut self) {
        match self.client.reload() {
            Ok(()) => {
                tracing::info!("token and certificates for Consul were read again");
                if let Some(registrar) = &self.registrar {
                    registrar.token_changed();
                }
            }
            Err(error) => tracing::error!("{error}; what was read before stays in use"),
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
        let registrar = self.registrar.as_ref().filter(|_| self.is_registered());
        let Some(handle) = registrar.cloned() else { return };
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
