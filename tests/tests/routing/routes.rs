//! `[[Route]]`: names that are not of the mesh.

use gateway_testkit::{ClientSidecar, Lab, Pki, ServerSidecar, Sidecar, Via};

use crate::{echo, gateway, internal, mesh, turned_away, visit};

#[tokio::test]
async fn a_route_carries_tls_to_its_address() {
    let lab = Lab::new().unwrap();
    let pki = Pki::development().unwrap();
    let old = ServerSidecar::start(&pki, Sidecar::new("old", "old-1", "dc1")).unwrap();
    let (_catalog, gateway) = gateway(&lab, mesh().route("db.legacy.example.com", &[old.address()])).await;
    let frontend = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
    let via = Via::Local(gateway.address().unwrap());
    let call = frontend.call_sni("db.legacy.example.com", old.identity(), via).await.unwrap();
    assert_eq!(call.greeting.identity, pki.service_id("frontend", "dc1"));
    assert_eq!(call.greeting.sni.as_deref(), Some("db.legacy.example.com"));
    call.close().await.unwrap();
}

#[tokio::test]
async fn the_exact_name_comes_first_then_the_longest_wildcard() {
    let lab = Lab::new().unwrap();
    let (exact, wide, deep, billing) = (echo(), echo(), echo(), echo());
    let document = mesh()
        .sidecar("billing", "billing-1", billing.address())
        .route("*.example.com", &[wide.address()])
        .route("*.deep.example.com", &[deep.address()])
        .route("a.deep.example.com", &[exact.address()]);
    let (_catalog, gateway) = gateway(&lab, document).await;
    for (name, to, service) in [
        ("a.deep.example.com", &exact, "route:a.deep.example.com"),
        ("A.Deep.EXAMPLE.com", &exact, "route:a.deep.example.com"),
        ("b.deep.example.com", &deep, "route:*.deep.example.com"),
        ("c.b.deep.example.com", &deep, "route:*.deep.example.com"),
        ("x.a.deep.example.com", &deep, "route:*.deep.example.com"),
        ("deep.example.com", &wide, "route:*.example.com"),
        ("www.example.com", &wide, "route:*.example.com"),
        (&internal("billing.default.dc1"), &billing, "billing"),
    ] {
        let record = visit(&gateway, name).await;
        assert_eq!(
            (&record["endpoint"], &record["service"]),
            (&to.address().to_string().into(), &service.into())
        );
        assert_eq!(record["sni"], name.to_ascii_lowercase(), "what was asked for, also of a wildcard");
    }
    for name in ["example.com", "wwwexample.com", "www.example.com.evil.example", "www.example.org"] {
        assert_eq!(turned_away(&gateway, name).await["reason"], "unknown_sni", "{name}");
    }
}

#[tokio::test]
async fn a_route_that_is_a_name_of_the_mesh_does_not_go_live() {
    let lab = Lab::new().unwrap();
    let (billing, thief) = (echo(), echo());
    let name = internal("billing.default.dc1");
    let document = mesh().sidecar("billing", "billing-1", billing.address());
    let (catalog, gateway) = gateway(&lab, document).await;
    catalog.write("theft.toml", gateway_testkit::Document::new().route(&name, &[thief.address()])).unwrap();
    gateway
        .wait_metric(gateway_testkit::Deadline::usual(), "gateway_catalog_rejected", &[], |rejected| {
            rejected == 1.0
        })
        .await
        .unwrap();
    assert_eq!(visit(&gateway, &name).await["endpoint"], billing.address().to_string());
    assert!(thief.seen().is_empty());
}
