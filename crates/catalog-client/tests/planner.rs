//! A plan of many names at an agent in simulated time.

mod watch_world;

use catalog_client::{
    planner::{FamilyId, Mode, PlanConfig, Planner},
    query::Ask,
    watch::{AgentState, Update},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use watch_world::*;

/// What comes out of the plan: a name, and what is said of it.
type Event = (Arc<str>, Update<String>);

struct Plan {
    planner: Planner<Event, World>,
    events: mpsc::Receiver<Event>,
    family: FamilyId,
}

impl Plan {
    fn new(world: &World, config: PlanConfig) -> Self {
        let (planner, events) = Planner::new(world.clone(), config);
        let family = planner.family(|name| Connect(name.to_owned()), |name, update| (name.clone(), update));
        planner.agent().set_version(Some((1, 21)));
        Self { planner, events, family }
    }

    fn with_names(world: &World, n: usize) -> Self {
        let plan = Self::new(world, PlanConfig { events: 40_000, ..PlanConfig::default() });
        fill(world, n);
        plan.planner.set_names(plan.family, names(n));
        plan
    }

    /// Takes what is there.
    fn taken(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    fn changed(&mut self) -> Vec<Arc<str>> {
        let changed = |(name, update): Event| matches!(update, Update::Changed { .. }).then_some(name);
        self.taken().into_iter().filter_map(changed).collect()
    }

    fn status(&self) -> catalog_client::planner::FamilyStatus {
        self.planner.status().families().remove(0)
    }
}

fn names(n: usize) -> impl Iterator<Item = Arc<str>> {
    (0..n).map(|n| Arc::from(format!("s{n}")))
}

fn fill(world: &World, n: usize) {
    world.change(|state| {
        for name in names(n) {
            state.bodies.insert(path(&name), (90, Some(format!("[{name}]"))));
        }
    });
}

/// When each path was asked.
fn by_path(world: &World) -> HashMap<String, Vec<Instant>> {
    let mut by_path = HashMap::<String, Vec<Instant>>::new();
    for request in world.requests() {
        by_path.entry(request.path).or_default().push(request.at);
    }
    by_path
}

#[tokio::test(start_paused = true)]
async fn up_to_forty_names_are_long_polled_over_http1() {
    for n in [1, 40] {
        let world = World::http1();
        let mut plan = Plan::with_names(&world, n);
        sleep(5 * SECOND).await;
        assert_eq!(plan.changed().len(), n);
        assert_eq!((plan.status().mode, world.lock().holding), (Some(Mode::Block), n));
        let begun = Instant::now();
        world.service("s0", "[new]");
        let (name, update) = plan.events.recv().await.unwrap();
        assert_eq!(&*name, "s0");
        assert!(matches!(update, Update::Changed { .. }));
        assert!(begun.elapsed() < 5 * MS);
        // For good: each is held again, a minute at a time.
        sleep(600 * SECOND).await;
        assert_eq!(world.lock().holding, n);
        assert!(world.requests().len() < n * 14 + 10, "{}", world.requests().len());
    }
}

#[tokio::test(start_paused = true)]
async fn in_turn_every_name_is_read_within_the_bound_for_their_number() {
    for (n, bound) in [(41, 2), (100, 2), (1000, 10), (10_000, 60)] {
        let bound = Duration::from_secs(bound);
        let world = World::http1();
        world.change(|state| state.latency = 5 * MS);
        let mut plan = Plan::with_names(&world, n);
        // All are read once, by few at a time.
        let begun = Instant::now();
        while plan.status().counts.first_reads < n as u64 || plan.status().reading > 0 {
            sleep(10 * MS).await;
        }
        assert_eq!(plan.changed().len(), n);
        assert!(begun.elapsed() < 10 * MS + 6 * MS * u32::try_from(n).unwrap() / 32 + SECOND);
        assert_eq!(world.lock().most_reading, 32, "no herd at the start");

        let from = Instant::now();
        world.lock().most_reading = 0;
        let mut oldest = Duration::ZERO;
        while from.elapsed() < 3 * bound {
            sleep(bound / 20).await;
            oldest = oldest.max(plan.status().oldest.unwrap());
        }
        assert!(oldest <= bound, "{n} names: {oldest:?}");
        assert!(world.lock().most_reading <= 8);
        let reads = by_path(&world);
        assert_eq!(reads.len(), n);
        for (path, times) in &reads {
            let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(gap <= bound, "{n} names: {path} waited {gap:?}");
        }
        // Spread evenly: no tenth of a round has much more than its share.
        let mut shares = HashMap::<u128, usize>::new();
        let share = bound * 19 / 20 / 10;
        for at in reads.values().flatten().filter(|at| **at > from + share && from.elapsed() > share) {
            *shares.entry((*at - from).as_nanos() / share.as_nanos()).or_default() += 1;
        }
        let most = *shares.values().max().unwrap();
        assert!(most <= n / 10 + n / 50 + 3, "{n} names: {most} reads in a tenth of a round");
        let leader = world.requests().iter().filter(|request| request.ask != Ask::Stale).count();
        assert_eq!(leader, n, "the leader is asked once for each name, then any server");
        let checked = world.requests().iter().filter(|request| request.ask == Ask::Now).count();
        assert!((1..=32 + n / 100).contains(&checked), "{checked} of {n} first reads were checked");
        leans_on_checks(&world, 5 * MS);
        assert_eq!(plan.changed().len(), 0);
    }
}

/// No first read without a check of its own that another has not made within half a second before it.
fn leans_on_checks(world: &World, latency: Duration) {
    let requests = world.requests();
    for request in requests.iter().filter(|request| request.ask == Ask::Leader) {
        let checked = requests.iter().any(|other| {
            let age = request.at.saturating_duration_since(other.at);
            other.ask == Ask::Now && age >= latency && age < 500 * MS
        });
        assert!(checked, "{} was asked on trust", request.path);
    }
}

/// One server, killed and started again between two first reads: what is read before it has replayed its
/// log is not believed to be all.
#[tokio::test(start_paused = true)]
async fn a_check_of_an_agent_says_nothing_of_the_next() {
    let world = World::http1();
    // So long that only the other agent ends it.
    let plan = Plan::new(&world, PlanConfig { check_reaches: 600 * SECOND, ..PlanConfig::default() });
    let first = |name: &str| world.requests().into_iter().find(|it| it.path == path(name)).map(|it| it.ask);
    plan.planner.set_names(plan.family, names(1));
    sleep(100 * MS).await;
    plan.planner.set_names(plan.family, names(2));
    sleep(100 * MS).await;
    assert_eq!((first("s0"), first("s1")), (Some(Ask::Now), Some(Ask::Leader)));
    world.live(Life::Killed);
    sleep(10 * MS).await;
    world.live(Life::Up);
    let returned = Instant::now();
    // It is asked with the first that is asked at all.
    plan.planner.set_names(plan.family, names(3));
    sleep(SECOND).await;
    let requests = world.requests().into_iter().filter(|it| it.at >= returned && it.path != LEADER);
    let asked: Vec<_> = requests.map(|it| (it.path, it.ask)).collect();
    assert_eq!(asked[0], (path("s2"), Ask::Now), "{asked:?}");
}

/// `discovery_max_stale`: the agent lets any server answer who does not ask for a check.
#[tokio::test(start_paused = true)]
async fn where_others_answer_for_the_leader_each_first_read_is_checked() {
    let world = World::http1();
    world.change(|state| (state.latency, state.leader_answers) = (5 * MS, false));
    let mut plan = Plan::with_names(&world, 1000);
    sleep(3 * SECOND).await;
    assert_eq!(plan.changed().len(), 1000);
    let asked = |ask: Ask| world.requests().iter().filter(|request| request.ask == ask).count();
    assert_eq!(asked(Ask::Now), 1000);
    assert!(asked(Ask::Leader) <= 32, "{} were asked in vain", asked(Ask::Leader));
}

/// Of two thousand names half are of sidecars, and a service that comes meanwhile is read before them.
#[tokio::test(start_paused = true)]
async fn new_names_that_nobody_calls_come_after_all_that_somebody_may_call() {
    let world = World::http2();
    world.change(|state| state.latency = 10 * MS);
    let plan = Plan::with_names(&world, 200);
    for n in 0..100 {
        plan.planner.idle(plan.family, &format!("s{n}"), true);
    }
    sleep(5 * MS).await;
    plan.planner.set_names(plan.family, names(201));
    sleep(SECOND).await;
    let reads: Vec<_> = world.requests().into_iter().filter(|it| !matches!(it.ask, Ask::Above(_))).collect();
    let place = |n: usize| reads.iter().position(|it| it.path == path(&format!("s{n}"))).unwrap();
    // Those of the first moment are under way before anything is said of them.
    let last_called = (100..201).map(place).max().unwrap();
    let before = (0..100).filter(|n| place(*n) < last_called).count();
    assert!(before <= 32, "{before} went before a service");
    assert_eq!(plan.status().counts.first_reads, 201);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_when_its_turn_comes() {
    let world = World::http1();
    let mut plan = Plan::with_names(&world, 100);
    sleep(5 * SECOND).await;
    plan.taken();
    world.service("s50", "[new]");
    sleep(2 * SECOND).await;
    assert_eq!(plan.changed(), [Arc::from("s50")]);
}

#[tokio::test(start_paused = true)]
async fn row_50_forty_one_names_are_read_in_turn_and_thirty_long_polled_again() {
    let world = World::http1();
    let (log, _guard) = Log::keep();
    let mut plan = Plan::with_names(&world, 40);
    sleep(5 * SECOND).await;
    assert_eq!(plan.changed().len(), 40);
    fill(&world, 41);
    plan.planner.set_names(plan.family, names(41));
    sleep(90 * SECOND).await;
    // What was known is kept: only the new name is news.
    assert_eq!(plan.changed(), [Arc::from("s40")]);
    assert_eq!((plan.status().mode, world.lock().holding), (Some(Mode::Sweep), 0));
    plan.planner.set_names(plan.family, names(31));
    sleep(5 * SECOND).await;
    assert_eq!(plan.status().mode, Some(Mode::Sweep));
    plan.planner.set_names(plan.family, names(30));
    sleep(5 * SECOND).await;
    assert_eq!((plan.status().mode, world.lock().holding), (Some(Mode::Block), 30));
    assert_eq!(plan.changed().len(), 0);
    assert_eq!(log.count("way of following names"), 3, "{:?}", log.lines());
    assert_eq!(log.count("41 names over HTTP/1.1, only 40 may be long-polled"), 1);
    assert_eq!(plan.status().counts.mode_changes, 3);
}

#[tokio::test(start_paused = true)]
async fn over_http2_a_thousand_names_are_long_polled() {
    let world = World::http2();
    let mut plan = Plan::with_names(&world, 1000);
    sleep(5 * SECOND).await;
    assert_eq!(plan.changed().len(), 1000);
    assert_eq!(world.lock().holding, 1000);
    assert_eq!(world.lock().most_reading, 32);
    assert_eq!(plan.status().oldest, None, "what is long-polled is current");
    let begun = Instant::now();
    world.service("s999", "[new]");
    assert_eq!(&*plan.events.recv().await.unwrap().0, "s999");
    assert!(begun.elapsed() < 5 * MS);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_long_polled_before_the_protocol_is_known() {
    let world = World::http2();
    world.change(|state| state.capacity.multiplexed = None);
    let mut plan = Plan::with_names(&world, 100);
    sleep(3 * SECOND).await;
    assert_eq!((plan.changed().len(), plan.status().mode, world.lock().holding), (100, None, 0));
    world.change(|state| state.capacity.multiplexed = Some(true));
    sleep(3 * SECOND).await;
    assert_eq!((plan.status().mode, world.lock().holding), (Some(Mode::Block), 100));
}

#[tokio::test(start_paused = true)]
async fn the_mode_can_be_set() {
    let world = World::http2();
    let config = PlanConfig { mode: Some(Mode::Sweep), ..PlanConfig::default() };
    let plan = Plan::new(&world, config);
    plan.planner.set_names(plan.family, names(10));
    sleep(5 * SECOND).await;
    let status = plan.status();
    assert_eq!(
        (status.mode, status.reason.as_str(), world.lock().most_holding),
        (Some(Mode::Sweep), "as set", 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_name_is_read_at_once_among_thousands() {
    let world = World::http1();
    let mut plan = Plan::with_names(&world, 10_000);
    sleep(30 * SECOND).await;
    plan.taken();
    let begun = Instant::now();
    world.service("new", "[1]");
    plan.planner.set_names(plan.family, names(10_000).chain([Arc::from("new")]));
    let (name, _) = plan.events.recv().await.unwrap();
    assert_eq!(&*name, "new");
    assert!(begun.elapsed() < 10 * MS, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn names_go_and_come_back_by_the_thousand_without_a_herd_or_a_leak() {
    for world in [World::http1(), World::http2()] {
        let mut plan = Plan::with_names(&world, 10_000);
        sleep(20 * SECOND).await;
        assert_eq!(plan.changed().len(), 10_000);
        for _ in 0..2 {
            plan.planner.set_names(plan.family, names(1000));
            sleep(10 * SECOND).await;
            assert_eq!((plan.status().names, plan.status().queued), (1000, 0));
            plan.planner.set_names(plan.family, names(10_000));
            sleep(10 * SECOND).await;
            // Who comes back is read anew: what was known of it has been given up.
            assert_eq!(plan.changed().len(), 9000);
        }
        sleep(70 * SECOND).await;
        assert_eq!(world.lock().most_reading, 32);
        assert!(world.lock().most_holding <= 10_000, "{}", world.lock().most_holding);
        assert_eq!(plan.changed().len(), 0);
        plan.planner.set_names(plan.family, names(0));
        sleep(90 * SECOND).await;
        let status = plan.status();
        assert_eq!((status.names, status.reading, status.blocking, status.queued), (0, 0, 0, 0));
        assert_eq!(world.lock().holding, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_flaps_costs_no_more_long_polls_than_one() {
    let world = World::http1();
    let mut plan = Plan::with_names(&world, 10);
    sleep(5 * SECOND).await;
    for _ in 0..50 {
        plan.planner.set_names(plan.family, names(9));
        sleep(200 * MS).await;
        plan.planner.set_names(plan.family, names(10));
        sleep(200 * MS).await;
    }
    assert_eq!(world.lock().most_holding, 10);
    let changed = plan.changed();
    assert_eq!(changed.iter().filter(|name| &***name == "s9").count(), 51);
    assert_eq!(changed.len(), 60);
    // And it is followed afterwards.
    sleep(100 * SECOND).await;
    world.service("s9", "[new]");
    sleep(10 * MS).await;
    assert_eq!(plan.changed(), [Arc::from("s9")]);
}

#[tokio::test(start_paused = true)]
async fn row_47_a_long_poll_nobody_wants_runs_out_unread() {
    let world = World::http1();
    let mut plan = Plan::with_names(&world, 10);
    sleep(5 * SECOND).await;
    plan.taken();
    plan.planner.set_names(plan.family, names(9));
    sleep(SECOND).await;
    assert_eq!((world.lock().holding, plan.status().names, plan.status().blocking), (10, 9, 10));
    world.service("s9", "[new]");
    sleep(SECOND).await;
    assert_eq!(plan.taken().len(), 0);
    assert_eq!(world.lock().holding, 9);
}

#[tokio::test(start_paused = true)]
async fn idle_names_are_never_long_polled_and_read_five_times_as_seldom() {
    let world = World::http2();
    let mut plan = Plan::with_names(&world, 150);
    sleep(5 * SECOND).await;
    for name in names(100) {
        plan.planner.idle(plan.family, &name, true);
    }
    sleep(70 * SECOND).await;
    assert_eq!((world.lock().holding, plan.status().idle), (50, 100));
    world.forget_requests();
    plan.taken();
    // 150 names are some: 10 s, and 50 s for those that are idle.
    sleep(200 * SECOND).await;
    for name in names(100) {
        let times = world.times(&path(&name));
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(gap <= 50 * SECOND && gap >= 40 * SECOND, "{name}: {gap:?}");
    }
    // One that is there again, read on demand, is followed as any other.
    world.service("s7", "[new]");
    plan.planner.read_now(plan.family, "s7");
    assert_eq!(&*plan.events.recv().await.unwrap().0, "s7");
    plan.planner.idle(plan.family, "s7", false);
    sleep(SECOND).await;
    assert_eq!(world.lock().holding, 51);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_read_on_demand_at_once_and_once_a_second() {
    let world = World::http1();
    let mut plan = Plan::with_names(&world, 1000);
    sleep(15 * SECOND).await;
    plan.taken();
    world.service("s7", "[new]");
    let begun = Instant::now();
    plan.planner.read_now(plan.family, "s7");
    assert_eq!(&*plan.events.recv().await.unwrap().0, "s7");
    assert!(begun.elapsed() < 5 * MS);
    world.forget_requests();
    while begun.elapsed() < 10 * SECOND {
        plan.planner.read_now(plan.family, "s7");
        sleep(10 * MS).await;
    }
    let times = world.times(&path("s7"));
    assert!((9..=11).contains(&times.len()), "{}", times.len());
    plan.planner.read_now(plan.family, "unknown");
}

#[tokio::test(start_paused = true)]
async fn a_fast_round_reads_all_hot_names_within_half_a_second_once_in_two() {
    let world = World::http1();
    world.change(|state| state.latency = 10 * MS);
    let mut plan = Plan::with_names(&world, 1000);
    sleep(15 * SECOND).await;
    plan.taken();
    world.lock().most_reading = 0;
    let begun = Instant::now();
    for name in names(1000) {
        world.service(&name, "[new]");
    }
    plan.planner.fast_round(plan.family);
    while plan.status().queued > 0 || begun.elapsed() < MS {
        sleep(10 * MS).await;
    }
    sleep(20 * MS).await;
    assert!(begun.elapsed() < 500 * MS, "{:?}", begun.elapsed());
    assert_eq!(plan.changed().len(), 1000);
    assert!(world.lock().most_reading <= 32);
    for _ in 0..100 {
        plan.planner.fast_round(plan.family);
        sleep(100 * MS).await;
    }
    let rounds = plan.status().counts.fast_rounds;
    assert!((5..=7).contains(&rounds), "{rounds} in 10 s");

    // What has traffic alone.
    sleep(5 * SECOND).await;
    plan.planner.hot(plan.family, names(10));
    let before = plan.status().counts.fast_reads;
    plan.planner.fast_round(plan.family);
    sleep(SECOND).await;
    assert_eq!(plan.status().counts.fast_reads - before, 10);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_wakes_without_news_starts_a_fast_round() {
    let world = World::http1();
    world.put("/v1/catalog", "[1]");
    let mut plan = Plan::with_names(&world, 1000);
    let watch = plan.planner.watch(Text("catalog"), |update| (Arc::from("catalog"), update));
    plan.planner.wakes(watch, plan.family);
    sleep(15 * SECOND).await;
    assert_eq!(plan.changed().len(), 1001);
    assert_eq!(plan.status().counts.fast_rounds, 0);
    let begun = Instant::now();
    world.service("s500", "[new]");
    world.touch("/v1/catalog");
    assert_eq!(&*plan.events.recv().await.unwrap().0, "s500");
    assert!(begun.elapsed() < 500 * MS, "{:?}", begun.elapsed());
    assert_eq!(plan.status().counts.fast_rounds, 1);
}

#[tokio::test(start_paused = true)]
async fn row_31_after_an_outage_hot_names_come_first_and_all_within_six_seconds() {
    for world in [World::http1(), World::http2()] {
        let (log, _guard) = Log::keep();
        let mut plan = Plan::with_names(&world, 1000);
        plan.planner.hot(plan.family, names(100));
        sleep(20 * SECOND).await;
        plan.taken();
        world.live(Life::Killed);
        sleep(20 * SECOND).await;
        assert_eq!(plan.planner.status().agent().0, AgentState::Down);
        world.forget_requests();
        sleep(600 * SECOND).await;
        assert_eq!(world.requests().len(), 0);
        assert!(plan.taken().iter().all(|(_, update)| matches!(update, Update::Failed(_))));
        for name in names(1000) {
            world.service(&name, "[new]");
        }
        let back = Instant::now();
        world.live(Life::Up);
        sleep(SECOND).await;
        let first = plan.changed();
        for name in names(100) {
            assert!(first.contains(&name), "{name} is hot and not current after 1 s");
        }
        sleep(5 * SECOND + 500 * MS).await;
        assert_eq!(first.len() + plan.changed().len(), 1000, "within 6.5 s");
        // Spread: those that nobody waits for come evenly.
        let mut halves = HashMap::<u128, usize>::new();
        for request in world.requests().iter().filter(|r| matches!(r.ask, Ask::Now | Ask::Stale)) {
            *halves.entry((request.at - back).as_millis() / 500).or_default() += 1;
        }
        assert!(halves.values().all(|n| *n <= 250), "{halves:?}");
        let said = (log.count("cannot be reached"), log.count("answers again"), log.count("read fails"));
        assert_eq!(said, (1, 1, 0), "one line for all: {:?}", log.lines());
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_fail_do_not_hold_up_the_others_nor_fill_the_log() {
    let world = World::http1();
    let (log, _guard) = Log::keep();
    let mut plan = Plan::with_names(&world, 1000);
    sleep(20 * SECOND).await;
    plan.taken();
    world.change(|state| {
        for name in names(500) {
            let script = state.script.entry(path(&name)).or_default();
            script.extend((0..3).map(|_| Err(status(500, "rpc error"))));
        }
    });
    sleep(10 * SECOND).await;
    assert!(plan.status().failing > 400);
    let rows = plan.planner.status().rows(10);
    assert!(rows.iter().all(|row| row.error.as_ref().is_some_and(|error| error.contains("rpc error"))));
    world.service("s900", "[new]");
    sleep(10 * SECOND).await;
    assert_eq!(plan.changed(), [Arc::from("s900")]);
    sleep(120 * SECOND).await;
    assert_eq!(plan.status().failing, 0);
    assert_eq!(log.count("read fails"), 1, "all fail alike: {:?}", log.lines());
    assert_eq!(log.count("all names are read again"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_loses_nothing() {
    let world = World::http1();
    let config = PlanConfig { events: 2, ..PlanConfig::default() };
    let mut plan = Plan::new(&world, config);
    fill(&world, 200);
    plan.planner.set_names(plan.family, names(200));
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 200 {
        sleep(100 * MS).await;
        let (name, update) = timeout(SECOND, plan.events.recv()).await.unwrap().unwrap();
        assert!(matches!(update, Update::Changed { .. }));
        assert!(seen.insert(name));
        assert!(world.lock().reading <= 32);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lags_takes_nothing_away_and_the_leader_is_asked() {
    let world = World::http1();
    let mut plan = Plan::with_names(&world, 50);
    sleep(5 * SECOND).await;
    plan.taken();
    world.forget_requests();
    world.once(&path("s7"), Ok(answer(20, Some("[]"))));
    sleep(5 * SECOND).await;
    assert_eq!(plan.taken().len(), 0);
    let asks: Vec<_> =
        world.requests().iter().filter(|r| r.path == path("s7")).map(|r| r.ask.clone()).collect();
    assert_eq!(asks[..3], [Ask::Stale, Ask::Now, Ask::Stale]);
}

#[tokio::test(start_paused = true)]
async fn too_many_names_are_refused_and_counted() {
    let world = World::http1();
    let config = PlanConfig { max_names: 50, ..PlanConfig::default() };
    let mut plan = Plan::new(&world, config);
    assert_eq!(plan.planner.set_names(plan.family, names(60)), 10);
    sleep(5 * SECOND).await;
    assert_eq!((plan.changed().len(), plan.status().counts.refused), (50, 10));
    // There is room again.
    assert_eq!(plan.planner.set_names(plan.family, names(60).skip(30)), 0);
    sleep(5 * SECOND).await;
    assert_eq!((plan.changed().len(), plan.status().names), (10, 30));
}

#[tokio::test(start_paused = true)]
async fn watches_and_polls_share_the_channel_and_end_when_they_are_given_up() {
    let world = World::http1();
    world.put("/v1/a", "[1]");
    world.put("/v1/b", "[1]");
    let mut plan = Plan::new(&world, PlanConfig::default());
    let a = plan.planner.watch(Text("a"), |update| (Arc::from("a"), update));
    let b = plan.planner.poll(Text("b"), 30 * SECOND, |update| (Arc::from("b"), update));
    sleep(300 * SECOND).await;
    let rows = plan.planner.status().rows(0);
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].path.as_str(), rows[0].how.as_str(), rows[0].changes), ("/v1/a", "block", 1));
    assert_eq!((rows[1].path.as_str(), rows[1].how.as_str(), rows[1].changes), ("/v1/b", "poll", 1));
    assert!((10..=13).contains(&rows[1].answers), "{}", rows[1].answers);
    assert!(rows[1].answer_age.unwrap() <= 30 * SECOND);
    assert!(rows[1].change_age.unwrap() >= 270 * SECOND);
    assert_eq!(plan.changed().len(), 2);
    plan.planner.unwatch(a);
    plan.planner.unwatch(b);
    sleep(130 * SECOND).await;
    world.forget_requests();
    world.put("/v1/a", "[2]");
    sleep(300 * SECOND).await;
    assert_eq!((world.requests().len(), plan.taken().len(), plan.planner.status().rows(9).len()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn all_ends_with_the_planner() {
    let world = World::http2();
    let plan = Plan::with_names(&world, 100);
    plan.planner.watch(Text("a"), |update| (Arc::from("a"), update));
    sleep(5 * SECOND).await;
    assert_eq!(world.lock().holding, 101);
    let status = plan.planner.status();
    let Plan { planner, mut events, .. } = plan;
    drop(planner);
    while events.recv().await.is_some() {}
    sleep(MS).await;
    assert_eq!(world.lock().holding, 0);
    assert_eq!(world.lock().reading, 0);
    assert_eq!(status.families().len(), 1, "the last state can be read");
}
