//! The task of one name: look up, publish, sleep, again.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use super::counters::Gauged;
use super::{Answer, Lookup, LookupFuture, NameError, NameState, NamesConfig, NamesCounters};

/// What the tasks of all names share.
pub(super) struct Shared {
    pub(super) config: NamesConfig,
    pub(super) counters: Arc<NamesCounters>,
    lookup: Arc<dyn Lookup>,
    /// One for each lookup that may run; first come, first served.
    turns: Semaphore,
}

impl Shared {
    pub(super) fn new(config: NamesConfig, lookup: Arc<dyn Lookup>) -> Self {
        let turns = Semaphore::new(config.max_lookups.clamp(1, Semaphore::MAX_PERMITS));
        Self { config, counters: Arc::default(), lookup, turns }
    }

    async fn look_up(&self, host: &Arc<str>) -> Result<Answer, NameError> {
        // The semaphore is never closed; if it were, going on without a turn does no harm.
        let _turn = self.turns.acquire().await;
        let _running = Gauged::new(&self.counters.running);
        let limit = self.config.lookup_timeout;
        let lookup = guarded(self.lookup.lookup(Arc::clone(host)));
        timeout(limit, lookup).await.unwrap_or(Err(NameError::TimedOut(limit)))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Runs until it is aborted: by the end of the last watch, or of all names.
pub(super) async fn keep_fresh(host: Arc<str>, sender: watch::Sender<NameState>, shared: Arc<Shared>) {
    let mut jitter = Jitter::new(&host);
    let mut guarded_before = Vec::new();
    loop {
        let outcome = shared.look_up(&host).await.and_then(|answer| match answer.addresses.is_empty() {
            true => Err(NameError::NotFound),
            false => guard(&host, answer, &shared, &mut guarded_before),
        });
        let pause = match outcome {
            Ok(answer) => accept(&host, &sender, &shared, &answer, &mut jitter),
            Err(error) => endure(&host, &sender, &shared, &error, &mut jitter),
        };
        sleep(pause).await;
    }
}

/// Leaves out what a name may not stand for. `before` is what was left out of the last answer: what is
/// no news is not logged again.
fn guard(
    host: &str,
    mut answer: Answer,
    shared: &Shared,
    before: &mut Vec<IpAddr>,
) -> Result<Answer, NameError> {
    let mut guarded = Vec::new();
    answer.addresses.retain(|address| match shared.config.guard.judge(*address) {
        None => true,
        Some(kind) => {
            guarded.push((*address, kind));
            false
        }
    });
    shared.counters.guarded.fetch_add(guarded.len() as u64, Relaxed);
    guarded.sort_unstable_by_key(|(address, _)| *address);
    // More are never used of an answer.
    guarded.truncate(shared.config.max_addresses);
    for (address, kind) in guarded.iter().filter(|(address, _)| !before.contains(address)) {
        tracing::warn!(host, %address, %kind, "a name may not stand for such an address: it is not used");
    }
    *before = guarded.iter().map(|(address, _)| *address).collect();
    match guarded.first() {
        Some(&(address, kind)) if answer.addresses.is_empty() => Err(NameError::Guarded { address, kind }),
        _ => Ok(answer),
    }
}

/// Publishes a good answer and says how long it lives.
fn accept(
    host: &str,
    sender: &watch::Sender<NameState>,
    shared: &Shared,
    answer: &Answer,
    jitter: &mut Jitter,
) -> Duration {
    let (config, counters) = (&shared.config, &shared.counters);
    counters.answered.fetch_add(1, Relaxed);
    let ttl = answer.ttl;
    let (mut changed, mut recovered) = (false, false);
    sender.send_if_modified(|state| {
        let (addresses, cut) = tidy(answer, &state.addresses, config.max_addresses);
        counters.addresses_cut.fetch_add(cut as u64, Relaxed);
        recovered = state.error.take().is_some();
        let settles = !recovered && state.resolved_at.is_none();
        state.failures = 0;
        state.resolved_at = Some(Instant::now());
        changed = *state.addresses != *addresses;
        if changed {
            state.addresses = addresses.into();
        }
        changed || settles
    });
    if changed {
        counters.changes.fetch_add(1, Relaxed);
        tracing::info!(host, addresses = ?sender.borrow().addresses, recovered, "name resolved");
    } else if recovered {
        tracing::info!(host, "name resolves again, to the same addresses");
    }
    // Up to a tenth earlier, so that names that came together do not stay together.
    let life = ttl.min(config.refresh);
    life.mul_f64(1.0 - 0.1 * jitter.next()).max(config.floor)
}

/// Publishes a failure, keeping the last good addresses, and says how long to wait.
fn endure(
    host: &str,
    sender: &watch::Sender<NameState>,
    shared: &Shared,
    error: &NameError,
    jitter: &mut Jitter,
) -> Duration {
    counter_of(error, &shared.counters).fetch_add(1, Relaxed);
    let (mut news, mut failures) = (false, 0);
    sender.send_if_modified(|state| {
        let settles = !state.is_settled();
        news = state.error.as_ref() != Some(error);
        state.failures = state.failures.saturating_add(1);
        failures = state.failures;
        state.error = Some(error.clone());
        settles
    });
    if news {
        let kept = sender.borrow().addresses.len();
        tracing::warn!(host, %error, kept, "name does not resolve; what is known stays in use");
    }
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
    let pause = shared.config.retry.saturating_mul(doubled).min(shared.config.retry_max);
    // Half to whole: servers that come back are not met by everyone at once.
    pause.mul_f64(1.0 - 0.5 * jitter.next())
}

fn counter_of<'a>(error: &NameError, counters: &'a NamesCounters) -> &'a AtomicU64 {
    match error {
        NameError::NotFound => &counters.not_found,
        NameError::TimedOut(_) => &counters.timed_out,
        _ => &counters.failed,
    }
}

/// The addresses to use after `answer`: sorted, each once, at most `most`; and how many were cut.
fn tidy(answer: &Answer, before: &[IpAddr], most: usize) -> (Vec<IpAddr>, usize) {
    // ::ffff:192.0.2.1 is 192.0.2.1.
    let mut addresses: Vec<IpAddr> = answer.addresses.iter().map(IpAddr::to_canonical).collect();
    if answer.partial {
        let missing = |old: &&IpAddr| !addresses.iter().any(|new| new.is_ipv4() == old.is_ipv4());
        let kept: Vec<IpAddr> = before.iter().filter(missing).copied().collect();
        addresses.extend(kept);
    }
    addresses.sort_unstable();
    addresses.dedup();
    let cut = addresses.len().saturating_sub(most);
    addresses.truncate(most);
    (addresses, cut)
}

/// Turns a panic of the lookup into an error: one bad answer must not end the name's task.
async fn guarded(mut lookup: LookupFuture) -> Result<Answer, NameError> {
    poll_fn(|context| {
        // The future is not polled again after a panic, so what it left half-done is never seen.
        catch_unwind(AssertUnwindSafe(|| lookup.as_mut().poll(context)))
            .unwrap_or(Poll::Ready(Err(NameError::Panicked)))
    })
    .await
}

/// Random numbers that only have to differ between names and processes (xorshift64, seeded by the
/// standard library's hasher).
struct Jitter(u64);

impl Jitter {
    fn new(host: &str) -> Self {
        Self(RandomState::new().hash_one(host) | 1)
    }

    /// A number from 0 up to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
