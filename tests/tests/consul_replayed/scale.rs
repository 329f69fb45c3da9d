//! Forty services, and a thousand: how much is asked, how soon a change is seen, what is left when they go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateway_testkit::{Asked, GatewayBuilder, Lab, Replay, ReplayBuilder, wait_for};
use serde_json::{Map, Value, json};

use crate::world::{BACK_WITHIN, SERVICE, World, soon, steady};

const BUDGET: usize = 64;
const RESERVED: usize = 8;
const SECOND: Duration = Duration::from_secs(1);

/// A name of the crowd.
fn name(at: usize) -> String {
    format!("crowd-{at}")
}

/// Puts so many services with a sidecar each into the catalog, in place of those before.
fn crowd(replay: &Replay, services: usize) {
    let row = replay.get(&format!("/v1/health/connect/{SERVICE}"))[0].clone();
    for at in 0..services {
        let path = format!("/v1/health/connect/{}", name(at));
        if !replay.get(&path).as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let mut row = row.clone();
        let service = &mut row["Service"];
        service["ID"] = format!("{}-1-sidecar-proxy", name(at)).into();
        service["Service"] = format!("{}-sidecar-proxy", name(at)).into();
        service["Proxy"]["DestinationServiceName"] = name(at).into();
        replay.set(&path, &json!([row]));
    }
    let all = (0..services).flat_map(|at| [name(at), format!("{}-sidecar-proxy", name(at))]);
    let own = [SERVICE, "accounts-sidecar-proxy", "consul", "mesh-gateway"].map(str::to_owned);
    let list: Map<_, _> = all.chain(own).map(|name| (name, json!([]))).collect();
    replay.set("/v1/catalog/services", &list.into());
}

