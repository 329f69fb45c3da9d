//! A document that sends the gateway to itself.

use std::net::SocketAddr;

use gateway_testkit::{Gateway, Lab};

use crate::{WithWeb, echo, in_use, mesh, said, visit};

async fn assert_refused(gateway: &Gateway, catalog: &gateway_testkit::CatalogDir, own: SocketAddr) {
    let other = echo();
    let document = mesh().web(own, "").sidecar("other", "other-1", other.address());
    catalog.write("mesh.toml", document).unwrap();
    in_use(gateway, 2).await;
    for _ in 0..3 {
        let record = visit(gateway, "web").await;
        assert_eq!(record["reason"], "forwarding_loop", "{record}");
        assert_eq!(record["endpoint"], own.to_string(), "it says which endpoint to correct: {record}");
    }
    assert_eq!(said(gateway, "refused to dial this gateway itself"), 1, "said once, not for each");
    assert_eq!(visit(gateway, "other").await["reason"], "closed");
    // Where all addresses of the host are its own it is found out by connecting: nothing is sent on such a connection.
    let hellos = gateway.records().all().into_iter().filter(|record| record["reason"] != "probe").count();
    assert_eq!(hellos, 4, "no hello came back in");
}

#[tokio::test]
async fn the_gateways_own_address_is_not_dialled() {
    let lab = Lab::new().unwrap();
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", mesh()).unwrap();
    let gateway = lab.gateway("dc1").catalog(catalog.path()).start().await.unwrap();
    assert_refused(&gateway, &catalog, gateway.address().unwrap()).await;
}

#[tokio::test]
async fn nor_any_address_of_the_host_when_it_listens_on_all_of_them() {
    let lab = Lab::new().unwrap();
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", mesh()).unwrap();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let gateway = lab.gateway("dc1").catalog(catalog.path()).address(everywhere).start().await.unwrap();
    let port = gateway.address().unwrap().port();
    // Clients connect to 0.0.0.0 as to 127.0.0.1.
    assert_refused(&gateway, &catalog, ([127, 0, 0, 3], port).into()).await;
}

#[tokio::test]
async fn nor_the_address_that_it_is_advertised_by() {
    let lab = Lab::new().unwrap();
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", mesh()).unwrap();
    let builder = lab.gateway("dc1").catalog(catalog.path());
    // An address of documentation (RFC 5737): no host has it.
    let gateway = builder.argument("--wan-address").argument("192.0.2.9:443").start().await.unwrap();
    assert_refused(&gateway, &catalog, ([192, 0, 2, 9], 443).into()).await;
}
