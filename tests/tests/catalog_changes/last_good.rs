//! Bad changes: the last good state stays, whoever is concerned hears of it, and nobody else notices.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gateway_testkit::{Document, ServerSidecar, pause};
use serde_json::Value;

use crate::world::{Plan, World, mesh, one, soon};

/// An instance with a version, for subsets.
fn versioned(sidecar: &ServerSidecar, id: &str, version: &str) -> Document {
    let more = format!("ID = {id:?}\nMeta = {{ version = {version:?} }}");
    Document::new().instance("web", "connect-proxy", sidecar.address(), &more)
}

fn resolver(default: &str) -> Document {
    Document::new().text(&format!(
        "[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\nDefaultSubset = {default:?}\n\
         Subsets.v1.Filter = 'Service.Meta.version == \"v1\"'\nSubsets.v2.Filter = 'Service.Meta.version == \"v2\"'\n"
    ))
}

/// S6.
#[tokio::test]
async fn an_entry_that_breaks_holds_back_its_own_service_only() {
    let plan = Plan::new();
    let (one_, two) = (plan.instance("web", "web-1"), plan.instance("web", "web-2"));
    let billing = plan.instance("billing", "billing-1");
    plan.catalog.write("web-1.toml", versioned(&one_, "web-1", "v1")).unwrap();
    plan.catalog.write("web-2.toml", versioned(&two, "web-2", "v2")).unwrap();
    plan.catalog.write("resolver.toml", resolver("v1")).unwrap();
    let world = plan.start().await;
    assert_eq!(world.who("web").await, "web-1");

    // The entry refers to a subset that does not exist; another file brings a service.
    world.catalog.write("resolver.toml", resolver("v9")).unwrap();
    world.catalog.write("billing.toml", one("billing", &billing, "billing-1")).unwrap();
    world.until_answers("billing", "billing-1").await;
    let page = world.until_rejected(1).await;
    let row = &page["rejected"]["rows"][0];
    assert_eq!((&row["document"], &row["last_good_in_use"]), (&"service-resolver web".into(), &true.into()));
    assert_eq!(
        (&row["problem"]["line"], &row["problem"]["path"]),
        (&4.into(), &"Entry[0].DefaultSubset".into())
    );
    assert!(row["problem"]["message"].as_str().unwrap().contains("v9"), "{row}");
    let names: Vec<_> = rows(&page["names"]).map(|row| row["name"].as_str().unwrap().to_owned()).collect();
    assert!(names.iter().any(|name| name.starts_with("v2.web.")), "the subsets stay: {names:?}");
    for _ in 0..6 {
        assert_eq!(world.who("web").await, "web-1", "and so does the default subset");
    }
    let metric = |name, labels| world.gateway.wait_metric(soon(), name, labels, |value| value == 1.0);
    metric("gateway_catalog_rejected", &[]).await.unwrap();
    metric("gateway_catalog_reloads_total", &[("result", "rejected")]).await.unwrap();
    let said = world.lines("catalog problem");
    assert_eq!(said.len(), 1, "said once: {said:#?}");
    assert_eq!((&said[0]["level"], &said[0]["document"]), (&"warn".into(), &"service-resolver web".into()));
    let problem = said[0]["problem"].as_str().unwrap();
    assert!(problem.contains("resolver.toml:4: Entry[0].DefaultSubset"), "{problem}");

    world.catalog.write("resolver.toml", resolver("v2")).unwrap();
    world.until_answers("web", "web-2").await;
    world.until_rejected(0).await;
    assert_eq!(world.lines("catalog problem is over").len(), 1);
    world.gateway.wait_metric(soon(), "gateway_catalog_rejected", &[], |value| value == 0.0).await.unwrap();
}

