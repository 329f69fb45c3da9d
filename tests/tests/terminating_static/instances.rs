//! Which instance gets a connection: rows 15 to 19 and 44.

use gateway_testkit::{Backend, Document, Place};

use crate::world::{Plan, World, external, soon};

/// How many of `calls` connections each name answers, in the order of `names`.
async fn spread<const N: usize>(world: &World, calls: usize, names: [&str; N]) -> [usize; N] {
    let mut counts = [0; N];
    for _ in 0..calls {
        let who = world.who("web", "billing").await;
        counts[names.iter().position(|name| *name == who).expect("one of these")] += 1;
    }
    counts
}

fn plan(instances: Document) -> Plan {
    let mut plan = Plan::new();
    plan.service("billing", instances);
    plan.allow("web", "billing");
    plan
}

/// Row 15.
#[tokio::test]
async fn a_service_without_instances_is_reset_and_others_are_not() {
    let (mut plan, _billing) = Plan::billing();
    plan.link("empty", "");
    plan.leaf("empty");
    plan.allow("web", "empty");
    let world = plan.start().await;
    let record = world.refused_hello(&world.sni("empty")).await;
    assert_eq!((&record["reason"], &record["service"]), (&"service_not_ready".into(), &"empty".into()));
    assert_eq!(world.who("web", "billing").await, "billing-1");
    // It comes while the gateway runs, and goes again.
    let empty = external("empty-1");
    world.catalog.write("empty.toml", Document::new().external("empty", empty.address(), "")).unwrap();
    world.until_answers("web", "empty", "empty-1").await;
    let (mut open, _) = world.call("web", "empty").await.unwrap();
    world.catalog.remove("empty.toml").unwrap();
    world.until_refused("web", "empty").await;
    assert_eq!(world.refused_hello(&world.sni("empty")).await["reason"], "service_not_ready");
    open.echo(b"who is there stays").await.unwrap();
    open.close().await.unwrap();
}

/// Row 16.
#[tokio::test]
async fn instances_that_are_all_critical_are_used() {
    let (one, two) = (external("one"), external("two"));
    let critical = "Status = \"critical\"";
    let document = Document::new().external("billing", one.address(), critical);
    let world = plan(document.external("billing", two.address(), critical)).start().await;
    let [one, two] = spread(&world, 10, ["one", "two"]).await;
    assert!(one > 0 && two > 0, "{one} and {two}");
}

/// Row 17: a third of the healthy ones is not given up for the others, as Envoy does below half.
#[tokio::test]
async fn the_only_one_that_passes_gets_all() {
    let all = ["one", "two", "three"].map(external);
    let document = Document::new()
        .external("billing", all[0].address(), "Status = \"critical\"")
        .external("billing", all[1].address(), "")
        .external("billing", all[2].address(), "Status = \"critical\"");
    let world = plan(document).start().await;
    assert_eq!(spread(&world, 12, ["one", "two", "three"]).await, [0, 12, 0]);
}

/// Row 18.
#[tokio::test]
async fn weights_are_those_of_the_status() {
    let (one, two) = (external("one"), external("two"));
    let weights = "Weights = { Passing = 10, Warning = 2 }";
    let document = Document::new().external("billing", one.address(), weights).external(
        "billing",
        two.address(),
        &format!("{weights}\nStatus = \"warning\""),
    );
    let world = plan(document).start().await;
    let [one, two] = spread(&world, 48, ["one", "two"]).await;
    assert!((36..=44).contains(&one), "{one} and {two}, 5 to 1 is wanted");
}

/// Row 19.
#[tokio::test]
async fn a_weight_of_nothing_means_not_while_another_is_healthy() {
    let (one, two) = (external("one"), external("two"));
    let weights = "Weights = { Passing = 1, Warning = 0 }";
    let document = Document::new().external("billing", one.address(), weights).external(
        "billing",
        two.address(),
        &format!("{weights}\nStatus = \"warning\""),
    );
    let world = plan(document).start().await;
    assert_eq!(spread(&world, 10, ["one", "two"]).await, [10, 0]);
    let only =
        Document::new().external("billing", two.address(), &format!("{weights}\nStatus = \"warning\""));
    world.catalog.write("billing.toml", only).unwrap();
    world.until_answers("web", "billing", "two").await;
}

/// Row 44.
#[tokio::test]
async fn an_instance_that_refuses_costs_nobody_a_connection() {
    let gone = Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
    let here = external("here");
    let document = Document::new().external("billing", gone.address(), "");
    let world = plan(document.external("billing", here.address(), "")).start().await;
    assert_eq!(spread(&world, 12, ["here"]).await, [12]);
    let twice = world.gateway.wait_record(soon(), "of a second attempt", |record| record["attempts"] == 2);
    assert_eq!(twice.await.unwrap()["endpoint"], here.address().to_string());

    // None is left: an end, and a record that says why.
    world.catalog.write("billing.toml", Document::new().external("billing", gone.address(), "")).unwrap();
    world.until_refused("web", "billing").await;
    let (record, _) = world.refusal(&world.caller("web"), "billing").await;
    assert_eq!((&record["reason"], &record["verdict"]), (&"connect_refused".into(), &"allow".into()));
    assert_eq!(record["endpoint"], gone.address().to_string());
}
