//! Where the gateway listens, and how its own connections are kept alive.

use std::net::SocketAddr;

use gateway_testkit::{Deadline, Lab, wait_for};
use tokio::io::AsyncReadExt;

use crate::{echo, internal, mesh, say_hello};

#[tokio::test]
async fn all_listeners_serve_the_same_names() {
    let lab = Lab::new().unwrap();
    let billing = echo();
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", mesh().sidecar("billing", "billing-1", billing.address())).unwrap();
    let builder = lab.gateway("dc1").catalog(catalog.path());
    let builder = builder.argument("--bind-address").argument("default=127.0.0.1:0");
    let gateway = builder.argument("--bind-address").argument("wan=127.0.0.1:0").start().await.unwrap();
    let wan = gateway.wait_log(Deadline::usual(), "of the second listener", |line| line["listener"] == "wan");
    wan.await.unwrap();
    for listener in ["default", "wan"] {
        let name = internal("billing.default.dc1");
        let mut stream = say_hello(gateway.listener(listener).unwrap(), &name).await;
        stream.read_exact(&mut [0; 100]).await.unwrap();
        drop(stream);
        let record = gateway.wait_record(Deadline::usual(), "of the listener", |r| r["listener"] == listener);
        assert_eq!(record.await.unwrap()["endpoint"], billing.address().to_string());
    }
}

#[tokio::test]
async fn the_wan_address_is_advertised_and_not_bound() {
    let lab = Lab::new().unwrap();
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", mesh()).unwrap();
    let builder = lab.gateway("dc1").catalog(catalog.path());
    // An address of documentation (RFC 5737): no host has it.
    let gateway = builder.argument("--wan-address").argument("192.0.2.9:443").start().await.unwrap();
    assert!(gateway.admin().unwrap().is_ready().await.unwrap());
    let listeners = gateway.log().all().into_iter().filter(|line| line["message"] == "listening").count();
    assert_eq!((listeners, gateway.address().unwrap().ip().is_loopback()), (1, true));
}

#[tokio::test]
async fn keepalive_is_for_connections_to_remote_gateways() {
    let lab = Lab::new().unwrap();
    let (billing, far) = (echo(), echo());
    let catalog = lab.catalog("catalog").unwrap();
    let document =
        mesh().sidecar("billing", "billing-1", billing.address()).mesh_gateway("dc2", far.address());
    catalog.write("mesh.toml", document).unwrap();
    let builder = lab.gateway("dc1").catalog(catalog.path());
    let gateway = builder.setting("TIMERS_REMOTE_KEEPALIVE", "60s").start().await.unwrap();
    let mut open = Vec::new();
    for (front, endpoint, expected) in
        [("billing.default.dc1", billing.address(), false), ("billing.default.dc2", far.address(), true)]
    {
        let mut stream = say_hello(gateway.address().unwrap(), &internal(front)).await;
        stream.read_exact(&mut [0; 100]).await.unwrap();
        open.push(stream);
        // The timer of the retransmission is another one, and soon gone.
        let as_expected = async || (has_keepalive(endpoint) == Some(expected)).then_some(());
        wait_for(Deadline::usual(), &format!("keepalive of {front}: {expected}"), as_expected).await.unwrap();
    }
}

/// Whether the connection to `endpoint` waits for its keepalive timer, as /proc tells; `None` while another timer runs.
fn has_keepalive(endpoint: SocketAddr) -> Option<bool> {
    let SocketAddr::V4(endpoint) = endpoint else { return None };
    let remote = format!("{:08X}:{:04X}", u32::from(*endpoint.ip()).swap_bytes(), endpoint.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    // sl local remote state queues timer:when
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row =
        row.into_iter().find(|row| row.get(2) == Some(&remote.as_str()) && row.get(3) == Some(&"01"))?;
    match row[5].split(':').next()? {
        "00" => Some(false),
        "02" => Some(true),
        _ => None,
    }
}