/// S8. The time for settling is longer than any pause of a busy machine, so that only the rule decides.
#[tokio::test]
async fn nobody_sees_a_file_that_is_being_written() {
    let plan = Plan::new();
    let sidecars = ["a", "b"].map(|id| plan.instance("web", id));
    plan.catalog.write("web.toml", one("web", &sidecars[0], "a")).unwrap();
    let world = plan.start_with(|gateway| gateway.setting("TIMERS_CATALOG_SETTLE", "1s")).await;
    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let calling = async {
        while !stop.load(Ordering::Relaxed) {
            world.call("web").await.unwrap().close().await.unwrap();
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    let writing = async {
        for round in 0..6 {
            let id = ["b", "a"][round % 2];
            world.catalog.write_in_place("web.toml", "").unwrap();
            // Other changes are read while the file is empty.
            world.catalog.write("other.toml", one("other", &sidecars[0], &format!("other-{round}"))).unwrap();
            pause(Duration::from_millis(20)).await;
            world.catalog.write_in_place("web.toml", one("web", &sidecars[(round + 1) % 2], id)).unwrap();
        }
        let last = one("web", &sidecars[1], "last");
        world.catalog.write_in_place("web.toml", last.as_str().replace("last", "b")).unwrap();
        world.until_answers("web", "b").await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(calling, writing);
    assert!(calls.load(Ordering::Relaxed) > 0);
    assert_eq!(world.lines("catalog problem"), Vec::<Value>::new());
    assert!(world.gateway.records().all().iter().all(|record| record["reason"] == "closed"));
}

/// S9.
#[tokio::test]
async fn a_catalog_that_is_gone_changes_nothing_and_is_reported() {
    let plan = Plan::new();
    let billing = plan.instance("billing", "billing-1");
    plan.catalog.write("billing.toml", one("billing", &billing, "billing-1")).unwrap();
    let world = plan.start().await;
    let mut open = world.call("billing").await.unwrap();
    let before = world.snapshot().await["names"].clone();

    std::fs::remove_dir_all(world.catalog.path()).unwrap();
    reported(&world, "No such file").await;
    assert_eq!(world.snapshot().await["names"], before);
    assert_eq!(world.who("billing").await, "billing-1");
    assert!(world.gateway.admin().unwrap().is_ready().await.unwrap(), "what is known is served right");

    // A file where the folder was.
    std::fs::write(world.catalog.path(), "").unwrap();
    reported(&world, "expected a folder").await;
    assert_eq!(world.who("billing").await, "billing-1");

    // Back again, with a change: it is followed as before.
    std::fs::remove_file(world.catalog.path()).unwrap();
    std::fs::create_dir(world.catalog.path()).unwrap();
    let moved = world.instance("billing", "billing-2");
    world
        .catalog
        .write("all.toml", mesh(&world.pki).sidecar("billing", "billing-2", moved.address()))
        .unwrap();
    world.until_answers("billing", "billing-2").await;
    world.until_rejected(0).await;
    let third = world.instance("billing", "billing-3");
    world
        .catalog
        .write("all.toml", mesh(&world.pki).sidecar("billing", "billing-3", third.address()))
        .unwrap();
    world.until_answers("billing", "billing-3").await;
    open.echo(b"all the time").await.unwrap();
    open.close().await.unwrap();
}

/// S9, closed instead of deleted; a user who may read everything is shown a link that leads to itself.
#[tokio::test]
async fn what_cannot_be_read_stays_as_it_was() {
    let plan = Plan::new();
    let (billing, web) = (plan.instance("billing", "billing-1"), plan.instance("web", "web-1"));
    plan.catalog.write("billing.toml", one("billing", &billing, "billing-1")).unwrap();
    plan.catalog.write("more/web.toml", one("web", &web, "web-1")).unwrap();
    let world = plan.start().await;

    world.catalog.link("billing.toml", Path::new("billing.toml")).unwrap();
    reported(&world, "billing.toml: ").await;
    assert_eq!((world.who("billing").await, world.who("web").await), ("billing-1".into(), "web-1".into()));
    world.catalog.write("billing.toml", one("billing", &billing, "billing-1")).unwrap();
    world.until_rejected(0).await;

    let folder = world.catalog.file("more");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::read_dir(&folder).is_err() {
        reported(&world, "Permission denied").await;
    }
    assert_eq!(world.who("web").await, "web-1");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    world.until_rejected(0).await;
}

/// S13 while running, and the same for a name that two routes want.
#[tokio::test]
async fn a_route_cannot_take_a_name_that_is_in_use() {
    let plan = Plan::new();
    let billing = plan.instance("billing", "billing-1");
    let other = plan.instance("billing", "intruder");
    plan.catalog.write("billing.toml", one("billing", &billing, "billing-1")).unwrap();
    let route = |to: &ServerSidecar| Document::new().route("legacy.example.com", &[to.address()]);
    plan.catalog.write("route.toml", route(&billing)).unwrap();
    let world = plan.start().await;
    let name = format!("billing.default.dc1.internal.{}", world.pki.trust_domain());
    world.catalog.write("mesh-route.toml", Document::new().route(&name, &[other.address()])).unwrap();
    reported(&world, "mesh-route.toml:1: Route[0].SNI").await;
    world.catalog.write("again.toml", route(&other)).unwrap();
    let page = world.until_rejected(2).await;
    let twice = rows(&page["rejected"])
        .any(|row| row["problem"]["message"].as_str().is_some_and(|message| message.contains("already in")));
    assert!(twice, "{page:#}");
    assert_eq!(world.who("billing").await, "billing-1");
    let via = gateway_testkit::Via::Local(world.gateway.address().unwrap());
    let call = world.frontend.call_sni("legacy.example.com", billing.identity(), via).await.unwrap();
    assert_eq!(call.greeting.instance, "billing-1", "the route that was first stays");
    call.close().await.unwrap();
    assert_eq!(other.accepted(), 0);
}

/// The files that documents name are watched, too; those of other gateways' documents are theirs.
#[tokio::test]
async fn roots_that_go_bad_are_reported() {
    let plan = Plan::new();
    let billing = plan.instance("billing", "billing-1");
    plan.pki.write_root(&plan.catalog.file("..one/roots.pem")).unwrap();
    plan.catalog.write("..two/roots.pem", "no certificate\n").unwrap();
    plan.catalog.link("roots.pem", Path::new("..one/roots.pem")).unwrap();
    let text =
        mesh(&plan.pki).text("Roots = [\"roots.pem\"]").sidecar("billing", "billing-1", billing.address());
    plan.catalog.write("mesh.toml", text).unwrap();
    let world = plan.start().await;
    assert_eq!(world.snapshot().await["rejected"]["total"], 0);
    world.catalog.link("roots.pem", Path::new("..two/roots.pem")).unwrap();
    reported(&world, "mesh.toml:").await;
    assert_eq!(world.who("billing").await, "billing-1");
    world.catalog.link("roots.pem", Path::new("..one/roots.pem")).unwrap();
    world.until_rejected(0).await;
}

/// Waits until page, log and metric speak of a problem with these words.
async fn reported(world: &World, words: &str) {
    let has = |page: &Value| rows(&page["rejected"]).any(|row| one_line(&row["problem"]).contains(words));
    let page = world.until_snapshot(&format!("a rejection with {words:?}"), has).await;
    let row = rows(&page["rejected"]).find(|row| one_line(&row["problem"]).contains(words)).unwrap();
    let kept = row["last_good_in_use"] == true || row["document"].as_str().unwrap().starts_with("Route ");
    assert!(kept, "{row:#}");
    world.gateway.wait_metric(soon(), "gateway_catalog_rejected", &[], |value| value >= 1.0).await.unwrap();
    let said = world.gateway.wait_log(soon(), words, |line| {
        line["message"] == "catalog problem" && line["problem"].as_str().unwrap().contains(words)
    });
    assert_eq!(said.await.unwrap()["level"], "warn");
}

/// As the log has it.
fn one_line(problem: &Value) -> String {
    let mut line = problem["file"].as_str().unwrap().to_owned();
    if let Some(number) = problem["line"].as_u64() {
        line += &format!(":{number}");
    }
    if let Some(path) = problem["path"].as_str().filter(|path| !path.is_empty()) {
        line += &format!(": {path}");
    }
    format!("{line}: {}", problem["message"].as_str().unwrap())
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list["rows"].as_array().unwrap().iter()
}
