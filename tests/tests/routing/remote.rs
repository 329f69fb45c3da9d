//! Services of other datacenters: through their gateways' WAN addresses.

use gateway_testkit::{
    Backend, ClientSidecar, Deadline, Document, Gateway, Lab, Pki, Place, ServerSidecar, Sidecar, Upstream,
    Via,
};
use serde_json::Value;

use crate::{echo, gateway, internal, mesh, turned_away, visit};

/// Two datacenters with a gateway each; the service is in dc2, and dc1 knows the gateway of dc2 only.
struct World {
    pki: Pki,
    billing: ServerSidecar,
    near: Gateway,
    far: Gateway,
    _lan: Backend,
}

async fn world(lab: &Lab) -> World {
    let pki = Pki::development().unwrap();
    let billing = ServerSidecar::start(&pki, Sidecar::new("billing", "billing-1", "dc2")).unwrap();
    let catalog = lab.catalog("catalog2").unwrap();
    let document =
        Document::new().mesh("dc2", pki.trust_domain()).sidecar("billing", "billing-1", billing.address());
    catalog.write("mesh.toml", document).unwrap();
    let far = lab.gateway("dc2").catalog(catalog.path()).start().await.unwrap();
    // Whoever dialled the address of the other LAN would be refused.
    let lan = Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
    let wan = format!("Datacenter = \"dc2\"\nWanAddress = \"{}\"", far.address().unwrap());
    let document = mesh().instance("mesh-gateway", "mesh-gateway", lan.address(), &wan);
    let (_catalog, near) = gateway(lab, document).await;
    World { pki, billing, near, far, _lan: lan }
}

impl World {
    async fn call(&self, via: Via) {
        let frontend = ClientSidecar::new(&self.pki, "frontend", "dc1").unwrap();
        let mut call = frontend.call(&Upstream::new("billing", "dc2"), via).await.unwrap();
        assert_eq!(
            call.greeting.identity,
            self.pki.service_id("frontend", "dc1"),
            "{via}: whom the server saw"
        );
        assert_eq!(call.identity, self.pki.service_id("billing", "dc2"), "{via}: whom the client saw");
        assert_eq!(&call.certificate, self.billing.certificate(), "{via}");
        call.echo(b"over the border").await.unwrap();
        call.close().await.unwrap();
    }

    async fn record(gateway: &Gateway) -> Value {
        gateway
            .wait_record(Deadline::usual(), "of the call", |record| record["reason"] == "closed")
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn mode_local_goes_through_both_gateways() {
    let lab = Lab::new().unwrap();
    let world = world(&lab).await;
    world.call(Via::Local(world.near.address().unwrap())).await;
    let (near, far) = (World::record(&world.near).await, World::record(&world.far).await);
    assert_eq!((&near["rule"], &near["service"]), (&"remote_datacenter".into(), &"dc:dc2".into()), "{near}");
    assert_eq!(near["endpoint"], world.far.address().unwrap().to_string(), "the WAN address: {near}");
    assert_eq!((&far["rule"], &far["service"]), (&"service".into(), &"billing".into()), "{far}");
    assert_eq!(far["endpoint"], world.billing.address().to_string(), "{far}");
    assert_eq!((&near["sni"], &near["bytes_up"]), (&far["sni"], &far["bytes_up"]), "the same all the way");
}

#[tokio::test]
async fn mode_remote_goes_through_the_gateway_of_the_service_alone() {
    let lab = Lab::new().unwrap();
    let world = world(&lab).await;
    world.call(Via::Remote(world.far.address().unwrap())).await;
    assert_eq!(World::record(&world.far).await["rule"], "service");
    assert_eq!(world.near.records().count(), 0);
}

#[tokio::test]
async fn a_gateway_vouches_for_nobody() {
    let lab = Lab::new().unwrap();
    let world = world(&lab).await;
    let stranger =
        ClientSidecar::new(&Pki::development().unwrap(), "frontend", "dc1").unwrap().trusting(&world.pki);
    let via = Via::Local(world.near.address().unwrap());
    assert!(stranger.call(&Upstream::new("billing", "dc2"), via).await.is_err());
    assert_eq!(
        (world.billing.accepted(), world.billing.served()),
        (1, 0),
        "its way was open, its leaf is not trusted"
    );
}

#[tokio::test]
async fn every_name_of_another_datacenter_goes_to_its_gateways_but_not_the_bare_one() {
    let lab = Lab::new().unwrap();
    let (far, plain) = (echo(), echo());
    let document = mesh().mesh_gateway("dc2", far.address()).instance(
        "mesh-gateway",
        "mesh-gateway",
        plain.address(),
        "Datacenter = \"dc3\"",
    );
    let (_catalog, gateway) = gateway(&lab, document).await;
    for front in ["x.y.z.dc2", "a.b.c.d.e.dc2", "v2.billing.default.dc2", "x.dc2"] {
        let record = visit(&gateway, &internal(front)).await;
        assert_eq!(record["endpoint"], far.address().to_string(), "{record}");
        assert_eq!(record["rule"], "remote_datacenter", "{record}");
    }
    let record = visit(&gateway, &internal("billing.default.dc3")).await;
    assert_eq!(record["endpoint"], plain.address().to_string(), "without a WAN address its own: {record}");
    assert_eq!(turned_away(&gateway, &internal("dc2")).await["reason"], "unknown_sni");
}
