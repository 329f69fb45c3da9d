//! Families with rounds of their own, as leaves have them, at an agent in simulated time.

mod watch_world;

use catalog_client::{
    planner::{FamilyId, Mode, PlanConfig, Planner, Rounds},
    query::Ask,
    watch::Update,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use watch_world::*;

const ROUND: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);

type Event = (Arc<str>, Update<String>);

struct Plan {
    planner: Planner<Event, World>,
    events: mpsc::Receiver<Event>,
    family: FamilyId,
    names: Vec<Arc<str>>,
}

/// Read in turn every five minutes, over HTTP/1.1 and HTTP/2 alike.
fn seldom() -> PlanConfig {
    PlanConfig {
        mode: Some(Mode::Sweep),
        rounds: Rounds { few: 0, some: 0, many_every: ROUND, ..Rounds::default() },
        ..PlanConfig::default()
    }
}

impl Plan {
    /// All names have been read for the first time.
    async fn begun(world: &World, n: usize, config: PlanConfig) -> Self {
        let (planner, events) =
            Planner::new(world.clone(), PlanConfig { events: 4000, ..PlanConfig::default() });
        let make = |name: &str| Connect(name.to_owned());
        let family = planner.family_with(Arc::new(config), make, |name, update| (name.clone(), update));
        let names: Vec<Arc<str>> = (0..n).map(|n| Arc::from(format!("s{n}"))).collect();
        for name in &names {
            world.service(name, &format!("[{name}]"));
        }
        planner.agent().set_version(Some((1, 21)));
        planner.set_names(family, names.iter().cloned());
        let mut plan = Self { planner, events, family, names };
        sleep(5 * SECOND).await;
        assert_eq!(plan.changed(), n);
        world.forget_requests();
        plan
    }

    fn changed(&mut self) -> usize {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .filter(|(_, update)| matches!(update, Update::Changed { .. }))
            .count()
    }
}

fn by_path(world: &World) -> HashMap<String, Vec<Instant>> {
    let mut by_path = HashMap::<String, Vec<Instant>>::new();
    for request in world.requests() {
        by_path.entry(request.path).or_default().push(request.at);
    }
    by_path
}

/// The most requests within any time of this length.
fn most_within(world: &World, length: Duration) -> usize {
    let times: Vec<_> = world.requests().iter().map(|request| request.at).collect();
    times
        .iter()
        .map(|at| times.iter().filter(|one| **one >= *at && **one < *at + length).count())
        .max()
        .unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn a_family_has_rounds_of_its_own() {
    for world in [World::http1(), World::http2()] {
        let plan = Plan::begun(&world, 500, seldom()).await;
        sleep(3 * ROUND).await;
        let reads = by_path(&world);
        assert_eq!(reads.len(), 500);
        for (path, times) in &reads {
            assert!((3..=4).contains(&times.len()), "{path}: {}", times.len());
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= ROUND), "{path}");
        }
        // 500 in 285 s is less than 2 a second: no herd, ever.
        assert!(most_within(&world, 10 * SECOND) <= 24, "{}", most_within(&world, 10 * SECOND));
        assert_eq!(world.lock().most_holding, 0);
        drop(plan);
    }
}

#[tokio::test(start_paused = true)]
async fn turns_are_brought_forward_and_stay_spread() {
    let world = World::http1();
    let mut plan = Plan::begun(&world, 600, seldom()).await;
    for name in &plan.names {
        world.service(name, "[renewed]");
    }
    plan.planner.read_within(plan.family, &plan.names, MINUTE);
    sleep(MINUTE + SECOND).await;
    assert_eq!(plan.changed(), 600, "all within a minute");
    assert!(most_within(&world, SECOND) <= 14, "{} in a second", most_within(&world, SECOND));
    // From then on it is the turn again.
    world.forget_requests();
    sleep(ROUND).await;
    let reads = by_path(&world);
    assert_eq!(reads.len(), 600);
    assert!(reads.values().all(|times| times.len() <= 2));
}

