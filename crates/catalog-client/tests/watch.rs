//! A watch at an agent that comes and goes, in simulated time. Rows are those of consul-api 7.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its support fails")]

mod watch_world;

use catalog_client::{
    error::{Cause, Class},
    watch::{Agent, AgentState, State, Update, Watch, WatchConfig},
};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use watch_world::*;

type Said = (&'static str, Update<String>);

/// A watch in a task of its own, and what it says.
fn follow(agent: &Agent<World>, path: &'static str, sender: &mpsc::UnboundedSender<Said>) {
    let mut watch = Watch::new(agent, Text(path));
    let sender = sender.clone();
    tokio::spawn(async move {
        loop {
            let update = watch.next().await;
            if sender.send((path, update)).is_err() {
                return;
            }
        }
    });
}

fn one(world: &World, path: &'static str) -> (Agent<World>, mpsc::UnboundedReceiver<Said>) {
    let agent = Agent::new(world.clone(), WatchConfig::default());
    let (sender, receiver) = mpsc::unbounded_channel();
    follow(&agent, path, &sender);
    (agent, receiver)
}

async fn next(said: &mut mpsc::UnboundedReceiver<Said>) -> Update<String> {
    timeout(200 * SECOND, said.recv()).await.unwrap().unwrap().1
}

async fn document(said: &mut mpsc::UnboundedReceiver<Said>) -> Option<String> {
    match next(said).await {
        Update::Changed { document, .. } => document.map(|document| (*document).clone()),
        other => panic!("{other:?}"),
    }
}

async fn quiet(said: &mut mpsc::UnboundedReceiver<Said>, time: Duration) {
    let update = timeout(time, said.recv()).await;
    assert!(update.is_err(), "{update:?}");
}

#[tokio::test(start_paused = true)]
async fn changes_are_said_once_and_at_once() {
    let world = World::http1();
    world.put("/v1/a", "[1]");
    let (_agent, mut said) = one(&world, "a");
    assert_eq!(document(&mut said).await.as_deref(), Some("[1]"));
    quiet(&mut said, 100 * SECOND).await;
    let begun = Instant::now();
    world.put("/v1/a", "[2]");
    assert_eq!(document(&mut said).await.as_deref(), Some("[2]"));
    assert!(begun.elapsed() < 5 * MS);
    world.touch("/v1/a");
    quiet(&mut said, 100 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn an_absent_object_is_an_answer() {
    let world = World::http1();
    world.change(|state| {
        state.bodies.insert("/v1/a".to_owned(), (50, None));
    });
    let (_agent, mut said) = one(&world, "a");
    assert_eq!(document(&mut said).await, None);
    world.put("/v1/a", "{}");
    assert_eq!(document(&mut said).await.as_deref(), Some("{}"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_said_once_and_so_is_its_end() {
    let world = World::http1();
    world.put("/v1/a", "[1]");
    let (log, _guard) = Log::keep();
    let (agent, mut said) = one(&world, "a");
    document(&mut said).await;
    for _ in 0..3 {
        world.once("/v1/a", Err(status(500, "No cluster leader")));
    }
    world.once("/v1/a", Err(status(403, "Permission denied")));
    for class in [Class::Server, Class::Denied] {
        let Update::Failed(error) = next(&mut said).await else { panic!() };
        assert_eq!(error.class(), class);
    }
    assert!(matches!(next(&mut said).await, Update::Recovered));
    quiet(&mut said, 100 * SECOND).await;
    assert_eq!(log.count("watch fails"), 2, "{:?}", log.lines());
    assert_eq!(log.count("watch works again"), 1);
    assert_eq!(agent.counters().server_errors.get(), 3);
    assert_eq!(agent.counters().denied.get(), 1);
    assert_eq!(agent.counters().outages.get(), 0, "an agent that says no is there");
}

#[tokio::test(start_paused = true)]
async fn row_16_an_empty_list_that_hides_a_denial_is_checked_with_the_chain() {
    let world = World::http1();
    world.service("web", "[1]");
    let agent = Agent::new(world.clone(), WatchConfig::default());
    let mut watch = Watch::new(&agent, Connect("web".to_owned()));
    assert!(matches!(watch.next().await, Update::Changed { .. }));
    world.once(&path("web"), Ok(answer(1, Some("[]"))));
    world.once("/v1/discovery-chain/web", Err(status(403, "Permission denied")));
    let Update::Failed(error) = watch.next().await else { panic!() };
    assert_eq!(error.class(), Class::Denied);
    assert_eq!(watch.row().state, State::Failing(Class::Denied));
    // The right is back.
    assert!(matches!(watch.next().await, Update::Recovered));
    assert_eq!(watch.row().changes, 1);

    let mut missing = Watch::new(&agent, Connect("missing".to_owned()));
    world.once(&path("missing"), Ok(answer(1, Some("[]"))));
    let Update::Changed { document, .. } = missing.next().await else { panic!() };
    assert_eq!(document.unwrap().as_str(), "[]");

    agent.set_version(Some((1, 16)));
    world.forget_requests();
    let mut newer = Watch::new(&agent, Connect("newer".to_owned()));
    world.once(&path("newer"), Ok(answer(1, Some("[]"))));
    assert!(matches!(newer.next().await, Update::Changed { .. }));
    assert!(world.requests().iter().all(|request| !request.path.contains("chain")));
}

#[tokio::test(start_paused = true)]
async fn row_19_what_is_not_supported_is_quiet_and_asked_again_when_the_agent_was_away() {
    let world = World::http1();
    let (log, _guard) = Log::keep();
    world.once("/v1/a", Err(status(404, "")));
    let (agent, mut said) = one(&world, "a");
    let Update::Failed(error) = next(&mut said).await else { panic!() };
    assert_eq!(error.class(), Class::Unsupported);
    quiet(&mut said, 3000 * SECOND).await;
    assert_eq!(world.times("/v1/a").len(), 1);
    assert_eq!(log.count("watch fails"), 0);
    // Another watch finds out that the agent restarts: it may be another version now.
    let (sender, _others) = mpsc::unbounded_channel();
    follow(&agent, "b", &sender);
    sleep(SECOND).await;
    world.live(Life::Killed);
    sleep(10 * SECOND).await;
    world.live(Life::Up);
    let begun = Instant::now();
    assert!(matches!(next(&mut said).await, Update::Changed { .. }));
    assert!(begun.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn row_30_31_while_the_agent_is_away_nobody_dials_but_one_prober() {
    for life in [Life::Killed, Life::BlackHole] {
        let world = World::http2();
        let (log, _guard) = Log::keep();
        let agent = Agent::new(world.clone(), WatchConfig::default());
        let (sender, mut said) = mpsc::unbounded_channel();
        for path in ["a", "b", "c", "d", "e", "f"] {
            world.put(&format!("/v1/{path}"), "[1]");
            follow(&agent, path, &sender);
        }
        sleep(10 * SECOND).await;
        world.live(life);
        // A black hole is noticed when the first long poll is over its time.
        sleep(100 * SECOND).await;
        assert_eq!(agent.state().0, AgentState::Down, "{life:?}");
        world.forget_requests();
        let begun = Instant::now();
        sleep(600 * SECOND).await;
        assert_eq!(world.requests().len(), 0, "{life:?}");
        let probes = world.probes();
        let rate = probes.len() as f64 / begun.elapsed().as_secs_f64();
        assert!((2.0..=4.0).contains(&rate), "{life:?}: {rate} probes a second");
        let gap = probes.windows(2).map(|pair| pair[1].at - pair[0].at).min().unwrap();
        assert!(gap >= 250 * MS, "{life:?}: one prober, not several: {gap:?}");
        assert_eq!(log.count("cannot be reached"), 1, "{:?}", log.lines());
        assert_eq!(log.count("watch fails"), 0);

        let back = Instant::now();
        world.live(Life::Up);
        for path in ["a", "b", "c"] {
            world.put(&format!("/v1/{path}"), "[2]");
        }
        let mut changed = 0;
        while changed < 9 {
            if let Update::Changed { .. } = said.recv().await.unwrap().1 {
                changed += 1;
            }
        }
        assert!(back.elapsed() <= SECOND, "{life:?}: current after {:?}", back.elapsed());
        sleep(10 * SECOND).await;
        assert_eq!(log.count("answers again"), 1);
        assert_eq!((agent.counters().outages.get(), agent.counters().returns.get()), (1, 1));
        let first_asks: Vec<_> = world.requests().iter().take(6).map(|request| request.ask.clone()).collect();
        assert!(first_asks.iter().all(|ask| *ask == catalog_client::query::Ask::Now), "{first_asks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_30_however_long_the_agent_was_away_the_first_watch_is_current_within_two_seconds() {
    for life in [Life::Killed, Life::BlackHole, Life::Stopped] {
        for away in [1, 5, 60, 100, 3600] {
            let world = World::http1();
            world.put("/v1/a", "[1]");
            let (_agent, mut said) = one(&world, "a");
            document(&mut said).await;
            sleep(10 * SECOND).await;
            world.live(life);
            sleep(Duration::from_secs(away)).await;
            let back = Instant::now();
            world.live(Life::Up);
            world.put("/v1/a", "[2]");
            let limit = match life {
                // Less than the time of a long poll, and nobody knows that it was lost.
                Life::BlackHole if away < 79 => 90 * SECOND,
                _ => 2 * SECOND,
            };
            loop {
                if let Update::Changed { .. } = next(&mut said).await {
                    break;
                }
            }
            assert!(back.elapsed() <= limit, "{life:?} for {away} s: {:?}", back.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_that_an_outage_swallowed_is_not_waited_for() {
    // Only the older of two long polls has found out that the agent was away.
    let world = World::http1();
    world.put("/v1/a", "[1]");
    world.put("/v1/b", "[1]");
    let agent = Agent::new(world.clone(), WatchConfig::default());
    let (sender, mut said) = mpsc::unbounded_channel();
    follow(&agent, "a", &sender);
    sleep(40 * SECOND).await;
    follow(&agent, "b", &sender);
    sleep(SECOND).await;
    world.live(Life::BlackHole);
    while agent.state().0 != AgentState::Down {
        sleep(SECOND).await;
    }
    sleep(5 * SECOND).await;
    while said.try_recv().is_ok() {}
    world.live(Life::Up);
    let back = Instant::now();
    world.put("/v1/b", "[2]");
    loop {
        if let ("b", Update::Changed { .. }) = said.recv().await.unwrap() {
            break;
        }
    }
    assert!(back.elapsed() < SECOND, "{:?}", back.elapsed());
    assert_eq!(agent.counters().abandoned.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_agent_never_reached_at_the_start_is_waited_for() {
    let world = World::http1();
    world.put("/v1/a", "[1]");
    world.live(Life::Killed);
    let (log, _guard) = Log::keep();
    let (agent, mut said) = one(&world, "a");
    let Update::Failed(error) = next(&mut said).await else { panic!() };
    assert!(matches!(error.cause, Cause::Unreachable(_)));
    quiet(&mut said, 600 * SECOND).await;
    assert!(agent.error().is_some());
    world.live(Life::Up);
    assert_eq!(document(&mut said).await.as_deref(), Some("[1]"));
    assert_eq!((log.count("cannot be reached"), log.count("answers again")), (1, 1));
    assert!(agent.error().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_while_others_work_is_its_watchs_own() {
    let world = World::http1();
    let agent = Agent::new(world.clone(), WatchConfig::default());
    let (sender, mut said) = mpsc::unbounded_channel();
    for path in ["a", "b"] {
        world.put(&format!("/v1/{path}"), "[1]");
        follow(&agent, path, &sender);
    }
    sleep(10 * SECOND).await;
    said.recv().await.unwrap();
    said.recv().await.unwrap();
    world.forget_requests();
    for _ in 0..3 {
        world.once("/v1/a", Err(Cause::Timeout("no answer".to_owned())));
    }
    world.change(|_| {});
    let (path, update) = said.recv().await.unwrap();
    assert_eq!(path, "a");
    assert!(matches!(update, Update::Failed(_)));
    let (path, update) = said.recv().await.unwrap();
    assert_eq!(path, "a");
    assert!(matches!(update, Update::Recovered));
    assert_eq!(agent.counters().outages.get(), 0);
    assert_eq!(world.times("/v1/b").len(), 0, "its long poll went on");
    assert_eq!(world.probes().len(), 3, "each doubt is one probe");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_anybody_ends_an_outage() {
    // A probe that is slow, while a long poll of before is answered.
    let world = World::http1();
    world.put("/v1/a", "[1]");
    world.put("/v1/b", "[1]");
    let agent = Agent::new(world.clone(), WatchConfig::default());
    let (sender, mut said) = mpsc::unbounded_channel();
    follow(&agent, "a", &sender);
    follow(&agent, "b", &sender);
    sleep(10 * SECOND).await;
    world.change(|state| state.latency = 2500 * MS);
    world.once("/v1/a", Err(Cause::Cut("reset".to_owned())));
    world.change(|_| {});
    sleep(1500 * MS).await;
    assert_eq!(agent.state().0, AgentState::Down);
    world.put("/v1/b", "[2]");
    sleep(MS).await;
    assert_eq!(agent.state().0, AgentState::Up);
    while let Ok(Some(_)) = timeout(SECOND, said.recv()).await {}
}

#[tokio::test(start_paused = true)]
async fn a_slow_agent_is_not_away_for_ever() {
    let world = World::http1();
    world.put("/v1/a", "[1]");
    world.change(|state| state.latency = 2500 * MS);
    let (agent, mut said) = one(&world, "a");
    world.once("/v1/a", Err(Cause::Cut("reset".to_owned())));
    assert!(matches!(next(&mut said).await, Update::Failed(_)));
    assert_eq!(document(&mut said).await.as_deref(), Some("[1]"));
    assert_eq!(agent.state().0, AgentState::Up);
}

#[tokio::test(start_paused = true)]
async fn row_32_an_agent_that_came_back_empty_at_the_same_index_is_read() {
    let world = World::http1();
    world.change(|state| {
        state.bodies.insert("/v1/a".to_owned(), (9, Some("[one]".to_owned())));
    });
    let (_agent, mut said) = one(&world, "a");
    document(&mut said).await;
    world.live(Life::Killed);
    sleep(5 * SECOND).await;
    world.change(|state| {
        state.bodies.insert("/v1/a".to_owned(), (9, Some("[two, three]".to_owned())));
    });
    world.live(Life::Up);
    assert!(matches!(next(&mut said).await, Update::Failed(_)));
    assert_eq!(document(&mut said).await.as_deref(), Some("[two, three]"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_between_two_rounds_notices_that_the_agent_is_another() {
    // It waits for the limiter while the agent restarts: its own connection was never cut.
    let world = World::http1();
    world.put("/v1/a", "[1]");
    world.put("/v1/b", "[1]");
    let agent = Agent::new(world.clone(), WatchConfig::default());
    let (sender, mut said) = mpsc::unbounded_channel();
    follow(&agent, "a", &sender);
    follow(&agent, "b", &sender);
    sleep(10 * SECOND).await;
    while said.try_recv().is_ok() {}
    let index = world.lock().index - 1;
    world.once("/v1/a", Err(status(429, "")));
    world.change(|_| {});
    sleep(100 * MS).await;
    world.forget_requests();
    world.live(Life::Killed);
    world.live(Life::Up);
    world.change(|state| {
        state.bodies.insert("/v1/a".to_owned(), (index, Some("[other]".to_owned())));
    });
    let asks: Vec<_> = loop {
        sleep(100 * MS).await;
        let requests = world.requests();
        let asks: Vec<_> = requests.iter().filter(|r| r.path == "/v1/a").map(|r| r.ask.clone()).collect();
        if !asks.is_empty() {
            break asks;
        }
    };
    assert_eq!(asks[0], catalog_client::query::Ask::Now);
}

#[tokio::test(start_paused = true)]
async fn row_34_a_restored_snapshot_is_seen_within_one_wait_and_ten_seconds() {
    let world = World::http1();
    world.put("/v1/a", "[1,2]");
    let (log, _guard) = Log::keep();
    let (agent, mut said) = one(&world, "a");
    document(&mut said).await;
    sleep(10 * SECOND).await;
    let begun = Instant::now();
    let index = world.lock().bodies["/v1/a"].0;
    world.once("/v1/a", Ok(answer(index, Some("[1,2]"))));
    world.change(|state| {
        state.index = 40;
        state.bodies.insert("/v1/a".to_owned(), (40, Some("[1]".to_owned())));
    });
    assert_eq!(document(&mut said).await.as_deref(), Some("[1]"));
    assert!(begun.elapsed() >= 5 * SECOND && begun.elapsed() < 70 * SECOND, "{:?}", begun.elapsed());
    assert_eq!(log.count("the index went back"), 1);
    assert!(agent.counters().backwards.get() >= 1);
}

#[tokio::test(start_paused = true)]
async fn row_45_what_cannot_be_read_is_rejected_by_name() {
    let world = World::http1();
    world.put("/v1/a", "[1]");
    let (log, _guard) = Log::keep();
    let (agent, mut said) = one(&world, "a");
    document(&mut said).await;
    world.put("/v1/a", "<html>");
    let Update::Failed(error) = next(&mut said).await else { panic!() };
    assert_eq!(error.class(), Class::Rejected);
    assert_eq!(error.to_string(), "GET /v1/a: the answer cannot be read: expected value at line 1 column 1");
    quiet(&mut said, 300 * SECOND).await;
    assert_eq!(log.count("watch fails"), 1);
    assert_eq!(agent.counters().rejected.get(), 1, "the same body is not read again");
    world.put("/v1/a", "[2]");
    assert_eq!(document(&mut said).await.as_deref(), Some("[2]"));
}

#[tokio::test(start_paused = true)]
async fn row_51_a_list_that_lost_entries_at_the_same_index_is_kept() {
    let world = World::http1();
    world.put("/v1/a", "[1,2,3]");
    let (_agent, mut said) = one(&world, "a");
    document(&mut said).await;
    let index = world.lock().index;
    world.once("/v1/a", Err(status(500, "rpc error")));
    world.change(|state| {
        state.bodies.insert("/v1/a".to_owned(), (index, Some("[1]".to_owned())));
    });
    let Update::Failed(error) = next(&mut said).await else { panic!() };
    assert_eq!(error.class(), Class::Server);
    let Update::Failed(error) = next(&mut said).await else { panic!() };
    assert_eq!(error.class(), Class::Denied);
    assert!(error.to_string().contains("lost a right"), "{error}");
    quiet(&mut said, 300 * SECOND).await;
    world.touch("/v1/a");
    assert_eq!(document(&mut said).await.as_deref(), Some("[1]"));
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_says_beside_its_body_is_said() {
    let world = World::http1();
    let with = |deny| {
        let mut answer = answer(50, Some("[1]"));
        answer.default_deny = Some(deny);
        Ok(answer)
    };
    world.once("/v1/a", with(true));
    world.once("/v1/a", with(false));
    let (_agent, mut said) = one(&world, "a");
    let Update::Changed { facts, .. } = next(&mut said).await else { panic!() };
    assert_eq!((facts.index, facts.default_deny), (50, Some(true)));
    let Update::Facts(facts) = next(&mut said).await else { panic!() };
    assert_eq!(facts.default_deny, Some(false));
}

/// Ten minutes without a leader: said once, one watch tries for all, and when it succeeds the others do not wait for
/// the end of their pauses.
#[tokio::test(start_paused = true)]
async fn one_of_many_that_fail_alike_speaks_and_tries_for_all() {
    const PATHS: [&str; 5] = ["a", "b", "c", "d", "e"];
    let (log, _guard) = Log::keep();
    let world = World::http1();
    let agent = Agent::new(world.clone(), WatchConfig::default());
    let (sender, mut said) = mpsc::unbounded_channel();
    for name in PATHS {
        let path = format!("/v1/{name}");
        world.put(&path, "[1]");
        follow(&agent, name, &sender);
    }
    for _ in PATHS {
        assert_eq!(document(&mut said).await.as_deref(), Some("[1]"));
    }
    world.change(|state| {
        for name in PATHS {
            let script = state.script.entry(format!("/v1/{name}")).or_default();
            script.extend((0..2000).map(|_| Err(status(500, "No cluster leader"))));
        }
    });
    PATHS.iter().for_each(|name| world.touch(&format!("/v1/{name}")));
    sleep(540 * SECOND).await;
    world.forget_requests();
    sleep(60 * SECOND).await;
    let asked = world.requests().len();
    assert!((60..=140).contains(&asked), "{asked} requests within a minute");
    while said.try_recv().is_ok() {}
    assert_eq!(log.count("watch fails"), 1, "{:?}", log.lines());

    world.change(|state| state.script.clear());
    PATHS.iter().for_each(|name| world.put(&format!("/v1/{name}"), "[2]"));
    let healed = Instant::now();
    for _ in PATHS {
        assert_eq!(document(&mut said).await.as_deref(), Some("[2]"));
    }
    assert!(healed.elapsed() <= 2 * SECOND, "{:?}", healed.elapsed());
    assert_eq!((log.count("watch fails"), log.count("answers well again")), (1, 1), "{:?}", log.lines());
}

/// Everything is denied for ten minutes: one tries for all, and a second and a half after the right is there
/// all ask. Where only one right is missing nobody hurries, because each try is a line in Consul's log.
#[tokio::test(start_paused = true)]
async fn where_everything_is_denied_one_tries_for_all() {
    const PATHS: [&str; 3] = ["a", "b", "c"];
    let world = World::http1();
    let agent = Agent::new(world.clone(), WatchConfig::default());
    let (sender, mut said) = mpsc::unbounded_channel();
    for name in ["free", "a", "b", "c"] {
        world.put(&format!("/v1/{name}"), "[1]");
        follow(&agent, name, &sender);
    }
    for _ in 0..4 {
        assert_eq!(document(&mut said).await.as_deref(), Some("[1]"));
    }
    let deny = |paths: &[&'static str]| {
        world.change(|state| {
            for name in paths {
                let script = state.script.entry(format!("/v1/{name}")).or_default();
                script.extend((0..2000).map(|_| Err(status(403, "Permission denied"))));
            }
        });
        paths.iter().for_each(|name| world.touch(&format!("/v1/{name}")));
    };
    let asked = || world.requests().iter().filter(|request| request.path != "/v1/free").count();

    sleep(SECOND).await;
    deny(&PATHS);
    sleep(540 * SECOND).await;
    world.forget_requests();
    sleep(60 * SECOND).await;
    assert!((40..=100).contains(&asked()), "{} requests within a minute", asked());
    while said.try_recv().is_ok() {}
    world.change(|state| state.script.clear());
    PATHS.iter().for_each(|name| world.put(&format!("/v1/{name}"), "[2]"));
    let healed = Instant::now();
    for _ in PATHS {
        assert_eq!(document(&mut said).await.as_deref(), Some("[2]"));
    }
    assert!(healed.elapsed() <= 2 * SECOND, "{:?}", healed.elapsed());

    sleep(SECOND).await;
    deny(&PATHS[..2]);
    sleep(540 * SECOND).await;
    world.forget_requests();
    sleep(60 * SECOND).await;
    assert!(asked() <= 6, "{} requests within a minute", asked());
}
