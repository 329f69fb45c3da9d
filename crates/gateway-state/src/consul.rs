//! A Consul, asked and watched, and published as snapshots.
//!
//! The counterpart of [`FileSource`](crate::FileSource): the same snapshots come out, made of answers in
//! place of files. What it asks is a fixed set of wide questions and one for each service
//! (`catalog_client::planner` decides how each of them is followed); what it knows stays until a good
//! newer answer says otherwise, however long Consul is away.
//!
//! [`ConsulSource::new`] opens no socket. [`ConsulSource::run`] belongs on a thread where nothing else
//! waits for it. [`ConsulHandle`] reaches it from other threads.

mod config;
mod documents;
mod driver;
mod event;
mod handle;
mod identity;
mod like;
mod mesh;
mod own;
mod readiness;
mod report;
mod role;
mod state;
mod terminating;
mod view;

pub use config::{ConsulConfig, Own};
pub use handle::ConsulHandle;
pub use like::Like;
pub use role::ConsulRole;
pub use state::{SourceState, Traffic};
pub use terminating::LeafConfig;
pub use view::ConsulView;

use crate::publish::{Publisher, Reader};
use catalog_client::Client;
use driver::Driver;
use handle::Command;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Words to a source that wait to be heard; more are dropped, each can be said again.
const COMMANDS: usize = 64;

/// A source that is not running yet, for one role: `ConsulSource::<MeshRole>::new(..)`.
#[derive(Debug)]
pub struct ConsulSource<R: ConsulRole> {
    client: Client,
    config: ConsulConfig,
    options: R::Options,
    publisher: Publisher<R::Snapshot>,
    commands: mpsc::Receiver<Command>,
    shared: Arc<handle::Shared>,
}

impl<R: ConsulRole> ConsulSource<R> {
    /// A source, the reader of its snapshots, and its handle. The first snapshot knows nothing and has
    /// generation 0; the next comes when everything needed is known. `options` are the role's own settings.
    #[must_use]
    pub fn new(
        client: Client,
        config: ConsulConfig,
        options: R::Options,
    ) -> (Self, Reader<R::Snapshot>, ConsulHandle) {
        let nothing = Arc::new(R::nothing());
        let (publisher, reader) = Publisher::new(nothing);
        let (sender, commands) = mpsc::channel(COMMANDS);
        let shared = Arc::new(handle::Shared::new(client.clone()));
        let handle = ConsulHandle::new(shared.clone(), sender);
        (Self { client, config, options, publisher, commands, shared }, reader, handle)
    }

    /// Asks, watches and publishes, until the process ends. Call it on a tokio runtime.
    pub async fn run(self) {
        Driver::new(self).run().await;
    }
}
