//! Files that are wrong: at the start nothing begins and everything is said at once; in flight the last good state stays and
//! nobody else is disturbed. What is wrong with certificates, callers and intentions is where those are.

use gateway_testkit::Document;

use crate::world::{Plan, external, rule};

/// Each mistake, and what the message must have.
#[tokio::test]
async fn what_is_wrong_at_the_start_is_said_before_a_socket_is_opened() {
    type Make = fn(&mut Plan);
    let rows: [(&str, Make, &[&str]); 8] = [
        ("a blank name", |plan| plan.link("", ""), &["Service name cannot be blank."]),
        (
            "a name twice",
            |plan| plan.link("billing", ""),
            &["was specified more than once within a namespace"],
        ),
        (
            "an unknown key of a link",
            |plan| {
                plan.link("search", "CaFlie = \"x\"");
                plan.leaf("search");
            },
            &["CaFlie", "CAFile"],
        ),
        ("a link without a leaf", |plan| plan.link("search", ""), &["search", "Leaf"]),
        (
            "a namespace of all",
            |plan| {
                plan.link("search", "Namespace = \"*\"");
                plan.leaf("search");
            },
            &["Namespace"],
        ),
        (
            "an unknown key of an intention",
            |plan| plan.intentions("billing", &["{ Name = \"web\", Action = \"allow\", Untill = 1 }"]),
            &["Untill"],
        ),
        (
            "an unknown action",
            |plan| plan.intentions("billing", &["{ Name = \"web\", Action = \"maybe\" }"]),
            &["maybe"],
        ),
        (
            "a leaf of somebody else",
            |plan| {
                let leaf = plan.pki.service("search", "dc1").unwrap();
                leaf.write(&plan.lab.dir().join("certs"), "billing").unwrap();
            },
            &["/svc/search", "/svc/billing"],
        ),
    ];
    for (what, make, wanted) in rows {
        let (mut plan, _billing) = Plan::billing();
        make(&mut plan);
        let log = plan.refused().await;
        for text in wanted {
            assert!(log.contains(text), "{what}: no {text:?} in\n{log}");
        }
    }
}

/// Scenario S14 while it runs, and row 45: the leaf of one service goes.
#[tokio::test]
async fn a_service_that_loses_its_leaf_is_closed_alone() {
    let (mut plan, _billing) = Plan::billing();
    let search = external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    plan.allow("web", "search");
    let world = plan.start().await;
    let (mut open, _) = world.call("web", "search").await.unwrap();
    world.catalog.remove("leaf-search.toml").unwrap();
    world.until_refused("web", "search").await;
    let record = world.refused_hello(&world.sni("search")).await;
    assert_eq!((&record["reason"], &record["service"]), (&"service_not_ready".into(), &"search".into()));
    assert_eq!(world.who("web", "billing").await, "billing-1");
    open.echo(b"who is there stays").await.unwrap();
    let missing = world.certificates().await["missing"].to_string();
    assert!(missing.contains("search"), "{missing}");
    // It comes back.
    let files = world.pki.service("search", "dc1").unwrap().write(&world.certs(), "search").unwrap();
    world.catalog.write("leaf-search.toml", Document::new().leaf("search", &files)).unwrap();
    world.until_answers("web", "search", "search-1").await;
}

/// A link that is added while the gateway runs and has no leaf yet: not ready, not default-allowed (row 46's sense).
#[tokio::test]
async fn a_link_that_is_not_complete_yet_is_not_ready() {
    let plan = {
        let (plan, _) = Plan::billing();
        plan.catalog.write("mesh.toml", crate::world::mesh(&plan.lab, "allow")).unwrap();
        plan
    };
    let billing = external("billing-2");
    plan.catalog.write("billing.toml", Document::new().external("billing", billing.address(), "")).unwrap();
    let mut world = plan.start().await;
    let search = external("search-1");
    world.catalog.write("search.toml", Document::new().external("search", search.address(), "")).unwrap();
    world.link("search", "");
    world.until_hello_refused("search", "service_not_ready").await;
    assert_eq!(search.seen().len(), 0);
    let files = world.pki.service("search", "dc1").unwrap().write(&world.certs(), "search").unwrap();
    world.catalog.write("leaf-search.toml", Document::new().leaf("search", &files)).unwrap();
    world.until_answers("web", "search", "search-1").await;
    assert_eq!(world.who("web", "billing").await, "billing-2");
}

/// An entry that becomes invalid keeps its last good version; the rest of the change goes live.
#[tokio::test]
async fn an_entry_that_becomes_wrong_keeps_its_last_good_version() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    world
        .catalog
        .write("links.toml", Document::new().links(crate::world::GATEWAY, &["{ Name = \"\" }"]))
        .unwrap();
    world.until_rejected().await;
    assert_eq!(world.who("web", "billing").await, "billing-1");
    world.allow("cron", "billing");
    world.until_answers("cron", "billing", "billing-1").await;
    world.until_refused("web", "billing").await;
    world.intentions("billing", &[&rule("web", "allow")]);
    world.until_answers("web", "billing", "billing-1").await;
}

/// Rows 49 and 21 of wildcards: `*` takes the services of the catalog, an explicit link has its own settings.
#[tokio::test]
async fn a_wildcard_links_what_comes_while_it_runs() {
    let mut plan = Plan::new();
    plan.link("*", "");
    plan.allow("web", "*");
    let first = external("first-1");
    plan.leaf("first");
    plan.catalog.write("first.toml", Document::new().external("first", first.address(), "")).unwrap();
    let world = plan.start().await;
    assert_eq!(world.who("web", "first").await, "first-1");
    assert_eq!(world.refused_hello(&world.sni("second")).await["reason"], "unknown_sni");
    let second = external("second-1");
    let files = world.pki.service("second", "dc1").unwrap().write(&world.certs(), "second").unwrap();
    let document = Document::new().leaf("second", &files).external("second", second.address(), "");
    world.catalog.write("second.toml", document).unwrap();
    world.until_answers("web", "second", "second-1").await;
    world.catalog.remove("second.toml").unwrap();
    world.until_hello_refused("second", "unknown_sni").await;
    assert_eq!(world.who("web", "first").await, "first-1");
}