async fn world(services: usize, adapt: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> World {
    let replay = Replay::of_version("1.21").unwrap();
    on(replay, services, adapt).await
}

async fn on(
    replay: ReplayBuilder,
    services: usize,
    adapt: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
) -> World {
    let world = World::on(Lab::new().unwrap(), replay, |replay| crowd(replay, services), adapt).await;
    until_names(&world, services).await;
    world
}

/// Waits until all of the crowd and nobody else of it can be called.
async fn until_names(world: &World, services: usize) {
    let what = format!("{services} services");
    world.until(&what, |page| page["names"]["total"] == services + 2).await;
}

fn family(page: &Value) -> &Value {
    &page["consul"]["families"][0]
}

/// Whether it asks for a service of the crowd.
fn of_crowd(asked: &Asked) -> bool {
    asked.path().starts_with("/v1/health/connect/crowd-") && !asked.path().ends_with("-sidecar-proxy")
}

/// Asserts the bounds that always hold.
fn assert_bounds(world: &World) {
    let (connections, held) = (world.replay.connections(), world.replay.held());
    assert!(connections.peak <= BUDGET, "{connections:?}");
    assert!(held.peak <= BUDGET - RESERVED, "{held:?}");
    assert_capped(&world.replay);
}

/// Two thousand a second and five hundred at once, if they are sent; some may arrive together.
fn assert_capped(replay: &Replay) {
    let busiest = replay.busiest(SECOND, |_| true);
    assert!(busiest <= 2_700, "{busiest} questions in a second");
}

/// The longest time between two reads of one name of the crowd, or between the last one and now.
fn stalest(world: &World, services: usize) -> Duration {
    let mut last = BTreeMap::new();
    let mut longest = Duration::ZERO;
    for asked in world.replay.asked().iter().filter(|asked| of_crowd(asked)) {
        if let Some(before) = last.insert(asked.path().to_owned(), asked.at) {
            longest = longest.max(asked.at.saturating_duration_since(before));
        }
    }
    assert_eq!(last.len(), services, "each is read");
    let now = Instant::now();
    last.values().map(|at| now.saturating_duration_since(*at)).fold(longest, Duration::max)
}

/// Rows 15, 31, 50, T63: a thousand services over HTTP/1.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_services_are_read_in_turn() {
    const SERVICES: usize = 990;
    // A round of 2.5 s in place of 10 s: the bound is a setting, and the test is not to take all day.
    let world = world(SERVICES, |it| it.setting("TIMERS_CONSUL_SOME", "2500ms")).await;
    assert_bounds(&world);
    let steady = steady(&world);
    let page = world.snapshot().await;
    assert_eq!(family(&page)["mode"], "sweep", "{:#}", family(&page));
    let first = world.replay.count(of_crowd);
    assert!(first < SERVICES * 2, "{first} questions for {SERVICES} services at the start");

    world.replay.forget();
    tokio::time::sleep(Duration::from_millis(5500)).await;
    let stalest = stalest(&world, SERVICES);
    // The bound, and what a busy machine adds.
    assert!(stalest <= Duration::from_secs(3), "{stalest:?}");
    // Evenly, and not in bursts.
    let busiest = world.replay.busiest(SECOND, of_crowd);
    assert!(busiest <= SERVICES * 3 / 5, "{busiest} in a second");
    assert_bounds(&world);

    // What is called is quick: by the list of what is critical, and by the list of names.
    world.replay.set_health("accounts-2", "critical");
    let critical = world.until_healthy(1, soon()).await;
    world.replay.set_health("accounts-2", "passing");
    let passing = world.until_healthy(2, soon()).await;
    let _late = crate::world::server(&world.replay, &world.pki, SERVICE, "accounts-3");
    world.replay.touch("/v1/catalog/services");
    let registered = world.until_healthy(3, soon()).await;
    eprintln!(
        "measured: of {SERVICES} read in turn: critical {critical:?}, passing {passing:?}, registered {registered:?}"
    );
    // Read for a reason of its own at most once a second.
    assert!(
        [critical, passing, registered].iter().all(|took| *took < SECOND * 3 / 2),
        "{critical:?} {passing:?} {registered:?}"
    );

    // Away for long, and back: nobody rushes.
    world.replay.kill();
    world.until("away", |page| page["consul"]["agent"]["answers"] == false).await;
    steady.go_on(120).await;
    world.replay.set_health("accounts-2", "critical");
    world.replay.forget();
    let back = Instant::now();
    world.replay.listen();
    world.until_healthy(2, soon()).await;
    let seen = back.elapsed();
    let all = async || (world.replay.count(of_crowd) >= SERVICES).then_some(());
    wait_for(soon(), "all to be read again", all).await.unwrap();
    let busiest = world.replay.busiest(SECOND, of_crowd);
    eprintln!(
        "measured: {SERVICES} services, agent back: change seen after {seen:?}, {busiest} in the busiest second"
    );
    assert!(seen <= BACK_WITHIN, "{seen:?}");
    // 400 by their turns, and all spread over 5 s.
    assert!(busiest <= 750, "{busiest} in a second");
    assert_bounds(&world);
    let current = |page: &Value| {
        family(page)["failing"] == 0 && family(page)["oldest_answer_seconds"].as_f64() < Some(3.0)
    };
    world.until("all to be current", current).await;
    steady.end().await;
}

