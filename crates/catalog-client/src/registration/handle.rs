//! Tells a running registration what is wanted, from any thread.

use super::{machine::Wants, status::RegistrationStatus};
use crate::error::{Cause, Error};
use tokio::sync::watch;

/// Handle of a [`Registrar`](super::Registrar). Clones act on the same registration; all calls may be
/// made from any thread.
#[derive(Clone, Debug)]
pub struct RegistrarHandle {
    wants: watch::Sender<Wants>,
    status: watch::Receiver<RegistrationStatus>,
}

impl RegistrarHandle {
    pub(super) fn new(wants: watch::Sender<Wants>, status: watch::Receiver<RegistrationStatus>) -> Self {
        Self { wants, status }
    }

    /// The agent answered that it does not know the own service.
    pub fn missing(&self) {
        self.wants.send_modify(|wants| wants.missing += 1);
    }

    /// The agent answers again after it could not be reached: it may be another one.
    pub fn agent_returned(&self) {
        self.wants.send_modify(|wants| wants.returned += 1);
    }

    /// Requests carry another token from now on; the agent must learn it as well.
    pub fn token_changed(&self) {
        self.wants.send_modify(|wants| wants.token += 1);
    }

    /// Whether the gateway takes traffic. Says so in the catalog where no agent runs the check.
    pub fn set_ready(&self, ready: bool) {
        self.wants.send_if_modified(|wants| std::mem::replace(&mut wants.ready, ready) != ready);
    }

    /// Takes the gateway out of the others' lists, with a reason, or back into them; returns when that
    /// is done. From the moment it is taken out it is not registered again.
    ///
    /// # Errors
    /// Refused, or not possible within [`end_patience`](super::RegistrarConfig::end_patience).
    pub async fn maintenance(&self, reason: Option<&str>) -> Result<(), Error> {
        let mut number = 0;
        self.wants.send_modify(|wants| {
            number = wants.maintenance.0 + 1;
            wants.maintenance = (number, reason.map(str::to_owned));
        });
        let settled = |status: &RegistrationStatus| status.settled.0 >= number || status.left.is_some();
        let mut status = self.status.clone();
        let settled = status.wait_for(settled).await.map_err(|_| ended())?;
        settled.settled.1.clone().map_or(Ok(()), Err)
    }

    /// Takes the registration back and ends the registrar; returns when that is done. An agent that
    /// does not know the service is as good.
    ///
    /// # Errors
    /// Refused, or not possible within [`end_patience`](super::RegistrarConfig::end_patience).
    pub async fn deregister(&self) -> Result<(), Error> {
        self.wants.send_modify(|wants| wants.leave = true);
        let mut status = self.status.clone();
        let left = status.wait_for(|status| status.left.is_some()).await.map_err(|_| ended())?;
        left.left.clone().unwrap_or(Ok(()))
    }

    /// The state now.
    #[must_use]
    pub fn status(&self) -> RegistrationStatus {
        self.status.borrow().clone()
    }

    /// Follows the state.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<RegistrationStatus> {
        self.status.clone()
    }
}

fn ended() -> Error {
    Error {
        request: "the own registration".to_owned(),
        agent: String::new(),
        cause: Cause::Local(
            "nothing keeps it any more: it was refused, or the process is about to end".to_owned(),
        ),
        rule: String::new(),
    }
}
