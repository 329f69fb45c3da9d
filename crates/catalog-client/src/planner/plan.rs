//! The planner itself: what a gateway calls.

use super::{
    PlanConfig, PlanStatus,
    family::Family,
    run::Runner,
    schedule::Schedule,
    status::{Registry, Watched},
};
use crate::{
    Client, Query,
    query::Blocking,
    watch::{Agent, Asker, Locked, Nature, Update, Watch, now},
};
use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::timeout,
};

/// A watch of a planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(u64);

/// A family of a planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyId(u64);

/// Follows wide queries and families of names within a budget, and delivers what they say as events of
/// one type `E`.
///
/// All of it ends with the planner. Its methods return at once and must be called on a tokio runtime.
///
/// An event of a watch or name that has just been given up may still be in the channel: whoever takes
/// events ignores what it does not want any more.
pub struct Planner<E, A: Asker = Client> {
    agent: Agent<A>,
    config: Arc<PlanConfig>,
    events: mpsc::Sender<E>,
    shared: Arc<Registry>,
    tasks: Locked<JoinSet<()>>,
    ids: AtomicU64,
    watches: Arc<AtomicUsize>,
    blocked: Arc<AtomicUsize>,
}

impl<E: Send + 'static, A: Asker> Planner<E, A> {
    /// A planner without watches, and the end of the channel where its events come out.
    #[must_use]
    pub fn new(asker: A, config: PlanConfig) -> (Self, mpsc::Receiver<E>) {
        let agent = Agent::new(asker, config.watch.clone());
        let (events, receiver) = mpsc::channel(config.events.max(1));
        let queue = events.downgrade();
        let shared = Registry {
            watches: Locked::default(),
            families: Locked::default(),
            counters: Arc::clone(agent.counters()),
            agent: agent.view(),
            queued: Box::new(move || {
                queue.upgrade().map_or(0, |queue| queue.max_capacity() - queue.capacity())
            }),
        };
        let planner = Self {
            agent,
            config: Arc::new(config),
            events,
            shared: Arc::new(shared),
            tasks: Locked::default(),
            ids: AtomicU64::new(0),
            watches: Arc::default(),
            blocked: Arc::default(),
        };
        (planner, receiver)
    }

    /// What all watches share: the client, whether the agent answers, counters.
    pub fn agent(&self) -> &Agent<A> {
        &self.agent
    }

    /// A view for admin pages and metrics, from any thread.
    #[must_use]
    pub fn status(&self) -> PlanStatus {
        PlanStatus { shared: Arc::clone(&self.shared) }
    }

    /// Follows a query for ever, by a long poll where its endpoint has them.
    pub fn watch<Q: Query>(
        &self,
        query: Q,
        to_event: impl Fn(Update<Q::Document>) -> E + Send + Sync + 'static,
    ) -> WatchId {
        let blocks = query.blocking() != Blocking::Never;
        self.start(Watch::new(&self.agent, query), blocks, to_event)
    }

    /// Asks a query at an interval, of which up to a fifth is left out at random.
    pub fn poll<Q: Query>(
        &self,
        query: Q,
        every: Duration,
        to_event: impl Fn(Update<Q::Document>) -> E + Send + Sync + 'static,
    ) -> WatchId {
        self.start(Watch::every(&self.agent, query, every), false, to_event)
    }

    /// Ends a watch. Its long poll runs out unread.
    pub fn unwatch(&self, id: WatchId) {
        if let Some(watched) = self.shared.watches.lock().remove(&id.0) {
            watched.end.notify_one();
        }
    }

    /// Whatever wakes this watch starts a fast round of the family, be it that nothing changed in its
    /// document: the index of `catalog/services` rises with every registration.
    pub fn wakes(&self, id: WatchId, family: FamilyId) {
        let family = self.family_of(family);
        if let (Some(watched), Some(family)) = (self.shared.watches.lock().get(&id.0), family) {
            watched.wakes.lock().push(family);
        }
    }

    /// A family of queries, one per name, without names yet.
    pub fn family<Q: Query>(
        &self,
        make: impl Fn(&str) -> Q + Clone + Send + Sync + 'static,
        to_event: impl Fn(&Arc<str>, Update<Q::Document>) -> E + Send + Sync + 'static,
    ) -> FamilyId {
        self.family_with(Arc::clone(&self.config), make, to_event)
    }

    /// A family with bounds and rounds of its own. Timers of reads, room for events and what lists cost are
    /// those of the planner.
    pub fn family_with<Q: Query>(
        &self,
        config: Arc<PlanConfig>,
        make: impl Fn(&str) -> Q + Clone + Send + Sync + 'static,
        to_event: impl Fn(&Arc<str>, Update<Q::Document>) -> E + Send + Sync + 'static,
    ) -> FamilyId {
        let any = make("");
        let nature = Nature::of(&any, None);
        let schedule = Schedule::new(config, nature, now());
        let path = make.clone();
        let path = Box::new(move |name: &str| path(name).path());
        let blocked = Arc::clone(&self.blocked);
        let family = Arc::new(Family::new(any.endpoint(), path, schedule, blocked));
        let id = self.id();
        self.shared.families.lock().insert(id, Arc::clone(&family));
        let runner = Runner {
            family,
            agent: self.agent.clone(),
            make,
            to_event,
            events: self.events.clone(),
            needs_right: nature.needs_right,
            watches: Arc::clone(&self.watches),
        };
        self.tasks.lock().spawn(Arc::new(runner).run());
        FamilyId(id)
    }

    /// The names of a family from now on. New ones are read at once, hot ones first; those that are not
    /// named are given up with all that is known of them. Beyond [`PlanConfig::max_names`] names are
    /// refused: their number is returned.
    pub fn set_names(&self, id: FamilyId, names: impl IntoIterator<Item = Arc<str>>) -> usize {
        let Some(family) = self.family_of(id) else { return 0 };
        let (refused, limit) =
            family.change(|schedule| (schedule.set_names(now(), names), schedule.max_names()));
        if refused > 0 {
            tracing::warn!(endpoint = family.endpoint, refused, limit, "names are not followed: too many");
        }
        refused
    }

    /// Marks a name as one without anything to wait for (its answer was empty), or no longer: it is
    /// read in the slow round only.
    pub fn idle(&self, id: FamilyId, name: &str, idle: bool) {
        if let Some(family) = self.family_of(id) {
            family.change(|schedule| schedule.set_idle(now(), name, idle));
        }
    }

    /// Has a name read at once; at most once in [`PlanConfig::read_now_every`], then as soon as it may be.
    /// Nothing happens for a name that is long-polled just now.
    pub fn read_now(&self, id: FamilyId, name: &str) {
        if let Some(family) = self.family_of(id) {
            family.change(|schedule| schedule.read_now(now(), name));
        }
    }

    /// Has these names read once within a time, spread evenly over it, whatever their turn. Nothing happens for
    /// names that are long-polled.
    pub fn read_within(&self, id: FamilyId, names: &[Arc<str>], within: Duration) {
        if let Some(family) = self.family_of(id) {
            family.change(|schedule| schedule.read_within(now(), names, within));
        }
    }

    /// Says which names have traffic: first to be read at the start, after an outage, and in fast
    /// rounds. Without it all names that are not idle are hot.
    pub fn hot(&self, id: FamilyId, names: impl IntoIterator<Item = Arc<str>>) {
        if let Some(family) = self.family_of(id) {
            let names: HashSet<_> = names.into_iter().collect();
            family.change(|schedule| schedule.set_hot(Some(names)));
        }
    }

    /// Has all hot names of a family read as fast as may be, but not more often than
    /// [`PlanConfig::fast_every`] allows, then as soon as it may be. Names that are long-polled just now are left out.
    pub fn fast_round(&self, id: FamilyId) {
        if let Some(family) = self.family_of(id) {
            family.change(Schedule::fast_round);
        }
    }

    fn family_of(&self, id: FamilyId) -> Option<Arc<Family>> {
        self.shared.families.lock().get(&id.0).cloned()
    }

    fn id(&self) -> u64 {
        self.ids.fetch_add(1, Relaxed)
    }

    fn start<Q: Query>(
        &self,
        watch: Watch<Q, A>,
        blocks: bool,
        to_event: impl Fn(Update<Q::Document>) -> E + Send + Sync + 'static,
    ) -> WatchId {
        let id = self.id();
        let (end, wakes) = (Arc::new(Notify::new()), Arc::<Locked<Vec<Arc<Family>>>>::default());
        let watched =
            Watched { shown: watch.shown().clone(), end: Arc::clone(&end), wakes: Arc::clone(&wakes) };
        self.shared.watches.lock().insert(id, watched);
        let place = blocks.then(|| Place::new(&self.watches));
        let events = self.events.clone();
        let config = Arc::clone(&self.config);
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let _place = place;
            follow(watch, to_event, events, &end, &wakes, &config).await;
        });
        WatchId(id)
    }
}

