//! The end of the process in good order.

use std::time::Duration;

use gateway_runtime::drain::Drain;
use gateway_runtime::listener::Handler;
use gateway_runtime::process::{Signal, Signals};
use gateway_runtime::reason::Reason;
use gateway_runtime::registry::Registry;
use tokio::time::Instant;

use super::feed::FeedHandle;
use super::listeners::Listeners;
use crate::settings::Settings;

/// Drains: refuses new connections, waits for the open ones, cuts what is left. Returns how many.
///
/// Where there is a Consul, it is told first, so that nobody sends new connections; and last, if the
/// registration is to go. It cannot hold up the end: each word to it has its deadline.
pub(super) async fn end<H: Handler>(
    settings: &Settings,
    drain: &Drain,
    listeners: Listeners<'_, H>,
    registry: &Registry,
    handle: &FeedHandle,
    signals: &mut Signals,
) -> usize {
    let mut deadline = Instant::now() + settings.drain_time;
    if let Some(consul) = handle.consul() {
        tokio::select! {
            told = tokio::time::timeout(settings.timers.last_words, consul.drain()) => {
                if told.is_err() {
                    tracing::warn!("Consul was not told in time that this gateway drains");
                }
            }
            () = told_again(signals) => deadline = Instant::now(),
        }
    }
    let cut = drained(settings, deadline, drain, listeners, registry, signals).await;
    if let Some(consul) = handle.consul()
        && tokio::time::timeout(settings.timers.last_words, consul.leave()).await.is_err()
    {
        tracing::warn!(
            "Consul did not say in time that this gateway is deregistered: it may stay registered"
        );
    }
    cut
}

async fn drained<H: Handler>(
    settings: &Settings,
    deadline: Instant,
    drain: &Drain,
    listeners: Listeners<'_, H>,
    registry: &Registry,
    signals: &mut Signals,
) -> usize {
    drain.start(deadline);
    let acceptors = listeners.drain(deadline);
    tracing::info!(
        open = registry.open(),
        seconds = settings.drain_time.as_secs_f64(),
        "draining: no new connections; a second signal ends at once"
    );
    let emptied = async {
        // First they take what waits in the kernel's queues.
        for acceptor in acceptors {
            drop(acceptor.await);
        }
        while registry.open() > 0 {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        () = emptied => return 0,
        () = tokio::time::sleep_until(deadline) => {}
        () = told_again(signals) => {}
    }
    let cut = registry.cut_all(Reason::DrainCut);
    let gone = async {
        while registry.open() > 0 {
            tokio::time::sleep(POLL).await;
        }
    };
    drop(tokio::time::timeout(settings.timers.last_words, gone).await);
    cut
}

/// How often the number of open connections is looked at while draining.
const POLL: Duration = Duration::from_millis(20);

async fn told_again(signals: &mut Signals) {
    while signals.next().await != Signal::Now {}
}
