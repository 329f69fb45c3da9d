//! Who may call: intentions, their precedence, and what cannot be judged on a stream of bytes.

use gateway_testkit::Document;
use serde_json::Value;

use crate::world::{Plan, World, external, rule};

fn plan(policy: &str, sources: &[(&str, &[&str])]) -> (Plan, gateway_testkit::Backend) {
    let (mut plan, db) = (Plan::with_policy(policy), external("db-1"));
    plan.service("db", Document::new().external("db", db.address(), ""));
    for (destination, sources) in sources {
        plan.intentions(destination, sources);
    }
    (plan, db)
}

/// `allow` if `source` is answered, else the record of the refusal.
async fn verdict(world: &World, source: &str) -> Result<(), Value> {
    let caller = world.caller(source);
    let mut connection = world.connect(&caller, "db").await.unwrap();
    if connection.line().await.is_ok() {
        connection.close().await.unwrap();
        return Ok(());
    }
    let record = world.record_of(connection.local).await;
    assert_eq!(record["reason"], "denied", "{record}");
    Err(record)
}

#[tokio::test]
async fn the_more_specific_intention_decides_and_the_destination_comes_first() {
    let [web_allow, web_deny, all_allow, all_deny] =
        [("web", "allow"), ("web", "deny"), ("*", "allow"), ("*", "deny")]
            .map(|(source, action)| rule(source, action));
    let [web_allow, web_deny, all_allow, all_deny] = [&*web_allow, &web_deny, &all_allow, &all_deny];
    // Default policy, intentions by destination, and whether web and cron may call.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a [&'a str])], bool, bool);
    let rows: &[Row<'_>] = &[
        ("deny", &[], false, false),
        ("allow", &[], true, true),
        ("deny", &[("db", &[web_allow])], true, false),
        ("allow", &[("db", &[web_deny])], false, true),
        ("deny", &[("db", &[web_deny, all_allow])], false, true),
        ("deny", &[("db", &[all_allow, web_deny])], false, true),
        ("allow", &[("db", &[web_allow, all_deny])], true, false),
        ("deny", &[("*", &[web_allow])], true, false),
        ("deny", &[("*", &[all_allow]), ("db", &[web_deny])], false, true),
        // Section 3.1, in which Envoy's rules say the opposite.
        ("deny", &[("db", &[all_deny]), ("*", &[web_allow])], false, false),
        ("allow", &[("db", &[all_allow]), ("*", &[web_deny])], true, true),
    ];
    for (policy, intentions, web, cron) in rows {
        let (plan, db) = plan(policy, intentions);
        let world = plan.start().await;
        let what = format!("default {policy}, {intentions:?}");
        for (source, allowed) in [("web", *web), ("cron", *cron)] {
            let before = db.seen().len();
            let verdict = verdict(&world, source).await;
            assert_eq!(verdict.is_ok(), allowed, "{what}: {source}: {verdict:?}");
            assert_eq!(db.seen().len() - before, usize::from(allowed), "{what}: {source} and the service");
        }
    }
}

/// Scenario 14: the server's greeting must not reach a caller that is denied, and the server must not see a connection.
#[tokio::test]
async fn a_denied_caller_of_a_server_that_speaks_first_causes_no_connection() {
    let (plan, db) = plan("deny", &[("db", &[&rule("web", "allow"), &rule("cron", "deny")])]);
    let world = plan.start().await;
    for _ in 0..5 {
        for source in ["cron", "nobody"] {
            let (record, saw) = world.refusal(&world.caller(source), "db").await;
            assert_eq!((&record["reason"], &record["verdict"]), (&"denied".into(), &"deny".into()));
            assert_eq!((&record["endpoint"], &record["attempts"]), (&Value::Null, &0.into()), "{record}");
            assert_eq!(saw, "an end in order", "no alert, no reset, no bytes");
        }
    }
    assert_eq!(world.call("web", "db").await.unwrap().1, "db-1");
    assert_eq!(db.seen().len(), 1, "ten denied connections made no connection to the service");
}

/// A caller that is denied and sends at once is not heard.
#[tokio::test]
async fn what_a_denied_caller_sends_reaches_nobody() {
    let (plan, db) = plan("deny", &[("db", &[&rule("cron", "allow")])]);
    let world = plan.start().await;
    for _ in 0..5 {
        let mut connection = world.connect(&world.caller("web"), "db").await.unwrap();
        // It may be closed already.
        let _ = connection.send(&vec![1; 100_000]).await;
        let (bytes, _) = connection.ended().await.unwrap();
        assert_eq!(bytes, b"");
        assert_eq!(world.record_of(connection.local).await["reason"], "denied");
    }
    assert_eq!(world.who("cron", "db").await, "db-1");
    assert_eq!(db.seen().len(), 1, "the one who may");
}

