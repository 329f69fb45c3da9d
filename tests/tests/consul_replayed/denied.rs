//! Tokens: rights that are lost, tokens that expire and are renewed, answers that say less than there is.

use std::time::{Duration, Instant};

use gateway_testkit::{Deadline, Fault, GatewayBuilder, Lab, On, Replay, wait_for};
use serde_json::{Value, json};

use crate::world::{BACK_WITHIN, World, names, rows, soon, steady};

/// Rows 21, 23: a right that is lost everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_lost_change_nothing_until_they_are_back() {
    let world = World::of("1.21", |it| it).await;
    let steady = steady(&world);
    let before = world.until("names", |page| names(page).len() > 3).await;
    let from = world.logged();
    world.replay.fault(On::All, Fault::denied());
    world.replay.wake(On::All);
    let denied = |page: &Value| {
        let rows: Vec<_> = rows(page, "/v1/").into_iter().filter(|row| row["how"] == "block").collect();
        rows.len() > 6 && rows.iter().all(|row| row["state"] == "denied")
    };
    let page = world.until("all denied", denied).await;
    // The refusals came with an index of 1, which is none of the list of names.
    let index = |page: &Value| rows(page, "/v1/catalog/services")[0]["index"].as_u64();
    assert_eq!(index(&page), index(&before));
    let error = rows(&page, "/v1/catalog/services")[0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("Permission denied") && error.contains("the token needs"), "{error}");
    steady.go_on(30).await;
    let page = world.snapshot().await;
    assert_eq!((names(&page), &page["generation"]), (names(&before), &before["generation"]));
    assert!(world.is_ready().await);
    // So long that the pauses of most have grown beyond what the end of it may take.
    let tries = || world.replay.count(|asked| asked.status == Some(403));
    let first = tries();
    let more = async || (tries() >= first + 8).then_some(());
    wait_for(Deadline::after(Duration::from_secs(40)), "further tries", more).await.unwrap();
    let said = world.said(from);
    let unique: std::collections::BTreeSet<_> = said.iter().collect();
    assert!(unique.len() == said.len() && said.len() <= 20, "{said:#?}");
    world.replay.set_health("accounts-2", "critical");
    world.replay.heal();
    let healed = Instant::now();
    world.until_healthy(1, soon()).await;
    eprintln!("measured: a change is seen {:?} after the rights are back", healed.elapsed());
    assert!(healed.elapsed() <= BACK_WITHIN, "{:?}", healed.elapsed());
    steady.end().await;
}

fn with_token(
    lab: &Lab,
    token: &str,
) -> (std::path::PathBuf, impl FnOnce(GatewayBuilder) -> GatewayBuilder + use<>) {
    let file = lab.dir().join("token");
    std::fs::write(&file, token).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (file, move |it: GatewayBuilder| it.flag("token-file", &path))
}

/// Row 22: a token that expires, and is renewed in its file some time later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_renewed_in_its_file_is_taken_up() {
    let lab = Lab::new().unwrap();
    let (file, with) = with_token(&lab, "first-token");
    let replay = Replay::of_version("1.21").unwrap().without_jitter();
    let world = World::on(
        lab,
        replay,
        |replay| replay.require_token(Some("first-token")),
        |it| with(it).setting("TIMERS_CONSUL_DENIED", "1s"),
    );
    let world = world.await;
    let steady = steady(&world);
    let before = world.snapshot().await;
    world.replay.require_token(Some("second-token"));
    world.replay.cut();
    let unknown = |page: &Value| {
        let rows: Vec<_> = rows(page, "/v1/").into_iter().filter(|row| row["how"] == "block").collect();
        rows.len() > 6 && rows.iter().all(|row| row["state"] == "token_unknown")
    };
    world.until("a token that nobody knows", unknown).await;
    steady.go_on(80).await;
    assert_eq!(names(&world.snapshot().await), names(&before));
    assert!(world.is_ready().await);
    let error =
        rows(&world.snapshot().await, "/v1/catalog/services")[0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("ACL not found") && error.contains("--token-file"), "{error}");

    std::fs::write(&file, "second-token\n").unwrap();
    world.replay.set_health("accounts-2", "critical");
    let took = world.until_healthy(1, soon()).await;
    eprintln!("measured: a renewed token is in use after {took:?}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    steady.end().await;
    let text = std::fs::read_to_string(world.gateway.log().path()).unwrap();
    assert!(!text.contains("first-token") && !text.contains("second-token"));
}

