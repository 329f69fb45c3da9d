//! The same Consul goes and comes back.

use std::time::Instant;

use gateway_testkit::{Consul, Instance, Signal, wait_for};
use serde_json::{Value, json};

use crate::world::{BACK, BACK_WITHIN, GONE, World, sidecar, soon, steady};

/// T61, rows 30, 31: held, killed, started again with its data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_goes_on_while_the_agent_is_held_or_dead() {
    if !Consul::available() {
        return;
    }
    // An agent that is held keeps its long polls: the poll of datacenters is what notices.
    let notices = |it: gateway_testkit::GatewayBuilder| {
        it.setting("TIMERS_CONSUL_POLL_DATACENTERS", "1s").setting("TIMERS_CONSUL_READ", "1s")
    };
    let world = World::start(notices).await;
    let _one = world.instance("billing", "billing-1").await;
    let _web = world.instance("web", "web-1").await;
    world.until_answers("billing", "billing-1").await;
    world.until_answers("web", "web-1").await;
    let mut open = world
        .frontend
        .call(&crate::world::upstream("web"), gateway_testkit::Via::Local(world.gateway.address().unwrap()))
        .await
        .unwrap();
    let before = world.snapshot().await["names"].clone();
    let calls = steady(&world, "billing");

    world.consul.stop().await.unwrap();
    world.until_logged(GONE, 1).await;
    world.assert_ages_grow().await;
    calls.go_on(20).await;
    assert_eq!(world.snapshot().await["names"], before);
    world.consul.cont().unwrap();
    let back = Instant::now();
    let (current, change) = tokio::join!(world.until_current(back), world.until_change("billing", "held"));
    eprintln!("measured: held, first watch current after {current:?}, a change seen after {change:?}");
    assert!(current <= BACK_WITHIN && change <= BACK_WITHIN, "{current:?} {change:?}");
    world.until_logged(BACK, 1).await;

    world.consul.kill().await.unwrap();
    world.until_logged(GONE, 2).await;
    world.assert_ages_grow().await;
    calls.go_on(20).await;
    world.consul.start_again().unwrap();
    let api = world.consul.api();
    let answers = async || api.get("/v1/catalog/services").await.ok().map(|_| Instant::now());
    let answers = async || wait_for(soon(), "an answer of Consul", answers).await.unwrap();
    let back = answers().await;
    let (current, change) = tokio::join!(world.until_current(back), world.until_change("billing", "killed"));
    eprintln!("measured: killed, first watch current after {current:?}, a change seen after {change:?}");
    assert!(current <= BACK_WITHIN && change <= BACK_WITHIN, "{current:?} {change:?}");
    world.until_logged(BACK, 2).await;
    assert_eq!(world.lines(GONE), 2);

    // What is registered from now on is followed as before.
    let _new = world.instance("late", "late-1").await;
    world.until_answers("late", "late-1").await;
    let quiet = |page: &Value| {
        let rows = page["consul"]["watches"]["rows"].as_array().unwrap();
        rows.iter().all(|row| row["error"].is_null())
    };
    wait_for(soon(), "no error left", async || quiet(&world.snapshot().await).then_some(())).await.unwrap();
    calls.go_on(20).await;
    calls.end().await;
    open.echo(&vec![1; 200_000]).await.unwrap();
    open.close().await.unwrap();
    let troubles = |line: &&Value| line["level"] == "warn" || line["level"] == "error";
    let lines: Vec<_> = world.gateway.log().all();
    let lines: Vec<_> = lines.iter().filter(troubles).collect();
    assert!(lines.len() <= 8, "{lines:#?}");
    // The end is in order as well.
    world.gateway.signal(Signal::TERM).unwrap();
    assert_eq!(world.gateway.exit_code(soon()).await.unwrap(), 0);
}

/// Row 34: a snapshot of older data is restored: it is believed, after a while, and what comes then is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_data_is_believed_in_the_end() {
    if !Consul::available() {
        return;
    }
    let world = World::start(|it| it.setting("TIMERS_CONSUL_WAIT", "10s")).await;
    let consul = &world.consul;
    // Not the agent's: it would register its own again.
    let enter = async |service: &str, sidecar: &gateway_testkit::ServerSidecar| {
        for (name, document) in [
            (service.to_owned(), json!({"ID": service, "Service": service, "Port": 1})),
            (
                format!("{service}-sidecar-proxy"),
                json!({
                    "ID": format!("{service}-proxy"), "Service": format!("{service}-sidecar-proxy"),
                    "Kind": "connect-proxy", "Port": sidecar.address().port(),
                    "Proxy": {"DestinationServiceName": service},
                }),
            ),
        ] {
            let entry = json!({"Node": "foreign", "Address": "127.0.0.1", "Service": document});
            consul.catalog_register(&entry).await.map_err(|error| format!("{name}: {error}")).unwrap();
        }
    };
    let (old, new) = (sidecar(consul, "old", "old-1").await, sidecar(consul, "new", "new-1").await);
    enter("old", &old).await;
    world.until_answers("old", "old-1").await;
    let snapshot = consul.snapshot().await.unwrap();
    let calls = steady(&world, "old");
    world.until_change("old", "later").await;
    // So that the index is far ahead of what it will be.
    for round in 0..20 {
        let entry = json!({"Kind": "service-defaults", "Name": format!("filler-{round}"), "Protocol": "tcp"});
        consul.config_write(&entry).await.unwrap();
    }
    enter("new", &new).await;
    world.until_answers("new", "new-1").await;

    consul.restore(&snapshot).await.unwrap();
    let began = Instant::now();
    for gone in ["new", "later.old"] {
        let refused = async || world.who(gone).await.is_err().then_some(());
        wait_for(gateway_testkit::Deadline::after(std::time::Duration::from_secs(20)), gone, refused)
            .await
            .unwrap();
        eprintln!("measured: {gone} gone {:?} after the restore", began.elapsed());
    }
    let change = world.until_change("old", "again").await;
    enter("new", &new).await;
    let began = Instant::now();
    world.until_answers("new", "new-1").await;
    eprintln!("measured: after it, a change seen after {change:?}, a service after {:?}", began.elapsed());
    assert!(change <= BACK_WITHIN && began.elapsed() <= BACK_WITHIN, "{change:?} {:?}", began.elapsed());
    calls.go_on(10).await;
    calls.end().await;
    // The agent's own services are there again, without anybody's help.
    let _mine = world.consul.register_instance(&Instance::new("mine", "mine-1", old.address())).await;
    assert!(world.gateway.admin().unwrap().is_ready().await.unwrap());
}