/// A task of a watch. When it is to end, the round under way runs out: an agent may hold a long poll
/// that nobody waits for just as long.
async fn follow<Q: Query, A: Asker, E>(
    mut watch: Watch<Q, A>,
    to_event: impl Fn(Update<Q::Document>) -> E,
    events: mpsc::Sender<E>,
    end: &Notify,
    wakes: &Locked<Vec<Arc<Family>>>,
    config: &PlanConfig,
) {
    let (mut woken, mut quiet) = (0, Quiet::default());
    loop {
        let update = {
            let mut round = std::pin::pin!(watch.round());
            tokio::select! {
                update = &mut round => update,
                () = end.notified() => {
                    let _ = timeout(config.watch.wait * 2, round).await;
                    return;
                }
            }
        };
        let was_woken = std::mem::replace(&mut woken, watch.wakes()) != watch.wakes();
        // What was written concerns names of these families, read in turn or long-polled themselves.
        let (mut families, mut in_turn, mut names) = (0, false, 0);
        if was_woken {
            for family in &*wakes.lock() {
                families += 1;
                in_turn |= family.change(|schedule| {
                    schedule.fast_round();
                    names += schedule.names();
                    schedule.is_read_in_turn()
                });
            }
        }
        if families > 0 && update.is_none() {
            if in_turn {
                watch.was_news();
            } else {
                let pause = quiet.pause(now(), config.quiet_pause(names), config);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = end.notified() => return,
                }
            }
        }
        if let Some(update) = update
            && events.send(to_event(update)).await.is_err()
        {
            return;
        }
    }
}

/// Wakes that bring nothing: the names of services are the same, and each service is long-polled itself.
/// To list ten thousand names again for each instance that changes is what costs an agent most, so such
/// rounds are spread; a new name is seen that much later, if it comes among them.
#[derive(Debug, Default)]
struct Quiet {
    /// When all rounds that may be made at once may be made again.
    full: Option<Instant>,
}

impl Quiet {
    /// How long to wait after one more of them.
    fn pause(&mut self, now: Instant, every: Duration, config: &PlanConfig) -> Duration {
        let full = self.full.map_or(now, |full| full.max(now)) + every;
        self.full = Some(full);
        full.saturating_duration_since(now).saturating_sub(every * config.quiet_burst)
    }
}

/// The place of a long poll in the budget, for as long as it lives.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn new(places: &Arc<AtomicUsize>) -> Self {
        places.fetch_add(1, Relaxed);
        Self(Arc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl<E, A: Asker> fmt::Debug for Planner<E, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner").field("agent", &self.agent).finish_non_exhaustive()
    }
}