/// Row 50: forty are waited for, one more is read in turn, thirty are waited for again; said once each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_of_following_changes_with_the_number_of_services() {
    // With the one that is called, and what the recording has.
    let world = world(39, |it| it).await;
    let steady = steady(&world);
    let modes = |world: &World| world.said(0).iter().filter(|line| line.contains("way of following")).count();
    let mode = async |wanted: &'static str, services: usize| {
        crowd(&world.replay, services);
        until_names(&world, services).await;
        let what = format!("{services} services by {wanted}");
        world.until(&what, |page| family(page)["mode"] == wanted).await
    };
    let page = mode("block", 39).await;
    assert_eq!(modes(&world), 1, "{:#}", family(&page));
    mode("sweep", 40).await;
    assert_eq!(modes(&world), 2);
    // Between the two it stays as it is.
    mode("sweep", 33).await;
    mode("sweep", 40).await;
    assert_eq!(modes(&world), 2, "{:#?}", world.said(0));
    mode("block", 29).await;
    mode("block", 39).await;
    assert_eq!(modes(&world), 3, "{:#?}", world.said(0));
    world.replay.set_health("accounts-2", "critical");
    let took = world.until_healthy(1, soon()).await;
    assert!(took < SECOND, "{took:?}");
    assert_bounds(&world);
    // Nobody has refused a connection.
    assert_eq!(world.metric("gateway_consul_budget_lowered_total", &[]).await, 0.0, "{:#?}", world.said(0));
    steady.go_on(20).await;
    steady.end().await;
}

/// Rows 24, 25: the agent has fewer connections for us than we may use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_fewer_connections_than_the_budget_gets_fewer() {
    const SERVICES: usize = 28;
    let world = world(SERVICES, |it| it.setting("TIMERS_CONSUL_RECOVERY", "700ms")).await;
    let steady = steady(&world);
    let open = world.replay.connections().now;
    assert!(open > 25, "{open}");
    let from = world.logged();
    world.replay.limit(Some(20));
    world.replay.kill();
    world.until("away", |page| page["consul"]["agent"]["answers"] == false).await;
    world.replay.forget();
    world.replay.listen();
    let lower = |page: &Value| page["consul"]["connections"]["most"].as_u64() < Some(BUDGET as u64);
    let page = world.until("a lower budget", lower).await;
    assert!(page["consul"]["bounds_hit"]["budget_lowered"].as_u64() >= Some(1));
    assert!(world.metric("gateway_consul_budget_lowered_total", &[]).await >= 1.0);
    // With what is left all is read, by turns.
    world.replay.set_health("accounts-2", "critical");
    let took = world.until_healthy(1, soon()).await;
    eprintln!("measured: with 20 connections a change is seen after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(world.is_ready().await);
    world.replay.limit(None);
    let whole = |page: &Value| page["consul"]["connections"]["most"].as_u64() == Some(BUDGET as u64);
    world.until("the whole budget", whole).await;
    let block = |page: &Value| family(page)["mode"] == "block" && family(page)["failing"] == 0;
    world.until("all to be waited for again", block).await;
    let said = world.said(from);
    let count = |words: &str| said.iter().filter(|line| line.contains(words)).count();
    assert!((1..=6).contains(&count("fewer are used")), "{said:#?}");
    assert!(count("is whole again") <= 1 && count("cannot be reached") == 1, "{said:#?}");
    steady.end().await;
}

/// More waiting reads than there are connections: eight are left for what cannot wait, and none is made above the budget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_find_a_connection_whatever_waits() {
    let world = world(150, |it| it.setting("LIMITS_CONSUL_MODE", "block")).await;
    let full = async || (world.replay.held().peak >= BUDGET - RESERVED).then_some(());
    wait_for(soon(), "all places for waiting to be taken", full).await.unwrap();
    world.replay.set_health("accounts-2", "critical");
    let took = world.until_healthy(1, soon()).await;
    assert!(took < SECOND * 3 / 2, "{took:?}");
    assert_bounds(&world);
    assert_eq!(world.metric("gateway_consul_budget_lowered_total", &[]).await, 0.0, "{:#?}", world.said(0));
}

/// Whatever there is to ask, no more than so much a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cap_on_questions_a_second_holds() {
    let world = world(400, |it| {
        it.setting("LIMITS_CONSUL_QUERIES_PER_SECOND", "250").setting("LIMITS_CONSUL_BURST", "50")
    });
    let world = world.await;
    let busiest = world.replay.busiest(SECOND, |_| true);
    assert!((150..=330).contains(&busiest), "{busiest} questions in a second");
    assert!(world.metric("gateway_consul_capped_total", &[]).await > 100.0);
    let said = world.said(0).iter().filter(|line| line.contains("more queries per second")).count();
    assert_eq!(said, 1, "{:#?}", world.said(0));
}

