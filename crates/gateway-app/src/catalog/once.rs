//! A Consul that is asked by a thread that may wait: single questions, and one whole snapshot.
//!
//! Nothing is registered or written. Everything that was begun ends with [`Asking`].

use std::sync::Arc;
use std::time::Duration;

use catalog_client::client::Write;
use catalog_client::error::Cause;
use catalog_client::query::Ask;
use catalog_client::watch::Row;
use catalog_client::{Client, Error, Query};
use gateway_state::consul::{ConsulHandle, ConsulView, Like};
use gateway_state::{Reader, Snapshot};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, timeout_at};

use crate::consul;
use crate::role::{AppRole, SnapshotOf};
use crate::settings::{ConsulSettings, Settings};

/// Rows of watches that are looked at: of the fixed ones all, of services more than are ever read here.
const ROWS: usize = 64;
/// How often it is looked whether all answers are in.
const LOOK: Duration = Duration::from_millis(10);
/// How long nothing may be under way before that counts as the end.
const QUIET: Duration = Duration::from_millis(50);
/// The same as long as there is no snapshot: what is missing then is not asked for at the moment.
const GIVE_UP: Duration = Duration::from_secs(2);

/// A client with the runtime that it needs.
pub(crate) struct Asking<'a> {
    settings: &'a Settings,
    consul: &'a ConsulSettings,
    client: Client,
    runtime: Runtime,
}

/// What a Consul has told.
pub(crate) struct Read<R: AppRole> {
    pub(crate) snapshot: Arc<SnapshotOf<R>>,
    /// What was asked that went wrong; the snapshot is without it.
    pub(crate) failed: Vec<Row>,
}

impl<'a> Asking<'a> {
    /// Reads the files that the client needs; opens no socket.
    ///
    /// # Errors
    /// A file of the settings cannot be used, or the system refuses what a runtime needs.
    pub(crate) fn new(settings: &'a Settings, consul: &'a ConsulSettings) -> Result<Self, String> {
        let client = consul::client(settings, consul).map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start asking: {error}"))?;
        Ok(Self { settings, consul, client, runtime })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// One question; `None`: there is no such thing.
    pub(crate) fn ask<Q: Query>(&self, query: &Q) -> Result<Option<Q::Document>, Error> {
        self.wait(ask(&self.client, query)).map(|(document, _)| document)
    }

    /// The same, and whether Consul says that it left something out that the token may not see.
    pub(crate) fn ask_all<Q: Query>(&self, query: &Q) -> Result<(Q::Document, bool), Error>
    where
        Q::Document: Default,
    {
        self.wait(ask(&self.client, query))
            .map(|(document, filtered)| (document.unwrap_or_default(), filtered))
    }

    /// A question that is too long for a path, and changes nothing.
    pub(crate) fn post(&self, question: &Write) -> Result<bytes::Bytes, Error> {
        self.wait(self.client.write(question))
    }

    /// Reads everything that a gateway would read, of services only those that are `like`, and waits
    /// until there is nothing more to come. The gateway's own registration is read if it is there.
    ///
    /// # Errors
    /// Lines that say what is missing, when that is more than a gateway can begin without.
    pub(crate) fn read<R: AppRole>(&self, like: Like) -> Result<Read<R>, Vec<String>> {
        let (source, reader, handle) =
            consul::looking::<R>(self.settings, self.consul, self.client.clone(), like);
        let tuning = &self.consul.tuning;
        let patience = tuning.ready + tuning.timers.connect;
        self.wait(async move {
            let running = tokio::spawn(source.run());
            let until = Instant::now() + patience;
            let published = timeout_at(until, first(&reader, &handle)).await;
            let view = match published {
                // What is late is missing, and said to be.
                Ok(()) => {
                    drop(timeout_at(until, all_answers(&reader, &handle)).await);
                    handle.view(ROWS)
                }
                Err(_) => handle.view(ROWS),
            };
            running.abort();
            let failed: Vec<_> = view.watches.iter().filter(|row| went_wrong(row)).cloned().collect();
            let snapshot = reader.current();
            if snapshot.generation() == 0 {
                return Err(lines(&view, &failed));
            }
            Ok(Read { snapshot, failed })
        })
    }
}

/// One question of any task.
pub(crate) async fn ask<Q: Query>(client: &Client, query: &Q) -> Result<(Option<Q::Document>, bool), Error> {
    let answer = client.ask(query, &Ask::Now, Duration::ZERO).await?;
    let document = answer.body.map(|body| query.decode(&body)).transpose().map_err(|reason| Error {
        request: format!("GET {}", query.path()),
        agent: client.status().address,
        cause: Cause::Rejected(reason),
        rule: String::new(),
    })?;
    Ok((document, answer.filtered))
}

/// Waits for the first snapshot, or until nothing is left to wait for.
async fn first<S: Snapshot>(reader: &Reader<S>, handle: &ConsulHandle) {
    let mut idle = Since::default();
    while reader.current().generation() == 0 {
        if idle.holds(is_settled(handle), GIVE_UP) {
            return;
        }
        sleep(LOOK).await;
    }
}

/// Waits until every question has been answered, or has failed, and what was answered is in the snapshot.
async fn all_answers<S: Snapshot>(reader: &Reader<S>, handle: &ConsulHandle) {
    let (mut quiet, mut generation) = (Since::default(), 0);
    loop {
        let before = std::mem::replace(&mut generation, reader.current().generation());
        if quiet.holds(is_settled(handle) && before == generation, QUIET) {
            return;
        }
        sleep(LOOK).await;
    }
}

/// Whether every question that has been asked so far was answered or has failed.
fn is_settled(handle: &ConsulHandle) -> bool {
    let view = handle.view(ROWS);
    // Some questions depend on what this Consul can, which is found out first.
    let is_probed = !view.capabilities.is_empty();
    is_probed
        && view.queued_events == 0
        && view.watches.iter().all(|row| row.answer_age.is_some() || row.error.is_some())
}

/// Since when something is so.
#[derive(Default)]
struct Since(Option<Instant>);

impl Since {
    /// Whether it has been so for this long.
    fn holds(&mut self, is_so: bool, long: Duration) -> bool {
        self.0 = if is_so { self.0.or_else(|| Some(Instant::now())) } else { None };
        self.0.is_some_and(|since| since.elapsed() >= long)
    }
}

/// An endpoint that this Consul does not have is no failure.
fn went_wrong(row: &Row) -> bool {
    use catalog_client::error::Class;
    use catalog_client::watch::State;
    matches!(row.state, State::Failing(class) if class != Class::Unsupported) && row.error.is_some()
}

/// Why there is nothing: what is waited for, and each error once.
fn lines(view: &ConsulView, failed: &[Row]) -> Vec<String> {
    let mut lines = vec![view.state.to_string()];
    for error in failed.iter().filter_map(|row| row.error.clone()) {
        if !lines.iter().any(|line| line.contains(&error)) {
            lines.push(error);
        }
    }
    lines
}
