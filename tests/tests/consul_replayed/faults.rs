//! Everything goes wrong, or one endpoint does, while calls go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateway_testkit::{Deadline, Fault, On, Steady, wait_for};
use serde_json::Value;

use crate::world::{BACK_WITHIN, World, names, rows, soon, steady};

/// How long ages are watched.
const SHORT: Duration = Duration::from_secs(1);

/// What each of the ways of going wrong looks like.
struct Case {
    fault: Fault,
    /// The state of a watch, and the cause in the metrics.
    state: &'static str,
    cause: &'static str,
    /// In the error of a watch.
    text: &'static str,
}

fn status(status: u16, text: &str) -> Fault {
    Fault::Status(status, text.to_owned())
}

fn case(fault: Fault, state: &'static str, cause: &'static str, text: &'static str) -> Case {
    Case { fault, state, cause, text }
}

/// Rows 24, 26, 27, 45 and the like, of all endpoints at once.
fn cases() -> Vec<Case> {
    let busy = "rate limit exceeded, try again later or against a different server";
    vec![
        case(Fault::no_leader(), "server", "server", "500: No cluster leader"),
        case(status(429, ""), "busy", "busy", "429"),
        case(status(503, busy), "busy", "busy", "try again later"),
        case(Fault::Rubbish, "rejected", "rejected", "cannot be read"),
    ]
}

/// Where a connection or its end says nothing about one endpoint.
fn cuts() -> Vec<Case> {
    vec![case(Fault::Half, "transport", "transport", ""), case(Fault::Close, "transport", "transport", "")]
}

/// The watches that hang on Consul's servers or agent; those of a feature that this Consul lacks fail anyway.
fn concerned(page: &Value) -> Vec<Value> {
    let mut rows = rows(page, "/v1/");
    rows.retain(|row| row["how"] == "block" && row["state"] != "unsupported");
    rows
}

/// Asserts that nobody sees any of it: names, calls, readiness.
async fn assert_untouched(world: &World, steady: &Steady, before: &Value) {
    steady.go_on(20).await;
    let page = world.snapshot().await;
    assert_eq!(names(&page), names(before));
    assert_eq!(page["generation"], before["generation"], "nothing was changed");
    assert!(world.is_ready().await);
}

/// Asserts that each line is said once, and gives them.
async fn said_once(world: &World, from: usize) -> Vec<String> {
    let said = world.heard(from).await;
    let mut count = BTreeMap::new();
    for line in &said {
        *count.entry(line.clone()).or_insert(0) += 1;
    }
    assert!(count.values().all(|count| *count == 1), "{said:#?}");
    said
}