/// A thousand services over HTTP/2: a waiting read for each, on few connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_services_share_six_connections_over_http2() {
    const SERVICES: usize = 1_000;
    let replay = Replay::of_version("1.21").unwrap().https().start().unwrap();
    let pki = crate::world::pki(&replay);
    let _servers: Vec<_> =
        (1..=2).map(|at| crate::world::server(&replay, &pki, SERVICE, &format!("accounts-{at}"))).collect();
    crowd(&replay, SERVICES);
    let lab = Lab::new().unwrap();
    let gateway =
        lab.gateway("gateway").register().flag("http-addr", &format!("https://{}", replay.https().unwrap()));
    let gateway = gateway.flag("ca-file", replay.ca().unwrap().to_str().unwrap()).start().await.unwrap();
    let held = async || (replay.waiting("/v1/health/connect/crowd-") >= SERVICES).then_some(());
    wait_for(soon(), "a waiting read for each service", held).await.unwrap();
    let mut streams = BTreeMap::new();
    for asked in replay.asked().iter().filter(|asked| asked.end.is_none()) {
        assert!(asked.http2, "{}", asked.target);
        *streams.entry(asked.connection).or_insert(0) += 1;
    }
    eprintln!("measured: {SERVICES} services over HTTP/2: waiting reads by connection {streams:?}");
    assert!(replay.connections().peak <= 6, "{:?}", replay.connections());
    assert!(streams.values().all(|count| *count <= 200), "{streams:?}");
    let first = replay.count(|asked| of_crowd(asked) && !asked.blocking);
    assert!(first <= SERVICES + 10, "{first} first reads");
    assert_capped(&replay);

    let healthy = async |wanted: usize| {
        let look = async || {
            let page = gateway.admin().ok()?.json(&format!("/endpoints?service={SERVICE}")).await.ok()?;
            let rows = page["services"][0]["endpoints"].as_array()?.clone();
            (rows.iter().filter(|row| row["healthy"] == true).count() == wanted).then_some(())
        };
        wait_for(soon(), "a change", look).await.unwrap();
    };
    healthy(2).await;
    replay.forget();
    let began = Instant::now();
    replay.set_health("accounts-2", "critical");
    healthy(1).await;
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    // Idle names are read now and then.
    let asked = replay.count(|asked| !asked.path().ends_with("-sidecar-proxy"));
    assert!(asked < 20, "{asked} questions for one change");
}

/// Names that come and go by the thousand: nothing is left of them, and nobody rushes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_come_and_go_leave_nothing() {
    const MANY: usize = 1_500;
    let world = world(10, |it| it).await;
    let steady = steady(&world);
    let mut memory = Vec::new();
    for _ in 0..3 {
        for services in [MANY, 10] {
            world.replay.forget();
            crowd(&world.replay, services);
            until_names(&world, services).await;
            assert_bounds(&world);
        }
        memory.push(world.gateway.memory().unwrap().anonymous);
    }
    let page = world.until("few watches", |page| family(page)["mode"] == "block").await;
    assert_eq!(page["consul"]["watches"]["total"], 8 + family(&page)["names"].as_u64().unwrap());
    assert!(family(&page)["names"].as_u64().unwrap() < 30, "{:#}", family(&page));
    eprintln!("measured: memory after each time that {MANY} services came and went: {memory:?}");
    // The first time makes the allocator's pools as large as they will be.
    assert!(memory[2] < memory[0] + (4 << 20), "{memory:?}");
    world.replay.forget();
    steady.go_on(60).await;
    let asked = world.replay.count(of_crowd);
    assert!(asked <= 25, "{asked} questions about 10 services");
    steady.end().await;
}
