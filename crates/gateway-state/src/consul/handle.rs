//! Reaches a source that runs on another thread.

use super::{
    state::{Counters, SourceState, Traffic},
    view::{ConsulView, Seen},
};
use crate::source::SourceStatus;
use catalog_client::Client;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};

/// A word to the source.
#[derive(Debug)]
pub(super) enum Command {
    /// Token and certificates are read again.
    Reload,
    Traffic(Traffic),
    /// The gateway is about to end: nobody is to be sent here any more.
    Drain(oneshot::Sender<()>),
    /// The gateway has ended.
    Leave(oneshot::Sender<()>),
}

/// What the source shows of itself.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) counters: Counters,
    pub(super) state: watch::Sender<SourceState>,
    pub(super) seen: Mutex<Seen>,
    pub(super) client: Client,
}

impl Shared {
    pub(super) fn new(client: Client) -> Self {
        let waiting = SourceState::Waiting("Consul has not been asked yet".to_owned());
        Self {
            counters: Counters::default(),
            state: watch::Sender::new(waiting),
            seen: Mutex::default(),
            client,
        }
    }

    /// Brings what pages show up to date.
    pub(super) fn see(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A running source, from any thread.
#[derive(Debug)]
pub struct ConsulHandle {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    changes: AsyncMutex<watch::Receiver<SourceState>>,
}

impl ConsulHandle {
    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::Sender<Command>) -> Self {
        let changes = AsyncMutex::new(shared.state.subscribe());
        Self { shared, commands, changes }
    }

    /// Whether what was published may be served.
    #[must_use]
    pub fn state(&self) -> SourceState {
        self.shared.state.borrow().clone()
    }

    /// Waits for another state than the one that was returned last, by this or, at first, at the start.
    /// Never returns once the source is gone. Cancel safe; one task at a time.
    pub async fn state_changed(&self) -> SourceState {
        let mut changes = self.changes.lock().await;
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
        changes.borrow_and_update().clone()
    }

    /// Figures for metrics.
    #[must_use]
    pub fn status(&self) -> SourceStatus {
        self.shared.counters.status()
    }

    /// Everything for pages: `names` is how many rows of services are shown at most.
    #[must_use]
    pub fn view(&self, names: usize) -> ConsulView {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ConsulView::new(self.state(), &seen, self.shared.client.status(), names)
    }

    /// Has the token and certificates of the client read again.
    pub fn reload(&self) {
        self.tell(Command::Reload);
    }

    /// Says what the traffic shows: what is read first, and what at once.
    pub fn traffic(&self, traffic: Traffic) {
        if traffic != Traffic::default() {
            self.tell(Command::Traffic(traffic));
        }
    }

    /// Has Consul send nobody here any more, if the source registered the gateway. Returns when that is
    /// done, or was tried for as long as the last words may take.
    pub async fn drain(&self) {
        self.done(Command::Drain).await;
    }

    /// Removes the registration if that is asked for. Returns when that is done or was tried.
    pub async fn leave(&self) {
        self.done(Command::Leave).await;
    }

    /// A word that finds no room is one of many of its kind.
    fn tell(&self, command: Command) {
        drop(self.commands.try_send(command));
    }

    async fn done(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (sender, done) = oneshot::channel();
        if self.commands.send(command(sender)).await.is_ok() {
            // An error means that the source is gone.
            drop(done.await);
        }
    }
}