/// Rows 11, 51, 17: nothing, or less, under the index that is known is no news.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn less_under_the_same_index_is_no_news() {
    // With ACLs off nobody can have lost a right.
    let acls = |replay: &Replay| {
        replay.set("/v1/acl/token/self", &json!({"AccessorID": "an-accessor", "Policies": []}));
    };
    let replay = Replay::of_version("1.10.1").unwrap().without_jitter();
    let world =
        World::on(Lab::new().unwrap(), replay, acls, |it| it.setting("TIMERS_CONSUL_WAIT", "5s")).await;
    world.until("ACLs to be known", |page| page["consul"]["features"]["token"]["can"] == "yes").await;
    let steady = steady(&world);
    let path = "/v1/health/connect/accounts";
    let (before, whole) = (world.snapshot().await, world.replay.get(path));
    let one = json!([whole[0].clone()]);
    for (less, early) in [(json!([]), true), (one, true), (json!([]), false)] {
        let answers = rows(&world.snapshot().await, path)[0]["answers"].clone();
        let from = world.logged();
        let asked = world.replay.asked().len();
        world.replay.replace(path, &less);
        if early {
            world.wake(path).await;
            let denied = |page: &Value| rows(page, path)[0]["state"] == "denied";
            let page = world.until("less than before to be noticed", denied).await;
            let error = rows(&page, path)[0]["error"].as_str().unwrap().to_owned();
            assert!(error.contains("lost a right") && error.contains("service_prefix"), "{error}");
            let said = world.heard(from).await;
            assert!(said.len() == 1 && said[0].contains("lost a right"), "{said:#?}");
        } else {
            // The whole wait, as an agent without a copy does.
            let more = |page: &Value| rows(page, path)[0]["answers"] != answers;
            world.until("an answer that changes nothing", more).await;
            assert!(world.said(from).is_empty(), "{:#?}", world.said(from));
        }
        steady.go_on(20).await;
        let page = world.snapshot().await;
        assert_eq!((names(&page), &page["generation"]), (names(&before), &before["generation"]));
        let asked = world.replay.asked()[asked..].iter().filter(|asked| asked.path() == path).count();
        assert!(asked < 8, "{asked} questions");
        world.replay.replace(path, &whole);
        world.replay.touch(path);
        let good = |page: &Value| rows(page, path)[0]["state"] == "good";
        world.until("all as before", good).await;
    }
    steady.end().await;
    // With an index that moves it is what there is.
    world.replay.set(path, &json!([]));
    world.until("no endpoint", |page| !page["names"]["rows"].to_string().contains("\"accounts\"")).await;
}

/// The list of names without anything, as to a token that may read nothing: nothing goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_without_consuls_own_servers_is_not_believed() {
    let world = World::of("1.21", |it| it).await;
    let steady = steady(&world);
    let before = world.snapshot().await;
    let path = "/v1/catalog/services";
    let whole = world.replay.get(path);
    let from = world.logged();
    for less in [json!({}), json!({"web": []})] {
        world.replay.set(path, &less);
        steady.go_on(20).await;
        let page = world.snapshot().await;
        assert_eq!(names(&page), names(&before));
    }
    let said = world.heard(from).await;
    assert!(said.len() == 1 && said[0].contains("may no longer read services"), "{said:#?}");
    world.replay.set(path, &whole);
    let complete =
        |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("complete again"));
    world.gateway.wait_log(soon(), "of the whole list", complete).await.unwrap();
    steady.end().await;
}