/// Waits until a watch has been answered since `healed`, and a change of then is in use; how long both took.
async fn recovered(world: &World, what: &str, healed: Instant) {
    let current = async || {
        let page = world.gateway.admin().ok()?.snapshot().await.ok()?;
        let ages = concerned(&page).into_iter().filter_map(|row| row["answer_age_seconds"].as_f64());
        let youngest = ages.fold(f64::MAX, f64::min);
        (youngest < healed.elapsed().as_secs_f64() - 0.002).then(|| healed.elapsed())
    };
    let first = wait_for(soon(), "a watch that is current", current).await.unwrap();
    world.until_healthy(1, soon()).await;
    let change = healed.elapsed();
    eprintln!(
        "measured: after {what}: a watch is current after {first:?}, a change is seen after {change:?}"
    );
    // Trouble that comes again within ten seconds: each read goes by its own pause, here of up to 4 s.
    assert!(first <= BACK_WITHIN && change <= BACK_WITHIN * 2, "{what}: {first:?}, {change:?}");
    world.replay.set_health("accounts-2", "passing");
    world.until_healthy(2, soon()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_feels_what_a_consul_in_trouble_says() {
    let world = World::of("1.21", |it| it).await;
    let well = |page: &Value| concerned(page).iter().all(|row| row["state"] == "good");
    let before = world.until("all watches to be good", well).await;
    let steady = steady(&world);
    for Case { fault, state, cause, text } in cases() {
        let what = format!("{fault:?}");
        let (from, failures) =
            (world.logged(), world.metric("gateway_consul_failures_total", &[("cause", cause)]).await);
        world.replay.fault(On::All, fault);
        world.replay.wake(On::All);
        let failing = |page: &Value| {
            let rows = concerned(page);
            rows.len() > 6 && rows.iter().all(|row| row["state"] == state)
        };
        let page = world.until(&format!("{what}: all watches to fail"), failing).await;
        for row in concerned(&page) {
            let error = row["error"].as_str().unwrap();
            assert!(error.contains(text), "{what}: {error}");
            assert!(
                row["answer_age_seconds"].as_f64().is_some() && row["failures"].as_u64() > Some(0),
                "{row}"
            );
        }
        assert_untouched(&world, &steady, &page).await;
        assert_eq!(page["consul"]["agent"]["answers"], true, "{what}");
        // It goes on for so long that each has tried again.
        let asked = world.replay.asked().len();
        let more = async || (world.replay.asked().len() >= asked + 5).then_some(());
        wait_for(soon(), "further tries", more).await.unwrap();
        assert!(
            world.metric("gateway_consul_failures_total", &[("cause", cause)]).await > failures,
            "{what}"
        );
        let said = said_once(&world, from).await;
        // What cannot be read is no two times the same, so each says it.
        assert!(said.len() == 1 || state == "rejected", "{what}: {said:#?}");
        world.replay.set_health("accounts-2", "critical");
        world.replay.heal();
        recovered(&world, &what, Instant::now()).await;
        world.until("all watches to be good", well).await;
    }
    assert_eq!(names(&world.snapshot().await), names(&before));
    steady.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_feels_that_consul_is_away() {
    let world = World::of("1.10.1", |it| it.setting("TIMERS_CONSUL_PROBE", "300ms")).await;
    let steady = steady(&world);
    for way in ["half", "close", "silent", "refused"] {
        let (from, before) = (world.logged(), world.snapshot().await);
        let outages = world.metric("gateway_consul_outages_total", &[]).await;
        match way {
            "half" => world.replay.fault(On::All, Fault::Half),
            "close" => world.replay.fault(On::All, Fault::Close),
            "silent" => world.replay.fault(On::All, Fault::Silent),
            _ => world.replay.refuse(),
        }
        match way {
            // New connections alone: what waits goes on to wait.
            "refused" => {}
            "silent" => world.replay.cut(),
            _ => world.replay.wake(On::All),
        }
        if way == "refused" {
            assert_untouched(&world, &steady, &before).await;
            world.replay.cut();
        }
        let page =
            world.until(&format!("{way}: away"), |page| page["consul"]["agent"]["answers"] == false).await;
        assert!(page["consul"]["agent"]["error"].as_str().is_some(), "{page:#}");
        let ages = |page: &Value| -> BTreeMap<String, f64> {
            let age = |row: &Value| Some((row["path"].to_string(), row["answer_age_seconds"].as_f64()?));
            concerned(page).iter().filter_map(age).collect()
        };
        assert_untouched(&world, &steady, &page).await;
        tokio::time::sleep(SHORT).await;
        let later = world.snapshot().await;
        let later = ages(&later);
        let older =
            ages(&page).iter().all(|(path, age)| later.get(path).is_some_and(|later| *later >= age + 0.9));
        assert!(older && ages(&page).len() > 6, "{way}: {:?} {later:?}", ages(&page));
        assert_eq!(world.metric("gateway_consul_up", &[]).await, 0.0);
        assert_eq!(world.metric("gateway_consul_outages_total", &[]).await, outages + 1.0, "{way}");
        let said = said_once(&world, from).await;
        let last = said.last().unwrap();
        // New connections that end at once while others live may be too many, and of connections that are cut
        // one after the other the first may be its watch's own.
        let of_connections = ["refuses connections for their number", "connection closed before message"];
        let of_all = |line: &String| line.contains("cannot be reached");
        let others =
            said.iter().filter(|line| of_all(line) || !of_connections.iter().any(|it| line.contains(it)));
        assert!(others.count() == 1 && of_all(last), "{way}: {said:#?}");
        let lines = said.len();
        world.replay.set_health("accounts-2", "critical");
        let healed = Instant::now();
        match way {
            "half" | "close" | "silent" => world.replay.heal(),
            _ => world.replay.listen(),
        }
        recovered(&world, way, healed).await;
        let said = said_once(&world, from).await;
        assert!(said.len() == lines + 1 && said[lines].contains("answers again"), "{way}: {said:#?}");
        assert_eq!(world.metric("gateway_consul_up", &[]).await, 1.0);
    }
    steady.end().await;
}

/// One endpoint alone: the others go on, and what it has said before stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_endpoint_that_fails_keeps_no_other_from_working() {
    let world = World::of("1.21", |it| it.setting("TIMERS_CONSUL_DENIED", "500ms")).await;
    let steady = steady(&world);
    let all =
        |page: &Value| concerned(page).len() >= 6 && concerned(page).iter().all(|it| it["state"] == "good");
    let before = world.until("all watches to be good", all).await;
    let paths = [
        "/v1/catalog/services",
        "/v1/agent/connect/ca/roots",
        "/v1/health/state/critical",
        "/v1/internal/federation-states/mesh-gateways",
        "/v1/agent/service/replayed",
        "/v1/health/connect/accounts",
    ];
    let faults = || {
        let mut all = cases();
        all.push(case(Fault::denied(), "denied", "denied", "Permission denied"));
        all.extend(cuts());
        all
    };
    for (at, path) in paths.into_iter().enumerate() {
        // Two ways each: all pairs would take long and show no more.
        let faults = faults().into_iter().enumerate().filter(|(number, _)| number % 4 == at % 4);
        for (_, Case { fault, state, text, .. }) in faults {
            let what = format!("{path}: {fault:?}");
            let from = world.logged();
            world.replay.fault(On::path(path), fault);
            world.replay.wake(On::path(path));
            let failing = |page: &Value| {
                rows(page, path).iter().any(|row| {
                    row["state"] == state && row["error"].as_str().is_some_and(|error| error.contains(text))
                })
            };
            let page = world.until(&what, failing).await;
            let others =
                concerned(&page).into_iter().filter(|row| !row["path"].as_str().unwrap().starts_with(path));
            assert!(
                others.clone().count() >= 5 && others.clone().all(|row| row["state"] == "good"),
                "{what}"
            );
            assert_eq!(
                (names(&page), &page["generation"]),
                (names(&before), &before["generation"]),
                "{what}"
            );
            assert!(world.is_ready().await, "{what}");
            let said = said_once(&world, from).await;
            assert!(said.len() == 1 && said[0].contains(path), "{what}: {said:#?}");
            world.replay.heal();
            let healed = Instant::now();
            let good = |page: &Value| concerned(page).len() >= 6 && all(page);
            world.until(&format!("{what} is over"), good).await;
            assert!(healed.elapsed() < Duration::from_secs(3), "{what}: {:?}", healed.elapsed());
            let said = said_once(&world, from).await;
            assert!(said.len() <= 3, "{what}: {said:#?}");
        }
    }
    steady.end().await;
    world.replay.set_health("accounts-2", "critical");
    world.until_healthy(1, Deadline::after(BACK_WITHIN)).await;
}

/// Row 19: endpoints that are gone from one moment to the next, as behind a proxy that lets less through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_are_gone_leave_what_they_have_said() {
    let world = World::of("1.21", |it| it).await;
    let steady = steady(&world);
    let before = world.snapshot().await;
    let paths = ["/v1/internal/federation-states", "/v1/catalog/services", "/v1/health/connect/billing"];
    for path in paths {
        let from = world.logged();
        world.replay.fault(On::path(path), Fault::Unknown);
        world.wake(path).await;
        let gone = |page: &Value| rows(page, path).iter().any(|row| row["state"] == "unsupported");
        let page = world.until(&format!("{path} to be gone"), gone).await;
        assert_eq!((names(&page), &page["generation"]), (names(&before), &before["generation"]), "{path}");
        let said = said_once(&world, from).await;
        assert!(said.len() == 1 && said[0].contains("does not have it"), "{path}: {said:#?}");
    }
    steady.go_on(20).await;
    assert!(world.is_ready().await);
    let asked =
        world.replay.count(|asked| asked.status == Some(404) && asked.path().starts_with("/v1/catalog"));
    assert_eq!(asked, 1, "asked again in an hour");
    world.replay.set_health("accounts-2", "critical");
    world.until_healthy(1, soon()).await;
    steady.end().await;
}
