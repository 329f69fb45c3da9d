//! Indexes that go back or stand still, waits that end early: no answer is believed too soon, and nothing spins.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{World, names, rows, soon, steady};

/// How long older answers are not believed; 5 s if nobody says otherwise.
const GUARD: Duration = Duration::from_millis(1500);

/// Rows 13, 33, 34: an older body under a lower index is kept out at first, and taken when it stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_answer_is_believed_when_it_has_stayed() {
    let world = World::of("1.21", |it| it.setting("TIMERS_CONSUL_GUARD", "1500ms")).await;
    let steady = steady(&world);
    let path = "/v1/health/connect/accounts";
    let (before, whole) = (world.snapshot().await, world.replay.get(path));
    let index = world.replay.index(path).unwrap();
    let older = json!([whole[0].clone()]);

    // A server that replays its log: back, and soon where it was.
    let held_back = world.metric("gateway_consul_held_back_total", &[]).await;
    world.replay.replace(path, &older);
    world.replay.set_index(path, index - 5);
    world.wake(path).await;
    let guarded = |page: &Value| rows(page, path)[0]["state"] == "guarded";
    let page = world.until("an answer that is not believed", guarded).await;
    assert_eq!((names(&page), &page["generation"]), (names(&before), &before["generation"]));
    world.replay.replace(path, &whole);
    world.replay.set_index(path, index);
    let good = |page: &Value| rows(page, path)[0]["state"] == "good";
    let page = world.until("the server to have caught up", good).await;
    assert_eq!((names(&page), &page["generation"]), (names(&before), &before["generation"]));
    assert!(world.metric("gateway_consul_held_back_total", &[]).await > held_back);

    // A restore: it stays.
    world.replay.replace(path, &older);
    world.replay.set_index(path, index - 5);
    world.wake(path).await;
    let began = Instant::now();
    while began.elapsed() < GUARD - Duration::from_millis(300) {
        let page = world.snapshot().await;
        assert_eq!(names(&page), names(&before), "after {:?}", began.elapsed());
        steady.go_on(5).await;
    }
    let restored = |page: &Value| names(page) != names(&before) && rows(page, path)[0]["state"] == "good";
    world.until("what was restored", restored).await;
    let took = began.elapsed();
    assert!(took > GUARD - Duration::from_millis(100) && took < GUARD * 3, "{took:?}");
    assert!(world.is_ready().await);

    // The list of names as well: a catalog that grows again never takes a name away.
    let (list, index) =
        (world.replay.get("/v1/catalog/services"), world.replay.index("/v1/catalog/services").unwrap());
    let before = world.snapshot().await;
    world.replay.replace("/v1/catalog/services", &json!({"consul": []}));
    world.replay.set_index("/v1/catalog/services", index - 3);
    world.wake("/v1/catalog/services").await;
    world
        .until("a list that is not believed", |page| {
            rows(page, "/v1/catalog/services")[0]["state"] == "guarded"
        })
        .await;
    world.replay.replace("/v1/catalog/services", &list);
    world.replay.set_index("/v1/catalog/services", index);
    world.until("the list again", |page| rows(page, "/v1/catalog/services")[0]["state"] == "good").await;
    assert_eq!(names(&world.snapshot().await), names(&before));
    steady.end().await;
}

/// Rows 12, 14, 15: waits that end at once with the index that was asked for, or with none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_say_nothing_are_not_asked_for_all_the_time() {
    let world = World::of("1.21", |it| it.setting("TIMERS_CONSUL_GUARD", "500ms")).await;
    let steady = steady(&world);
    let before = world.snapshot().await;
    let paths = [
        "/v1/catalog/services",
        "/v1/health/connect/accounts",
        "/v1/config/",
        "/v1/internal/federation-states/mesh-gateways",
    ];
    for (at, path) in paths.into_iter().enumerate() {
        if at % 2 == 0 {
            world.replay.set_index(path, 0);
        }
        // Whoever waits is answered as well.
        world.replay.hold(path, false);
    }
    // Each early answer is followed by one without an index, which is not held either.
    let window = Duration::from_secs(1);
    steady.go_on(150).await;
    world.replay.forget();
    steady.go_on(100).await;
    for path in paths {
        let busiest = world.replay.busiest(window, |asked| asked.path() == path);
        assert!(busiest <= 3, "{path}: {busiest} questions within a second");
    }
    assert!(world.replay.asked().len() > 4, "it goes on asking");
    let page = world.snapshot().await;
    assert_eq!(names(&page), names(&before));
    // A change is still seen, whatever it came with.
    for path in paths {
        world.replay.hold(path, true);
    }
    world.replay.set_health("accounts-2", "critical");
    let took = world.until_healthy(1, soon()).await;
    eprintln!("measured: a change after a time of false alarms is seen after {took:?}");
    steady.end().await;
}