#[tokio::test(start_paused = true)]
async fn only_those_named_are_brought_forward() {
    let world = World::http1();
    let plan = Plan::begun(&world, 100, seldom()).await;
    sleep(SECOND).await;
    world.forget_requests();
    let some: Vec<_> = plan.names.iter().take(10).cloned().chain([Arc::from("nobody")]).collect();
    plan.planner.read_within(plan.family, &some, 10 * SECOND);
    sleep(10 * SECOND).await;
    let reads = by_path(&world);
    assert!(some.iter().take(10).all(|name| reads.contains_key(&path(name))), "{reads:?}");
    assert!(reads.len() <= 10 + 6, "the others keep their turns: {}", reads.len());
}

/// The answer that is on its way may be of before.
#[tokio::test(start_paused = true)]
async fn one_that_is_being_read_is_read_again() {
    let world = World::http1();
    let plan = Plan::begun(&world, 1, seldom()).await;
    world.change(|state| state.latency = 5 * SECOND);
    plan.planner.read_now(plan.family, "s0");
    sleep(SECOND).await;
    plan.planner.read_within(plan.family, &plan.names, MINUTE);
    sleep(MINUTE).await;
    assert_eq!(world.times(&path("s0")).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_long_polled_is_left_alone() {
    let world = World::http1();
    let plan = Plan::begun(&world, 8, PlanConfig::default()).await;
    assert_eq!(world.lock().holding, 8);
    world.forget_requests();
    plan.planner.read_within(plan.family, &plan.names, SECOND);
    sleep(10 * SECOND).await;
    assert_eq!(world.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_backs_off_is_not_asked_sooner() {
    let world = World::http1();
    let plan = Plan::begun(&world, 1, seldom()).await;
    world.once(&path("s0"), Err(status(403, "Permission denied")));
    plan.planner.read_now(plan.family, "s0");
    sleep(SECOND).await;
    let before = world.times(&path("s0")).len();
    plan.planner.read_within(plan.family, &plan.names, SECOND);
    sleep(SECOND).await;
    assert_eq!(world.times(&path("s0")).len(), before, "a refusal is not asked again within 2.5 s");
    sleep(5 * SECOND).await;
    assert_eq!(world.times(&path("s0")).len(), before + 1);
}

/// What was seen to be written must not be missed because a server lags that knows nothing of it yet.
#[tokio::test(start_paused = true)]
async fn the_leader_is_asked_each_time_where_any_server_will_not_do() {
    for any_server in [true, false] {
        let world = World::http1();
        let plan = Plan::begun(&world, 50, PlanConfig { any_server, ..seldom() }).await;
        plan.planner.read_now(plan.family, "s7");
        sleep(ROUND).await;
        let (leader, any): (Vec<_>, Vec<_>) =
            world.requests().into_iter().partition(|request| request.ask == Ask::Now);
        assert!(leader.len() + any.len() > 50);
        assert!(if any_server { leader.is_empty() } else { any.is_empty() }, "{any_server}");
    }
}

/// Where rounds are long a failure is not left to the next one.
#[tokio::test(start_paused = true)]
async fn a_failed_read_is_made_again_after_a_pause_where_that_is_wanted() {
    for retries in [false, true] {
        let world = World::http1();
        let mut plan = Plan::begun(&world, 20, PlanConfig { retries, ..seldom() }).await;
        // Until its own turn is over, so that the next one is far away.
        sleep(ROUND).await;
        world.forget_requests();
        let times = |world: &World| world.times(&path("s7")).len();
        for _ in 0..3 {
            world.once(&path("s7"), Err(status(500, "rate limit reached, try again later")));
        }
        plan.planner.read_now(plan.family, "s7");
        world.service("s7", "[renewed]");
        sleep(20 * SECOND).await;
        if retries {
            assert_eq!((times(&world), plan.changed()), (4, 1), "after 1, 2 and 4 s at most");
        } else {
            assert!(times(&world) <= 2, "{}", times(&world));
        }
    }
}
