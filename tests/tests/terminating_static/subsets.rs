//! What a service-resolver says: rows 30 to 33.

use gateway_testkit::Document;

use crate::world::{Plan, external};

fn resolver(keys: &str) -> Document {
    Document::new().text(&format!("[[Entry]]\nKind = \"service-resolver\"\nName = \"billing\"\n{keys}\n"))
}

const SUBSETS: &str = "DefaultSubset = \"v1\"\n\
    [Entry.Subsets]\n\
    v1 = { Filter = 'Service.Meta.version == \"v1\"' }\n\
    v2 = { Filter = 'Service.Meta.version == \"v2\"', OnlyPassing = true }\n\
    v3 = { Filter = 'Service.Meta.version == \"v3\"' }\n";

fn meta(version: &str, more: &str) -> String {
    format!("Meta = {{ version = {version:?} }}\n{more}")
}

#[tokio::test]
async fn subsets_have_names_of_their_own_and_one_may_be_the_default() {
    let (one, two) = (external("one"), external("two"));
    let mut plan = Plan::new();
    let document = Document::new().external("billing", one.address(), &meta("v1", "")).external(
        "billing",
        two.address(),
        &meta("v2", "Status = \"warning\""),
    );
    plan.service("billing", document);
    plan.allow("web", "billing");
    plan.catalog.write("resolver.toml", resolver(SUBSETS)).unwrap();
    let world = plan.start().await;
    // Row 30, and its intentions and its certificate are the service's.
    for _ in 0..4 {
        assert_eq!(world.who("web", "billing").await, "one");
        assert_eq!(world.who("web", "v1.billing").await, "one");
        // Row 31: only passing ones are healthy, there is none, so all are tried.
        let (connection, who) = world.call("web", "v2.billing").await.unwrap();
        assert_eq!((who.as_str(), &connection.presented), ("two", &world.pki.service_id("billing", "dc1")));
        connection.close().await.unwrap();
    }
    let (record, _) = world.refusal(&world.caller("cron"), "v2.billing").await;
    assert_eq!(record["reason"], "denied");
    // A subset that nobody is in.
    let (record, _) = world.refusal(&world.caller("web"), "v3.billing").await;
    assert_eq!((&record["reason"], &record["service"]), (&"no_endpoint".into(), &"billing".into()));

    // Row 33.
    world.catalog.remove("resolver.toml").unwrap();
    world.until_hello_refused("v1.billing", "unknown_sni").await;
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(world.who("web", "billing").await);
    }
    assert!(all.contains(&"one".to_owned()) && all.contains(&"two".to_owned()), "{all:?}");
}

/// Row 32: redirects and failovers are the dialer's.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (mut plan, _billing) = Plan::billing();
    let search = external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    plan.catalog.write("resolver.toml", resolver("Redirect = { Service = \"search\" }")).unwrap();
    let world = plan.start().await;
    assert_eq!(world.who("web", "billing").await, "billing-1");
    let failover = "[Entry.Failover]\n\"*\" = { Service = \"search\" }\n";
    world.catalog.write("resolver.toml", resolver(failover)).unwrap();
    world.catalog.write("billing.toml", Document::new()).unwrap();
    world.until_refused("web", "billing").await;
    assert_eq!(search.seen().len(), 0);
}
