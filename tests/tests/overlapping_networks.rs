//! Two datacenters that use the same private addresses. The called service has a twin at its own address on the
//! caller's side, and the other side's gateway has the LAN address of our own: whoever dials a LAN address that belongs
//! to the other side reaches the wrong one here, and the identities show it.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::net::SocketAddr;

use gateway_testkit::{
    ClientSidecar, Deadline, Document, Gateway, Lab, Netns, Pki, ServerSidecar, Sidecar, Site,
    TwoDatacenters, Upstream, Via, may_use_namespaces,
};
use serde_json::Value;

const SERVICE_PORT: u16 = 20_000;
const GATEWAY_PORT: u16 = 8443;

/// One side: its gateway and its `billing`.
struct Side {
    datacenter: &'static str,
    hosts: Netns,
    edge: Netns,
    wan: SocketAddr,
    billing: ServerSidecar,
    gateway: Gateway,
}

impl Side {
    async fn start(lab: &Lab, pki: &Pki, datacenter: &'static str, site: &Site, all: &Document) -> Self {
        let mut sidecar = Sidecar::new("billing", &format!("billing-{datacenter}"), datacenter);
        sidecar.bind = SocketAddr::new(Site::SERVICE, SERVICE_PORT);
        sidecar.place = (&site.hosts).into();
        let billing = ServerSidecar::start(pki, sidecar).unwrap();
        let catalog = lab.catalog(&format!("catalog-{datacenter}")).unwrap();
        let own = Document::new().mesh(datacenter, pki.trust_domain()).sidecar(
            "billing",
            "billing",
            billing.address(),
        );
        catalog.write("own.toml", own).unwrap();
        // As it comes from one repository for both.
        catalog.write("gateways.toml", all).unwrap();
        let gateway = lab.gateway(datacenter).place(&site.edge).catalog(catalog.path());
        let gateway = gateway.address(SocketAddr::from(([0, 0, 0, 0], GATEWAY_PORT))).start().await.unwrap();
        let (hosts, edge, wan) = (site.hosts.clone(), site.edge.clone(), site.wan(GATEWAY_PORT));
        Side { datacenter, hosts, edge, wan, billing, gateway }
    }

    /// Its gateway, as its own hosts know it.
    fn local(&self) -> Via {
        Via::Local(SocketAddr::new(Site::GATEWAY, GATEWAY_PORT))
    }

    /// The record of the one connection that came for `service`.
    async fn record(&self, service: &str) -> Value {
        let what = format!("for {service}");
        self.gateway.wait_record(Deadline::usual(), &what, |r| r["service"] == service).await.unwrap()
    }
}

struct World {
    pki: Pki,
    a: Side,
    b: Side,
    _lab: Lab,
}

impl World {
    async fn build() -> Self {
        let lab = Lab::new().unwrap();
        let pki = Pki::development().unwrap();
        let networks = TwoDatacenters::build().unwrap();
        let lan = SocketAddr::new(Site::GATEWAY, GATEWAY_PORT);
        let gateway_of = |document: Document, datacenter: &str, wan: SocketAddr| {
            let more = format!("Datacenter = \"{datacenter}\"\nWanAddress = \"{wan}\"");
            document.instance("mesh-gateway", "mesh-gateway", lan, &more)
        };
        let all = gateway_of(Document::new(), "dca", networks.a.wan(GATEWAY_PORT));
        let all = gateway_of(all, "dcb", networks.b.wan(GATEWAY_PORT));
        let a = Side::start(&lab, &pki, "dca", &networks.a, &all).await;
        let b = Side::start(&lab, &pki, "dcb", &networks.b, &all).await;
        World { pki, a, b, _lab: lab }
    }

    fn frontend(&self, side: &Side, place: &Netns) -> ClientSidecar {
        ClientSidecar::new(&self.pki, "frontend", side.datacenter).unwrap().place(place)
    }

