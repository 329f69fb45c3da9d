//! Does what the handle asks for.

use super::{
    super::{
        config::Own,
        handle::Command,
        role::{ConsulRole, Part},
    },
    Driver,
};
use tokio::sync::oneshot;

/// What Consul shows as the reason while the gateway drains.
const DRAINING: &str = "the gateway drains";

impl<R: ConsulRole> Driver<R> {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Reload => self.core.read_credentials(true),
            Command::Traffic(traffic) => self.role.traffic(&mut self.core, traffic),
            Command::Drain(done) => self.drain(done),
            Command::Leave(done) => self.leave(done),
        }
    }

    /// Maintenance: visible in Consul at once. Cleared by the next registration.
    fn drain(&mut self, done: oneshot::Sender<()>) {
        let registrar = self.core.own.registrar.as_ref().filter(|_| self.core.is_registered());
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
        let Own::Register { deregister: true, .. } = &self.core.config.own else { return };
        let Some(handle) = self.core.own.registrar.clone() else { return };
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