/// Section 5: permissions ask for a request; on a stream of bytes they deny their source whatever they say.
#[tokio::test]
async fn an_intention_for_requests_denies_its_source_on_tcp_and_nobody_else() {
    let requests =
        "{ Name = \"web\", Permissions = [{ Action = \"allow\", HTTP = { PathPrefix = \"/\" } }] }";
    for policy in ["deny", "allow"] {
        let (plan, db) = plan(policy, &[("db", &[requests, &rule("cron", "allow")])]);
        let world = plan.start().await;
        let record = verdict(&world, "web").await.unwrap_err();
        assert!(record["intention"].as_str().unwrap().contains("web => db"), "{record}");
        let labels = [("service", "db"), ("verdict", "deny"), ("reason", "permissions_on_tcp")];
        assert_eq!(world.metric("gateway_verdicts_total", &labels).await, 1.0, "{policy}");
        assert_eq!(verdict(&world, "cron").await, Ok(()), "{policy}");
        assert_eq!(db.seen().len(), 1, "{policy}");
    }
}

/// What is not understood denies its source, and neither other sources nor other services.
#[tokio::test]
async fn an_intention_that_is_not_understood_denies_its_source_and_nobody_else() {
    let (mut plan, db) = plan("allow", &[("db", &[&rule("cron", "allow")])]);
    let search = external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    let world = plan.start().await;
    assert_eq!(verdict(&world, "web").await, Ok(()));
    for (what, row) in [
        ("an unknown field", "{ Name = \"web\", Action = \"allow\", Until = \"tomorrow\" }"),
        ("an unknown action", "{ Name = \"web\", Action = \"maybe\" }"),
        ("neither action nor permissions", "{ Name = \"web\" }"),
        (
            "an unknown match",
            "{ Name = \"web\", Permissions = [{ Action = \"allow\", HTTP = { PathGlob = \"*\" } }] }",
        ),
        (
            "a token, which is not verified",
            "{ Name = \"web\", Permissions = [{ Action = \"allow\", JWT = { Providers = [{ Name = \"okta\" }] } }] }",
        ),
    ] {
        world.intentions("db", &[row, &rule("cron", "allow")]);
        world.until_refused("web", "db").await;
        let record = verdict(&world, "web").await.unwrap_err();
        assert_eq!(record["verdict"], "deny", "{what}: {record}");
        assert_eq!(verdict(&world, "cron").await, Ok(()), "{what}");
        assert_eq!(world.who("web", "search").await, "search-1", "{what}");
        world.intentions("db", &[&rule("cron", "allow")]);
        world.until_answers("web", "db", "db-1").await;
    }
    assert!(db.seen().len() >= 6);
}

/// A file that is no TOML any more is no news about who may call: the last good intentions stay.
#[tokio::test]
async fn a_file_that_cannot_be_parsed_leaves_the_rules_as_they_were() {
    let (plan, _db) = plan("deny", &[("db", &[&rule("web", "allow")])]);
    let world = plan.start().await;
    let before = world.snapshot().await["generation"].clone();
    world.catalog.write("intentions-db.toml", "[[Entry]]\nKind = \"service-int").unwrap();
    world.until_rejected().await;
    assert_eq!(verdict(&world, "web").await, Ok(()));
    assert!(verdict(&world, "cron").await.is_err());
    // Mended, with another opinion.
    world.intentions("db", &[&rule("cron", "allow")]);
    world.until_nothing_is_rejected().await;
    world.until_answers("cron", "db", "db-1").await;
    assert!(verdict(&world, "web").await.is_err());
    assert_ne!(world.snapshot().await["generation"], before);
}

/// A default that changes counts for whom no intention covers.
#[tokio::test]
async fn the_default_policy_may_change_while_the_gateway_runs() {
    let (plan, _db) = plan("deny", &[("db", &[&rule("cron", "deny")])]);
    let world = plan.start().await;
    let record = verdict(&world, "web").await.unwrap_err();
    assert_eq!(record["intention"], "default policy: deny");
    world.catalog.write("mesh.toml", crate::world::mesh(&world.lab, "allow")).unwrap();
    world.until_answers("web", "db", "db-1").await;
    assert!(verdict(&world, "cron").await.is_err());
    world.catalog.write("mesh.toml", crate::world::mesh(&world.lab, "deny")).unwrap();
    world.until_refused("web", "db").await;
}
