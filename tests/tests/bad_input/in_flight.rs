//! A catalog that goes bad while connections are carried.

use std::path::Path;

use gateway_testkit::{
    CatalogDir, ClientSidecar, Deadline, Document, Gateway, Lab, Pki, ServerSidecar, Sidecar, Upstream, Via,
    wait_for,
};

struct World {
    pki: Pki,
    catalog: CatalogDir,
    gateway: Gateway,
    frontend: ClientSidecar,
    billing: ServerSidecar,
    _lab: Lab,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::new().unwrap();
        let pki = Pki::development().unwrap();
        let billing = ServerSidecar::start(&pki, Sidecar::new("billing", "billing-1", "dc1")).unwrap();
        let catalog = lab.catalog("catalog").unwrap();
        catalog.write("mesh.toml", Document::new().mesh("dc1", pki.trust_domain())).unwrap();
        catalog.write("billing.toml", good(&billing)).unwrap();
        let gateway = lab.gateway("gateway").catalog(catalog.path()).start().await.unwrap();
        let frontend = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
        World { pki, catalog, gateway, frontend, billing, _lab: lab }
    }

    async fn call(&self, service: &str) -> anyhow::Result<gateway_testkit::Call> {
        let via = Via::Local(self.gateway.address().unwrap());
        let upstream = Upstream::new(service, "dc1");
        let call = self.frontend.call(&upstream, via);
        tokio::time::timeout(Deadline::usual().remaining(), call).await?
    }

    async fn until_rejected(&self, count: f64) {
        let rejected =
            self.gateway.wait_metric(Deadline::usual(), "gateway_catalog_rejected", &[], |v| v == count);
        rejected.await.unwrap();
    }
}

fn good(billing: &ServerSidecar) -> Document {
    Document::new().sidecar("billing", "billing-1", billing.address())
}

#[tokio::test]
async fn the_last_good_state_stays_and_one_message_says_why() {
    let world = World::start().await;
    let mut open = world.call("billing").await.unwrap();
    let right = good(&world.billing).as_str().to_owned();
    let cases = [
        (right.replace("Address", "Adress"), "Instance[0].", "did you mean Address?"),
        (right.replace("Port = ", "Port = \"http\" # "), ":5: Instance[0].Port: ", "expected a whole number"),
        (
            right.replace("connect-proxy", "conect-proxy"),
            ":3: Instance[0].Kind: ",
            "did you mean connect-proxy?",
        ),
        (right.replace("[[Instance]]", "[[Instnace]]"), ": Instnace: ", "did you mean Instance?"),
        ("[[Instance\n".to_owned(), ":1", ""),
        (format!("{right}[[Instance]]\n"), ": Instance[1]", "Service"),
    ];
    for (round, (text, place, way_out)) in cases.into_iter().enumerate() {
        let seen = world.gateway.log().count();
        world.catalog.write("billing.toml", &text).unwrap();
        // Something else changes at the same time, and goes live.
        let service = format!("other-{round}");
        let other = ServerSidecar::start(&world.pki, Sidecar::new(&service, &service, "dc1")).unwrap();
        world
            .catalog
            .write("other.toml", Document::new().sidecar(&service, &service, other.address()))
            .unwrap();
        let found =
            wait_for(Deadline::usual(), "the other service", async || world.call(&service).await.ok());
        found.await.unwrap().close().await.unwrap();

        let log = world.gateway.log();
        let what = format!("the problem of {text:?}");
        let problem = log.wait(seen, Deadline::usual(), &what, |line| line["message"] == "catalog problem");
        let problem = problem.await.unwrap();
        let line = problem["problem"].as_str().unwrap();
        let file = world.catalog.file("billing.toml");
        assert!(line.starts_with(file.to_str().unwrap()) && line.contains(place), "{text:?} gave {line}");
        assert!(line.contains(way_out), "{text:?} gave {line}, without {way_out:?}");

        let call = world.call("billing").await.unwrap();
        assert_eq!(call.greeting.instance, "billing-1", "{text:?}");
        call.close().await.unwrap();
        open.echo(b"not disturbed").await.unwrap();
        assert!(world.gateway.admin().unwrap().is_ready().await.unwrap());

        world.catalog.write("billing.toml", &right).unwrap();
        world.until_rejected(0.0).await;
    }
    open.close().await.unwrap();
    let refused = world.gateway.records().all().into_iter().filter(|record| record["reason"] != "closed");
    // Calls for a service that the gateway did not know yet.
    assert!(refused.into_iter().all(|record| record["sni"].as_str().unwrap().starts_with("other-")));
}

#[tokio::test]
async fn what_cannot_be_read_any_more_stays_and_is_named() {
    let world = World::start().await;
    let mut open = world.call("billing").await.unwrap();
    // Nobody can read it, not even root.
    world.catalog.link("billing.toml", Path::new("billing.toml")).unwrap();
    world.until_rejected(1.0).await;
    let said: Vec<_> =
        world.gateway.log().all().into_iter().filter(|line| line["message"] == "catalog problem").collect();
    assert_eq!(said.len(), 1, "{said:#?}");
    let line = said[0]["problem"].as_str().unwrap();
    assert!(line.starts_with(world.catalog.file("billing.toml").to_str().unwrap()), "{line}");
    assert!(line.contains("symbolic links"), "{line}");
    world.call("billing").await.unwrap().close().await.unwrap();
    open.echo(b"not disturbed").await.unwrap();
    world.catalog.write("billing.toml", good(&world.billing)).unwrap();
    world.until_rejected(0.0).await;
    open.close().await.unwrap();
}
