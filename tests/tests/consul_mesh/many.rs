//! More services than an agent has connections for.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gateway_testkit::{Consul, Deadline, Gateway, Instance, Lab, ServerSidecar, Sidecar, Via, wait_for};
use serde_json::json;

use crate::world::{DATACENTER, call, soon, until_snapshot, upstream, who};

const SERVICES: usize = 60;
const BUDGET: usize = 16;

/// Connections of a process to an address, whatever their state.
fn connections(pid: u32, to: SocketAddr) -> usize {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let sockets: HashSet<String> = fds
        .filter_map(|fd| {
            std::fs::read_link(fd.path()).ok()?.to_str()?.strip_prefix("socket:[").map(str::to_owned)
        })
        .collect();
    let SocketAddr::V4(to) = to else { return 0 };
    let far = format!("{:08X}:{:04X}", u32::from_le_bytes(to.ip().octets()), to.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = rows.filter(|row| row.get(2).is_some_and(|it| *it == far));
    own.filter(|row| row.get(9).is_some_and(|inode| sockets.contains(&format!("{inode}]")))).count()
}

/// T63, row 50: names are read in turn, within the budget, and a change is still quick.
#[tokio::test]
async fn many_services_share_few_connections() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let identity = consul.identity("many").await.unwrap();
    let sidecar = |id: &str| -> ServerSidecar {
        ServerSidecar::start_with(&identity.trust, &identity.leaf, Sidecar::new("many", id, DATACENTER))
            .unwrap()
    };
    let (one, two) = (sidecar("many-1"), sidecar("many-2"));
    for (id, sidecar) in [("many-1", &one), ("many-2", &two)] {
        consul.register_instance(&Instance::new("many", id, sidecar.address())).await.unwrap();
    }
    for at in 0..SERVICES {
        let name = format!("filler-{at}");
        consul.register_instance(&Instance::new(&name, &name, one.address())).await.unwrap();
    }
    let gateway = lab.gateway("gateway").consul(&consul).register();
    let gateway = gateway.setting("LIMITS_CONSUL_CONNECTIONS", &BUDGET.to_string()).spawn().unwrap();

    let (most, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let counter = {
        let (pid, to, most, ended) = (gateway.pid(), consul.http(), most.clone(), ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                most.fetch_max(connections(pid, to), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(3));
            }
        })
    };
    let began = Instant::now();
    wait_for(soon(), "the listener", async || gateway.address().ok()).await.unwrap();
    eprintln!("measured: {SERVICES} services, ready after {:?}", began.elapsed());
    let page = until_snapshot(&gateway, "all names", |page| page["names"]["total"] == SERVICES + 1).await;
    let family = &page["consul"]["families"][0];
    assert_eq!(family["mode"], "sweep", "{family:#}");
    assert_eq!(page["consul"]["connections"]["most"], BUDGET, "{:#}", page["consul"]["connections"]);

    let caller = consul.identity("frontend").await.unwrap();
    let caller = gateway_testkit::ClientSidecar::with(&caller.trust, caller.leaf.clone());
    assert!(who(call(&caller, &gateway, "many").await.unwrap()).await.unwrap().starts_with("many-"));
    let mut took = Vec::new();
    for round in 0..6 {
        let status = if round % 2 == 0 { "critical" } else { "passing" };
        consul.set_health("many-1", status).await.unwrap();
        let began = Instant::now();
        let wanted = if round % 2 == 0 { 1 } else { 2 };
        until_healthy(&gateway, wanted).await;
        took.push(began.elapsed());
    }
    // Nothing fails or comes: the round alone finds it.
    for sidecar in [&two, &one] {
        let moved = Instance::new("filler-7", "filler-7", sidecar.address());
        consul.register_instance(&moved).await.unwrap();
        let began = Instant::now();
        until_at(&gateway, "filler-7", sidecar.address()).await;
        took.push(began.elapsed());
    }
    let late = sidecar("late-1");
    consul.register_instance(&Instance::new("late", "late-1", late.address())).await.unwrap();
    let began = Instant::now();
    until_at(&gateway, "late", late.address()).await;
    took.push(began.elapsed());
    eprintln!("measured: changes of {SERVICES} services read in turn, until known {took:?}");
    assert!(took.iter().all(|it| *it < Duration::from_secs(3)), "{took:?}");
    let entry = json!({"Kind": "service-resolver", "Name": "many", "Subsets": {"x": {}}});
    consul.config_write(&entry).await.unwrap();
    let via = Via::Local(gateway.address().unwrap());
    let subset = async || caller.call(&upstream("x.many"), via).await.ok();
    wait_for(Deadline::after(Duration::from_secs(3)), "the subset", subset).await.unwrap();

    ended.store(true, Ordering::Relaxed);
    counter.join().unwrap();
    let most = most.load(Ordering::Relaxed);
    assert!((2..=BUDGET).contains(&most), "{most} connections of {BUDGET}");
    eprintln!("measured: {most} connections at most");
}

async fn until_healthy(gateway: &Gateway, wanted: usize) {
    let healthy = async || {
        let page = gateway.admin().ok()?.json("/endpoints?service=many").await.ok()?;
        let rows = page["services"][0]["endpoints"].as_array()?.clone();
        (rows.iter().filter(|row| row["healthy"] == true).count() == wanted).then_some(())
    };
    let known = wait_for(soon(), &format!("{wanted} healthy endpoints"), healthy).await;
    let page = gateway.admin().unwrap().json("/snapshot?limit=1000").await.unwrap();
    assert!(known.is_ok(), "{known:?} {:#}", page["consul"]);
}

async fn until_at(gateway: &Gateway, service: &str, address: SocketAddr) {
    let at = async || {
        let page = gateway.admin().ok()?.json(&format!("/endpoints?service={service}")).await.ok()?;
        (page["services"][0]["endpoints"][0]["address"] == *address.to_string()).then_some(())
    };
    wait_for(soon(), &format!("{service} at {address}"), at).await.unwrap();
}
