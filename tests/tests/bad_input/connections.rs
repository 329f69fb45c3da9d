//! Connections that lead nowhere: the client is closed without a byte, one record says who, what and why, and others go
//! on.

use std::net::SocketAddr;
use std::path::Path;

use gateway_testkit::{
    Backend, Call, CatalogDir, ClientSidecar, Deadline, Document, Gateway, Hello, Lab, Pki, Place,
    ServerSidecar, Sidecar, Upstream, Via, eventually,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A gateway with a service that works, and whatever else its catalog has.
struct World {
    pki: Pki,
    catalog: CatalogDir,
    gateway: Gateway,
    frontend: ClientSidecar,
    _billing: ServerSidecar,
    _lab: Lab,
}

impl World {
    async fn start(more: Document) -> Self {
        let lab = Lab::new().unwrap();
        let pki = Pki::development().unwrap();
        let billing = ServerSidecar::start(&pki, Sidecar::new("billing", "billing-1", "dc1")).unwrap();
        let catalog = lab.catalog("catalog").unwrap();
        let mesh = Document::new().mesh("dc1", pki.trust_domain());
        catalog.write("mesh.toml", mesh.sidecar("billing", "billing-1", billing.address())).unwrap();
        catalog.write("more.toml", more).unwrap();
        let gateway = lab.gateway("gateway").catalog(catalog.path()).setting("TIMERS_CONNECT", "600ms");
        let gateway = gateway.start().await.unwrap();
        let frontend = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
        World { pki, catalog, gateway, frontend, _billing: billing, _lab: lab }
    }

    fn via(&self) -> Via {
        Via::Local(self.gateway.address().unwrap())
    }

    async fn call(&self, service: &str) -> anyhow::Result<Call> {
        let upstream = Upstream::new(service, "dc1");
        let call = self.frontend.call(&upstream, self.via());
        tokio::time::timeout(Deadline::usual().remaining(), call).await?
    }

    fn name(&self, service: &str) -> String {
        Upstream::new(service, "dc1").sni(self.pki.trust_domain())
    }

    /// Sends a hello, which must end without a byte of an answer and with exactly one record, and gives that. Somebody
    /// else's connection is open all the time.
    async fn refused(&self, hello: Hello) -> Value {
        let mut bystander = self.call("billing").await.unwrap();
        let mut stream = Place::Here.connect(self.gateway.address().unwrap()).await.unwrap();
        let peer = stream.local_addr().unwrap().to_string();
        stream.write_all(&hello.bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        let end =
            tokio::time::timeout(std::time::Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "the connection stays open");
        assert_eq!(answer, b"", "nothing is sent to a client that is refused");
        let ours = |record: &Value| record["peer"] == peer;
        let record = self.gateway.wait_record(Deadline::usual(), "of the refusal", ours).await.unwrap();
        bystander.echo(b"not disturbed").await.unwrap();
        bystander.close().await.unwrap();
        assert_eq!(self.gateway.records().all().iter().filter(|record| ours(record)).count(), 1);
        assert_eq!((&record["listener"], &record["bytes_down"]), (&"default".into(), &0.into()));
        let reason = record["reason"].as_str().unwrap();
        let counted = [("reason", reason)];
        let counted =
            self.gateway.wait_metric(Deadline::usual(), "gateway_connections_total", &counted, |v| v >= 1.0);
        counted.await.unwrap();
        assert!(way_out(reason).len() > 10, "the list of reasons tells no way out of {reason}");
        record
    }
}

/// What docs/reasons.md says is to be done.
fn way_out(reason: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reasons.md");
    let text = std::fs::read_to_string(path).unwrap();
    let row = text.lines().find(|line| line.starts_with(&format!("| `{reason}` |")));
    row.and_then(|row| row.split('|').nth(3)).unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn a_name_that_nobody_has_is_refused() {
    let world = World::start(Document::new()).await;
    let trust_domain = world.pki.trust_domain().to_owned();
    for name in [
        world.name("nobody"),
        world.name("billing.v9"),
        "www.example.com".to_owned(),
        format!("billing.default.dc9.internal.{trust_domain}"),
        "billing.default.dc1.internal.99999999-2222-3333-4444-555555555555.consul".to_owned(),
    ] {
        let record = world.refused(Hello::new(&name)).await;
        assert_eq!((&record["reason"], &record["sni"]), (&"unknown_sni".into(), &name.as_str().into()));
        assert_eq!((&record["service"], &record["endpoint"]), (&Value::Null, &Value::Null));
    }
}

#[tokio::test]
async fn a_hello_without_a_name_is_refused() {
    let world = World::start(Document::new()).await;
    let record = world.refused(Hello::nameless().alpn(&["h2"])).await;
    assert_eq!(
        (&record["reason"], &record["sni"], &record["alpn"]),
        (&"no_sni".into(), &Value::Null, &"h2".into())
    );
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_named() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let gone = Backend::refusing(&Place::Here, any).unwrap();
    let silent = Backend::black_hole(&Place::Here, any).await.unwrap();
    let empty = "[[Entry]]\nKind = \"service-resolver\"\nName = \"gone\"\nSubsets.v2.Filter = 'Service.Meta.version == \"v2\"'\n";
    let more = Document::new()
        .sidecar("gone", "gone-1", gone.address())
        .sidecar("silent", "silent-1", silent.address())
        .text(empty);
    let world = World::start(more).await;

    let record = world.refused(Hello::new(&world.name("gone"))).await;
    assert_eq!((&record["reason"], &record["service"]), (&"connect_refused".into(), &"gone".into()));
    assert_eq!(record["endpoint"], gone.address().to_string());
    assert!(record["detail"].as_str().unwrap().contains("refused"), "{record}");

    let record = world.refused(Hello::new(&world.name("silent"))).await;
    assert_eq!((&record["reason"], &record["service"]), (&"connect_timeout".into(), &"silent".into()));
    assert_eq!(record["endpoint"], silent.address().to_string());
    assert!(record["duration_ms"].as_f64() >= Some(600.0), "{record}");

    let record = world.refused(Hello::new(&format!("v2.{}", world.name("gone")))).await;
    assert_eq!((&record["reason"], &record["service"]), (&"no_endpoint".into(), &"gone".into()));
    assert_eq!(record["endpoint"], Value::Null);
}

#[tokio::test]
async fn one_endpoint_of_two_that_is_gone_costs_nobody_anything() {
    let gone = Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
    let world = World::start(Document::new()).await;
    let sidecar = Sidecar::new("search", "search-2", "dc1");
    let search = ServerSidecar::start(&world.pki, sidecar).unwrap();
    let both = Document::new().sidecar("search", "search-1", gone.address());
    world.catalog.write("more.toml", both.sidecar("search", "search-2", search.address())).unwrap();
    eventually(Deadline::usual(), "the service", async || world.call("search").await.is_ok()).await;
    for _ in 0..10 {
        let call = world.call("search").await.unwrap();
        assert_eq!(call.greeting.instance, "search-2");
        call.close().await.unwrap();
    }
    let twice =
        world.gateway.wait_record(Deadline::usual(), "of a second attempt", |record| record["attempts"] == 2);
    let record = twice.await.unwrap();
    assert_eq!(
        (&record["reason"], &record["endpoint"]),
        (&"closed".into(), &search.address().to_string().into())
    );
}

/// The instance goes while it is called, and comes back where it was.
#[tokio::test]
async fn an_endpoint_that_goes_and_comes_back_is_used_again() {
    let world = World::start(Document::new()).await;
    let mut sidecar = Sidecar::new("search", "search-1", "dc1");
    let search = ServerSidecar::start(&world.pki, sidecar.clone()).unwrap();
    sidecar.bind = search.address();
    world
        .catalog
        .write("more.toml", Document::new().sidecar("search", "search-1", search.address()))
        .unwrap();
    eventually(Deadline::usual(), "the service", async || world.call("search").await.is_ok()).await;
    let mut bystander = world.call("billing").await.unwrap();
    let mut cut = world.call("search").await.unwrap();
    let peer = cut.local.to_string();
    drop(search);
    assert_eq!(cut.ended().await, b"");
    drop(cut);
    let record =
        world.gateway.wait_record(Deadline::usual(), "of the cut call", |record| record["peer"] == peer);
    let reason = record.await.unwrap()["reason"].clone();
    assert!(["closed", "upstream_reset"].contains(&reason.as_str().unwrap()), "{reason}");

    let record = world.refused(Hello::new(&world.name("search"))).await;
    assert_eq!(record["reason"], "connect_refused");
    bystander.echo(b"not disturbed").await.unwrap();

    let _again = ServerSidecar::start(&world.pki, sidecar).unwrap();
    world.call("search").await.unwrap().close().await.unwrap();
    bystander.close().await.unwrap();
}
