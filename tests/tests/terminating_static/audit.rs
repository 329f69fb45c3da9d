//! Who called whom, by whose word: access log, metrics, /connections, dry run, `explain` and /certs.

use std::process::Command;

use gateway_testkit::{Document, Program};
use serde_json::Value;

use crate::world::{Plan, external, rule, soon};

#[tokio::test]
async fn every_verdict_names_source_destination_and_intention() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    world.intentions("billing", &[&rule("web", "allow"), &rule("cron", "deny")]);
    world.until_answers("web", "billing", "billing-1").await;
    let id = |service: &str| world.pki.service_id(service, "dc1");

    let (mut open, _) = world.call("web", "billing").await.unwrap();
    open.echo(&[1; 1000]).await.unwrap();
    let row = world.open_row(open.local).await;
    assert_eq!((&row["source"], &row["destination"]), (&id("web").into(), &"billing".into()), "{row}");
    assert_eq!((&row["verdict"], &row["service"]), (&"allow".into(), &"billing".into()), "{row}");
    assert_eq!(row["intention"], "intention web => billing (precedence 9): allow");
    let local = open.local;
    open.close().await.unwrap();
    let record = world.record_of(local).await;
    for (key, value) in [
        ("source", id("web")),
        ("verdict", "allow".to_owned()),
        ("intention", "intention web => billing (precedence 9): allow".to_owned()),
        ("service", "billing".to_owned()),
        ("sni", world.sni("billing")),
        ("reason", "closed".to_owned()),
    ] {
        assert_eq!(record[key], value, "{key}: {record}");
    }
    assert!(record["bytes_up"].as_u64() >= Some(1000), "{record}");

    for (source, intention) in
        [("cron", "intention cron => billing (precedence 9): deny"), ("nobody", "default policy: deny")]
    {
        let (record, _) = world.refusal(&world.caller(source), "billing").await;
        for (key, value) in [
            ("source", id(source).as_str()),
            ("verdict", "deny"),
            ("intention", intention),
            ("reason", "denied"),
            ("service", "billing"),
        ] {
            assert_eq!(record[key], value, "{key}: {record}");
        }
    }
    for (verdict, reason, least) in
        [("allow", "intention", 1.0), ("deny", "intention", 1.0), ("deny", "default_policy", 1.0)]
    {
        let labels = [("service", "billing"), ("verdict", verdict), ("reason", reason)];
        assert!(world.metric("gateway_verdicts_total", &labels).await >= least, "{labels:?}");
    }
    let page = world.gateway.admin().unwrap().json("/connections?service=billing").await.unwrap();
    assert!(page["connections"].as_array().unwrap().iter().all(|row| row["service"] == "billing"));
}

/// What would be denied is let through, and everything says so; another service is not.
#[tokio::test]
async fn a_dry_run_lets_pass_and_says_what_would_be_denied() {
    let (mut plan, billing) = Plan::billing();
    let search = external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    let config = plan.lab.dir().join("config.toml");
    std::fs::write(&config, "[services.\"billing\"]\ndry_run = true\n").unwrap();
    let world = plan.start_with(|gateway| gateway.config(&config)).await;
    let (mut open, who) = world.call("cron", "billing").await.unwrap();
    assert_eq!(who, "billing-1");
    open.echo(b"let through").await.unwrap();
    let row = world.open_row(open.local).await;
    assert_eq!((&row["verdict"], &row["intention"]), (&"would_deny".into(), &"default policy: deny".into()));
    // A change that denies cuts nobody in a dry run.
    world.intentions("billing", &[&rule("cron", "deny"), &rule("web", "allow")]);
    let renamed =
        async || world.open_row(open.local).await["intention"].as_str().unwrap().contains("cron => billing");
    gateway_testkit::eventually(soon(), "the new word", renamed).await;
    open.echo(b"and still").await.unwrap();
    let local = open.local;
    open.close().await.unwrap();
    let record = world.record_of(local).await;
    assert_eq!((&record["reason"], &record["verdict"]), (&"closed".into(), &"would_deny".into()), "{record}");
    assert_eq!(record["intention"], "intention cron => billing (precedence 9): deny");
    let labels = [("service", "billing"), ("verdict", "would_deny")];
    assert_eq!(world.metric("gateway_verdicts_total", &labels).await, 1.0);
    // Certificates are looked at as ever, and other services are judged.
    let stranger = gateway_testkit::Pki::development().unwrap();
    let theirs =
        gateway_testkit::MeshCaller::new(&world.pki, &stranger.service("web", "dc1").unwrap()).unwrap();
    assert_eq!(world.refusal(&theirs, "billing").await.0["reason"], "unknown_issuer");
    assert_eq!(world.refusal(&world.caller("cron"), "search").await.0["reason"], "denied");
    assert_eq!((billing.seen().len(), search.seen().len()), (1, 0));
}

