//! S15: one of ten thousand instances changes under load.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::world::{Plan, one, soon};

const SERVICES: usize = 10_000;
const FILES: usize = 100;
const CHANGES: usize = 6;

#[tokio::test]
async fn one_of_ten_thousand_instances_changes_under_load() {
    let plan = Plan::new();
    let sidecars = ["a", "b"].map(|id| plan.instance("changing", id));
    let steady = plan.instance("steady", "steady-1");
    // Nobody calls them; they only are there. 10.0.0.0/8 is not dialled by anything here.
    for file in 0..FILES {
        let mut text = String::new();
        for number in (file..SERVICES - 2).step_by(FILES) {
            let address = SocketAddr::from(([10, 0, (number / 250) as u8, (number % 250) as u8 + 1], 20_000));
            let (ip, port) = (address.ip(), address.port());
            let _ = write!(
                text,
                "[[Instance]]\nService = \"service-{number}\"\nKind = \"connect-proxy\"\nAddress = \"{ip}\"\nPort = {port}\n"
            );
        }
        plan.catalog.write(&format!("{file}.toml"), text).unwrap();
    }
    plan.catalog.write("changing.toml", one("changing", &sidecars[0], "a")).unwrap();
    plan.catalog.write("steady.toml", one("steady", &steady, "steady-1")).unwrap();
    let world = plan.start().await;
    let first = world.snapshot().await;
    assert_eq!((&first["names"]["total"], &first["compiled"]), (&SERVICES.into(), &SERVICES.into()));
    let metrics = || async { world.gateway.admin().unwrap().metrics().await.unwrap() };
    let compiled = || async { metrics().await.sum("gateway_compiled_services_total", &[]) as usize };
    assert_eq!(compiled().await, SERVICES);

    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let caller = async |service: &str| {
        while !stop.load(Ordering::Relaxed) {
            let mut call = world.call(service).await.unwrap();
            call.echo(b"ping").await.unwrap();
            call.close().await.unwrap();
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    let changes = async {
        for change in 1..=CHANGES {
            let (sidecar, id) = (&sidecars[change % 2], ["a", "b"][change % 2]);
            world.catalog.write("changing.toml", one("changing", sidecar, id)).unwrap();
            world.until_answers("changing", id).await;
            assert_eq!(compiled().await, SERVICES + change, "only what was touched");
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(caller("changing"), caller("changing"), caller("steady"), caller("steady"), changes);

    assert!(calls.load(Ordering::Relaxed) >= CHANGES, "there was load");
    let closed = [("reason", "closed")];
    let ended = world.gateway.wait_metric(soon(), "gateway_open_connections", &[], |open| open == 0.0);
    ended.await.unwrap();
    let samples = metrics().await;
    let all = samples.sum("gateway_connections_total", &[]);
    assert_eq!(samples.sum("gateway_connections_total", &closed), all, "no connection failed");
    assert_eq!(samples.sum("gateway_catalog_reloads_total", &[("result", "rejected")]), 0.0);
    let page = world.snapshot().await;
    assert_eq!((&page["generation"], &page["compiled"]), (&(CHANGES + 1).into(), &1.into()));
}
