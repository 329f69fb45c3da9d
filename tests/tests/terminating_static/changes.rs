//! What changes mean for connections that are open: a denial, a deletion, an end of the link (row 48).

use std::time::{Duration, Instant};

use gateway_testkit::{Deadline, Document, eventually};
use serde_json::Value;

use crate::world::{Plan, World, external, rule, soon};

/// Within a second of the change, and what a busy machine adds to it.
const WITHIN: Duration = Duration::from_secs(3);

async fn cut(
    world: &World,
    connection: &mut gateway_testkit::MeshConnection,
    change: impl FnOnce(),
) -> Value {
    connection.echo(b"open").await.unwrap();
    let began = Instant::now();
    change();
    connection.ended().await.unwrap();
    let took = began.elapsed();
    assert!(took < WITHIN, "{took:?} from the change to the end");
    world.record_of(connection.local).await
}

/// Each kind of change by which an open connection is denied.
#[tokio::test]
async fn an_open_connection_that_is_now_denied_is_closed_within_a_second() {
    let (mut plan, billing) = Plan::billing();
    let search = external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    plan.allow("web", "search");
    let world = plan.start().await;
    let both = [rule("web", "allow"), rule("cron", "allow")];
    world.intentions("billing", &[&both[0], &both[1]]);
    world.until_answers("cron", "billing", "billing-1").await;
    let (mut of_cron, _) = world.call("cron", "billing").await.unwrap();
    let (mut elsewhere, _) = world.call("web", "search").await.unwrap();
    let deny = [rule("web", "deny"), rule("cron", "allow")];
    let requests =
        "{ Name = \"web\", Permissions = [{ Action = \"allow\", HTTP = { PathPrefix = \"/\" } }] }";
    for (what, sources) in [
        ("an intention that denies", vec![deny[0].as_str(), &deny[1]]),
        ("the intention is gone", vec![deny[1].as_str()]),
        ("one for requests", vec![requests, &deny[1]]),
        ("one that is not understood", vec!["{ Name = \"web\", Action = \"maybe\" }", &deny[1]]),
    ] {
        let (mut open, _) = world.call("web", "billing").await.unwrap();
        let record = cut(&world, &mut open, || world.intentions("billing", &sources)).await;
        assert_eq!(record["reason"], "intention_changed", "{what}: {record}");
        assert_eq!((&record["verdict"], &record["service"]), (&"deny".into(), &"billing".into()), "{what}");
        assert_eq!(record["source"], world.pki.service_id("web", "dc1"), "{what}");
        let (record, _) = world.refusal(&world.caller("web"), "billing").await;
        assert_eq!(record["reason"], "denied", "{what}: and nobody new comes in");
        of_cron.echo(what.as_bytes()).await.unwrap();
        elsewhere.echo(what.as_bytes()).await.unwrap();
        world.intentions("billing", &[&both[0], &both[1]]);
        world.until_answers("web", "billing", "billing-1").await;
    }
    let cuts =
        world.metric("gateway_connections_total", &[("service", "billing"), ("reason", "intention_changed")]);
    assert_eq!(cuts.await, 4.0);
    // The server has seen the end of each, too.
    eventually(soon(), "the ends at the server", async || {
        billing.seen().iter().filter(|it| it.end.is_none()).count() == 1
    })
    .await;
    of_cron.close().await.unwrap();
}

/// The entry as a whole is deleted; the default policy denies.
#[tokio::test]
async fn the_deletion_of_all_intentions_closes_what_the_default_denies() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    let record = cut(&world, &mut open, || world.forget_intentions("billing")).await;
    assert_eq!(
        (&record["reason"], &record["intention"]),
        (&"intention_changed".into(), &"default policy: deny".into())
    );
    // And the other way round: an intention for all services.
    world.intentions("*", &[&rule("web", "allow")]);
    world.until_answers("web", "billing", "billing-1").await;
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    let record = cut(&world, &mut open, || world.intentions("*", &[&rule("web", "deny")])).await;
    assert_eq!(record["reason"], "intention_changed");
}

/// Another rule that says the same: nobody notices, but the connection is named after the new one.
#[tokio::test]
async fn a_change_that_still_allows_leaves_connections_alone() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    assert!(world.open_row(open.local).await["intention"].as_str().unwrap().contains("web => billing"));
    world.intentions("billing", &[&rule("*", "allow")]);
    let renamed =
        async || world.open_row(open.local).await["intention"].as_str().unwrap().contains("* => billing");
    eventually(soon(), "the new word", renamed).await;
    open.echo(b"not cut").await.unwrap();
    let local = open.local;
    open.close().await.unwrap();
    assert_eq!(world.record_of(local).await["reason"], "closed");
}

#[tokio::test]
async fn the_setting_keep_leaves_open_connections_as_they_are() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start_with(|gateway| gateway.setting("REAUTHORIZE_TCP", "keep")).await;
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    world.intentions("billing", &[&rule("web", "deny")]);
    world.until_refused("web", "billing").await;
    // The change is live and has judged everybody: a connection that came after it was refused.
    let (record, _) = world.refusal(&world.caller("web"), "billing").await;
    assert_eq!(record["reason"], "denied");
    open.echo(&vec![3; 100_000]).await.unwrap();
    let local = open.local;
    open.close().await.unwrap();
    assert_eq!(world.record_of(local).await["reason"], "closed");
}

/// Row 48.
#[tokio::test]
async fn a_service_that_is_unlinked_drains_for_as_long_as_the_setting_says() {
    let (mut plan, _billing) = Plan::billing();
    let search = external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    plan.allow("web", "search");
    let mut world = plan.start_with(|gateway| gateway.setting("TIMERS_UNLINKED", "2s")).await;
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    let (mut elsewhere, _) = world.call("web", "search").await.unwrap();
    let began = Instant::now();
    world.unlink("billing");
    world.until_hello_refused("billing", "unknown_sni").await;
    open.echo(b"who is there stays for now").await.unwrap();
    open.ended().await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1900) && took < Duration::from_secs(6), "{took:?}");
    let record = world.record_of(open.local).await;
    assert_eq!((&record["reason"], &record["service"]), (&"unlinked".into(), &"billing".into()));
    elsewhere.echo(b"not disturbed").await.unwrap();
}

/// Linked again before its time is over: nothing happens to it.
#[tokio::test]
async fn a_service_that_is_linked_again_keeps_its_connections() {
    let (plan, _billing) = Plan::billing();
    let mut world = plan.start_with(|gateway| gateway.setting("TIMERS_UNLINKED", "3s")).await;
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    world.unlink("billing");
    world.until_hello_refused("billing", "unknown_sni").await;
    world.link("billing", "");
    world.until_answers("web", "billing", "billing-1").await;
    let over = Deadline::after(Duration::from_secs(4));
    // Beyond the time at which it would have been cut.
    eventually(soon(), "the time to be over", async || {
        open.echo(b"still here").await.unwrap();
        over.has_passed()
    })
    .await;
    open.close().await.unwrap();
}