/// Enforced again while somebody is inside: the dry run of a service ends with the next start only, but everything can be
/// in a dry run.
#[tokio::test]
async fn everything_may_be_in_a_dry_run() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start_with(|gateway| gateway.setting("DRY_RUN", "true")).await;
    assert_eq!(world.who("cron", "billing").await, "billing-1");
    let would = |line: &Value| line.to_string().contains("dry_run") || line.to_string().contains("dry run");
    world.gateway.wait_log(soon(), "that nothing is enforced", would).await.unwrap();
}

fn explain(catalog: &std::path::Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(Program::TerminatingGw.binary().unwrap());
    command.arg("explain").arg("--catalog").arg(catalog).args(arguments);
    let output = command.output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text)
}

#[tokio::test]
async fn explain_prints_the_rules_in_their_order_and_the_one_that_decides() {
    let mut plan = Plan::new();
    let db = external("db-1");
    plan.service("billing-db", Document::new().external("billing-db", db.address(), ""));
    plan.intentions("billing-db", &[&rule("*", "deny"), &rule("web", "allow"), &rule("cron", "deny")]);
    plan.intentions("*", &[&rule("web", "deny"), &rule("ops", "allow")]);
    // Writes what a start would.
    drop(plan.builder("gateway"));
    let catalog = plan.catalog.path();
    let (code, text) = explain(catalog, &["--from", "web", "--to", "billing-db"]);
    assert_eq!(code, 0, "{text}");
    let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("no {needle:?} in\n{text}"));
    assert!(at("web => billing-db") < at("verdict: allow"), "{text}");
    assert!(at("decides") < at("verdict: allow") && text.contains("precedence 9"), "{text}");
    assert!(text.contains(&db.address().to_string()), "the upstream: {text}");
    let (code, text) = explain(catalog, &["--from", "ops", "--to", "billing-db"]);
    assert_ne!(code, 0, "denied: {text}");
    let order = ["* => billing-db", "verdict: deny"].map(|needle| text.find(needle));
    assert!(order[0].is_some() && order[0] < order[1], "{text}");
    // A SPIFFE id, and a name that is not linked.
    let id = plan.pki.service_id("web", "dc9");
    assert_eq!(explain(catalog, &["--from", &id, "--to", "billing-db"]).0, 0);
    let (code, text) = explain(catalog, &["--from", "web", "--to", "biling-db"]);
    assert!(code != 0 && text.contains("billing-db"), "names that are near: {text}");
}

/// Serials, names and times, and never a key.
#[tokio::test]
async fn certificates_are_shown_without_their_keys() {
    let (mut plan, _billing) = Plan::billing();
    let search = external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    let world = plan.start().await;
    let page = world.certificates().await;
    let leaves = page["leaves"]["rows"].as_array().unwrap();
    assert_eq!(leaves.len(), 2, "{page:#}");
    assert_eq!(leaves[0]["spiffe_id"], world.pki.service_id("billing", "dc1"));
    assert!(leaves[0]["expires_in_seconds"].as_i64() > Some(80_000), "{page:#}");
    assert!(leaves[0]["serial"].as_str().is_some_and(|it| !it.is_empty()), "{page:#}");
    let keys: Vec<String> = ["billing", "search"]
        .iter()
        .map(|name| std::fs::read_to_string(world.certs().join(format!("{name}-key.pem"))).unwrap())
        .collect();
    let admin = world.gateway.admin().unwrap();
    for path in ["/certs", "/snapshot", "/endpoints", "/connections", "/metrics", "/", "/ready"] {
        let body = admin.get(path).await.unwrap().body;
        assert!(!body.contains("PRIVATE KEY"), "{path}");
        for key in &keys {
            let secret = key.lines().nth(1).unwrap();
            assert!(!body.contains(secret), "{path}");
        }
    }
    let log = std::fs::read_to_string(world.gateway.log().path()).unwrap();
    assert!(!log.contains("PRIVATE KEY") && !log.contains(keys[0].lines().nth(1).unwrap()));
}

/// Ready when it can serve, and not ready without a certificate that lasts.
#[tokio::test]
async fn it_is_ready_when_its_services_are() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    let ready = async || world.gateway.admin().unwrap().is_ready().await.unwrap();
    gateway_testkit::eventually(soon(), "to be ready", ready).await;
}
