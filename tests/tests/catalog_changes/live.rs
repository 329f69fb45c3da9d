//! Good changes: they go live, and nothing that is open notices.

use std::path::Path;

use gateway_testkit::{Document, Signal, eventually};

use crate::world::{Plan, one, soon};

#[tokio::test]
async fn all_endpoints_of_a_service_are_replaced_under_an_open_call() {
    let plan = Plan::new();
    let (old, new) = (plan.instance("billing", "old"), plan.instance("billing", "new"));
    plan.catalog.write("billing.toml", one("billing", &old, "old")).unwrap();
    let world = plan.start().await;
    let mut open = world.call("billing").await.unwrap();
    assert_eq!(open.greeting.instance, "old");

    world.catalog.write("billing.toml", one("billing", &new, "new")).unwrap();
    world.until_answers("billing", "new").await;
    let accepted = old.accepted();
    for _ in 0..10 {
        assert_eq!(world.who("billing").await, "new");
    }
    assert_eq!(old.accepted(), accepted, "nobody new goes to the old instance");
    open.echo(&vec![1; 200_000]).await.unwrap();

    // The service itself goes: who is there stays, who comes is refused.
    world.catalog.remove("billing.toml").unwrap();
    eventually(soon(), "the service to be gone", async || world.call("billing").await.is_err()).await;
    open.echo(&vec![2; 200_000]).await.unwrap();
    open.close().await.unwrap();
    let refused = world.gateway.wait_record(soon(), "of the refusal", |r| r["reason"] == "unknown_sni").await;
    assert_eq!(refused.unwrap()["bytes_down"], 0);
    let ours = world.gateway.wait_record(soon(), "of the open call", |r| {
        r["endpoint"] == old.address().to_string() && r["bytes_up"].as_u64() > Some(400_000)
    });
    assert_eq!(ours.await.unwrap()["reason"], "closed");
}

#[tokio::test]
async fn every_applied_change_is_a_new_generation() {
    let plan = Plan::new();
    let billing = plan.instance("billing", "billing-1");
    plan.catalog.write("billing.toml", one("billing", &billing, "billing-1")).unwrap();
    let world = plan.start().await;
    let first = world.snapshot().await;
    assert_eq!((&first["generation"], &first["names"]["total"]), (&1.into(), &1.into()));
    for round in 2..5_u64 {
        let web = one("web", &billing, &format!("web-{round}"));
        world
            .catalog
            .write(&format!("web-{round}.toml"), web.as_str().replace("web\"", &format!("web-{round}\"")))
            .unwrap();
        let page = world.until_snapshot("the next generation", |page| page["generation"] == round).await;
        assert_eq!(page["names"]["total"], round, "one name more");
        assert_eq!(page["compiled"], 1, "and nothing else was touched");
        let shown =
            world.gateway.wait_metric(soon(), "gateway_catalog_generation", &[], |value| value >= 0.0);
        assert_eq!(shown.await.unwrap(), round as f64);
        let endpoints = world.gateway.admin().unwrap().endpoints().await.unwrap();
        assert!(endpoints["generation"].as_u64() >= Some(round - 1), "{endpoints:#}");
    }
    // Written again as it is: nothing to publish. What comes after it has the next number.
    world.catalog.write("billing.toml", one("billing", &billing, "billing-1")).unwrap();
    world.catalog.write("last.toml", one("last", &billing, "last")).unwrap();
    let page = world.until_snapshot("the last name", |page| page["names"]["total"] == 5).await;
    assert_eq!(page["generation"], 5);
}

#[tokio::test]
async fn json_and_toml_change_alike() {
    let json = |address: std::net::SocketAddr, id: &str| {
        serde_json::json!({ "Instance": [{
            "Service": "billing", "Kind": "connect-proxy", "ID": id,
            "Address": address.ip().to_string(), "Port": address.port(),
        }] })
        .to_string()
    };
    let plan = Plan::new();
    let sidecars = ["one", "two", "three", "four"].map(|id| plan.instance("billing", id));
    plan.catalog.write("billing.json", json(sidecars[0].address(), "one")).unwrap();
    let world = plan.start().await;
    assert_eq!(world.who("billing").await, "one");
    world.catalog.write("billing.json", json(sidecars[1].address(), "two")).unwrap();
    world.until_answers("billing", "two").await;
    world.catalog.write_in_place("billing.json", json(sidecars[2].address(), "three")).unwrap();
    world.until_answers("billing", "three").await;
    // From one form to the other: the new file first, so that the service never has no instance.
    world.catalog.write("billing.toml", one("billing", &sidecars[3], "four")).unwrap();
    world.until_snapshot("both instances", |page| page["names"]["rows"][0]["endpoints"] == 2).await;
    world.catalog.remove("billing.json").unwrap();
    world.until_snapshot("one instance", |page| page["names"]["rows"][0]["endpoints"] == 1).await;
    assert_eq!(world.who("billing").await, "four");
    assert_eq!(world.snapshot().await["rejected"]["total"], 0);
}