    /// Calls `billing` of `to` from the hosts of `from`, through both gateways, and looks at everybody's view of it.
    async fn call_across(&self, from: &Side, to: &Side) {
        let frontend = self.frontend(from, &from.hosts);
        let mut call = frontend.call(&Upstream::new("billing", to.datacenter), from.local()).await.unwrap();
        let greeting = call.greeting.clone();
        assert_eq!(greeting.datacenter, to.datacenter, "the far service and not its twin");
        assert_eq!(greeting.instance, format!("billing-{}", to.datacenter));
        assert_eq!(call.identity, self.pki.service_id("billing", to.datacenter), "proved by its certificate");
        assert_eq!(call.certificate, *to.billing.certificate());
        assert_eq!(
            greeting.identity,
            self.pki.service_id("frontend", from.datacenter),
            "the caller's own, end to end"
        );
        assert_eq!(greeting.peer.ip(), Site::GATEWAY, "it comes from the gateway of its own side");
        assert_eq!(greeting.address, SocketAddr::new(Site::SERVICE, SERVICE_PORT));
        call.echo(&vec![9; 300_000]).await.unwrap();
        let client = call.local;
        call.close().await.unwrap();

        let first = from.record(&format!("dc:{}", to.datacenter)).await;
        assert_eq!((&first["rule"], &first["reason"]), (&"remote_datacenter".into(), &"closed".into()));
        assert_eq!(first["peer"], client.to_string());
        assert_eq!(first["endpoint"], to.wan.to_string(), "the address for the outside");
        let second = to.record("billing").await;
        assert_eq!((&second["rule"], &second["reason"]), (&"service".into(), &"closed".into()));
        assert_eq!(second["endpoint"], to.billing.address().to_string());
        let peer: SocketAddr = second["peer"].as_str().unwrap().parse().unwrap();
        assert_eq!(peer.ip(), from.wan.ip(), "it comes from the other gateway");
        assert_eq!(second["sni"], first["sni"]);
        for key in ["bytes_up", "bytes_down"] {
            assert_eq!(first[key], second[key], "both gateways carry the same bytes");
        }
    }
}

#[tokio::test]
async fn a_call_reaches_the_far_service_and_not_its_twin_at_the_same_address() {
    if !may_use_namespaces() {
        return;
    }
    let world = World::build().await;
    world.call_across(&world.a, &world.b).await;
    assert_eq!((world.a.billing.accepted(), world.b.billing.served()), (0, 1));
    world.call_across(&world.b, &world.a).await;
    assert_eq!((world.a.billing.served(), world.b.billing.served()), (1, 1));

    // The twin at home is reached by its own name.
    let frontend = world.frontend(&world.a, &world.a.hosts);
    let call = frontend.call(&Upstream::new("billing", "dca"), world.a.local()).await.unwrap();
    assert_eq!(call.greeting.instance, "billing-dca");
    call.close().await.unwrap();
}

#[tokio::test]
async fn mode_remote_goes_straight_to_the_far_gateway() {
    if !may_use_namespaces() {
        return;
    }
    let world = World::build().await;
    let upstream = Upstream::new("billing", "dcb");
    // Only an edge has a way out of its side.
    let stuck = world.frontend(&world.a, &world.a.hosts).call(&upstream, Via::Remote(world.b.wan)).await;
    assert!(stuck.is_err());
    let frontend = world.frontend(&world.a, &world.a.edge);
    let mut call = frontend.call(&upstream, Via::Remote(world.b.wan)).await.unwrap();
    assert_eq!(
        (call.greeting.datacenter.as_str(), &call.identity),
        ("dcb", &world.pki.service_id("billing", "dcb"))
    );
    call.echo(b"straight").await.unwrap();
    call.close().await.unwrap();
    assert_eq!(world.b.record("billing").await["reason"], "closed");
    assert_eq!((world.a.billing.accepted(), world.a.gateway.records().count()), (0, 0));
}

#[tokio::test]
async fn a_name_that_the_far_side_does_not_know_ends_there() {
    if !may_use_namespaces() {
        return;
    }
    let world = World::build().await;
    let frontend = world.frontend(&world.a, &world.a.hosts);
    assert!(frontend.call(&Upstream::new("nobody", "dcb"), world.a.local()).await.is_err());
    let far = world
        .b
        .gateway
        .wait_record(Deadline::usual(), "of the refusal", |r| r["reason"] == "unknown_sni")
        .await;
    assert_eq!(far.unwrap()["bytes_down"], 0);
    // A name of this side is never sent to the other one.
    assert!(frontend.call(&Upstream::new("nobody", "dca"), world.a.local()).await.is_err());
    let near = world
        .a
        .gateway
        .wait_record(Deadline::usual(), "of the refusal", |r| r["reason"] == "unknown_sni")
        .await;
    assert!(near.unwrap()["sni"].as_str().unwrap().starts_with("nobody.default.dca."));
    assert_eq!(world.b.gateway.records().count(), 1);
    assert_eq!((world.a.billing.accepted(), world.b.billing.accepted()), (0, 0));
}