#[tokio::test]
async fn a_mounted_config_map_is_swapped_as_a_whole() {
    let plan = Plan::new();
    let sidecars = ["one", "two", "three"].map(|id| plan.instance("billing", id));
    // As Kubernetes lays it out: names that lead through `..data` into a folder with a date.
    let catalog = &plan.catalog;
    let fill = |folder: &str, text: Document| catalog.write(&format!("{folder}/billing.toml"), text).unwrap();
    fill("..2026_01_01", one("billing", &sidecars[0], "one"));
    catalog.link("..data", Path::new("..2026_01_01")).unwrap();
    catalog.link("billing.toml", Path::new("..data/billing.toml")).unwrap();
    let world = plan.start().await;
    assert_eq!(world.who("billing").await, "one");
    let mut open = world.call("billing").await.unwrap();
    for (folder, sidecar, id) in
        [("..2026_01_02", &sidecars[1], "two"), ("..2026_01_03", &sidecars[2], "three")]
    {
        world.catalog.write(&format!("{folder}/billing.toml"), one("billing", sidecar, id)).unwrap();
        world.catalog.link("..data", Path::new(folder)).unwrap();
        world.until_answers("billing", id).await;
    }
    // The old folder goes after the swap.
    std::fs::remove_dir_all(world.catalog.file("..2026_01_01")).unwrap();
    open.echo(b"still here").await.unwrap();
    open.close().await.unwrap();
    let page = world.snapshot().await;
    assert_eq!((&page["files"]["total"], &page["rejected"]["total"]), (&2.into(), &0.into()));
}

#[tokio::test]
async fn sighup_reads_at_once_what_would_have_been_waited_for() {
    let plan = Plan::new();
    let (old, new) = (plan.instance("billing", "old"), plan.instance("billing", "new"));
    plan.catalog.write("billing.toml", one("billing", &old, "old")).unwrap();
    // Longer than the test: a file that was written in place is not read but for the signal.
    let world = plan
        .start_with(|gateway| {
            gateway.setting("TIMERS_CATALOG_SETTLE", "60s").setting("TIMERS_CATALOG_POLL", "10m")
        })
        .await;
    let mut open = world.call("billing").await.unwrap();
    world.catalog.write_in_place("billing.toml", one("billing", &new, "new")).unwrap();
    assert_eq!(world.who("billing").await, "old");
    world.gateway.signal(Signal::HUP).unwrap();
    world.until_answers("billing", "new").await;
    open.echo(b"still here").await.unwrap();
    open.close().await.unwrap();
    assert_eq!(world.lines("told to read files again").len(), 1);
    assert!(world.gateway.is_running());
}

#[tokio::test]
async fn folders_come_go_and_move() {
    let plan = Plan::new();
    let billing = plan.instance("billing", "billing-1");
    let world = plan.start().await;
    world.catalog.write("team/payments/billing.toml", one("billing", &billing, "billing-1")).unwrap();
    world.until_answers("billing", "billing-1").await;
    std::fs::rename(world.catalog.file("team"), world.catalog.file("crew")).unwrap();
    world
        .until_snapshot("the folder under its new name alone", |page| {
            let files = page["files"]["rows"].as_array().unwrap();
            files.len() == 2
                && files.iter().any(|file| file["path"].as_str().unwrap().contains("/crew/payments/"))
        })
        .await;
    assert_eq!(world.who("billing").await, "billing-1");
    std::fs::remove_dir_all(world.catalog.file("crew")).unwrap();
    eventually(soon(), "the service to be gone", async || world.call("billing").await.is_err()).await;
}
