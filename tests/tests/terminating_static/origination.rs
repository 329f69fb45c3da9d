//! TLS towards services outside the mesh: rows 34 to 41. Nothing is ever sent in clear that should not be.

use std::path::PathBuf;

use gateway_testkit::{
    Backend, Document, Leaf, LeafSpec, Nginx, NoHandshake, Pki, TlsSeen, TlsService, Tool, have, wait_for,
};
use serde_json::Value;

use crate::world::{Plan, World, external, soon};

/// A gateway between `web` and a service with TLS that is called `secure`.
struct Tls {
    plan: Plan,
    ca: Pki,
    /// In clear.
    billing: Backend,
}

impl Tls {
    fn new() -> Self {
        let (plan, billing) = Plan::billing();
        let ca = Pki::new("ext.example").unwrap();
        let tls = Tls { plan, ca, billing };
        tls.ca.write_root(&tls.ca_file()).unwrap();
        tls.plan.leaf("secure");
        tls.plan.allow("web", "secure");
        tls
    }

    fn ca_file(&self) -> PathBuf {
        self.plan.lab.dir().join("certs/ext-ca.pem")
    }

    fn server(&self, spec: LeafSpec) -> Leaf {
        self.ca.issue(&spec.server_only()).unwrap()
    }

    fn instances(&self, address: std::net::SocketAddr) {
        self.plan.catalog.write("secure.toml", Document::new().external("secure", address, "")).unwrap();
    }

    /// Links the service with the CA and these further keys.
    fn link(&mut self, more: &str) {
        let ca = self.ca_file();
        self.plan.link("secure", &format!("CAFile = {ca:?}{more}"));
    }
}

/// One call of `web` to `secure`; what the server saw, or the record of the refusal.
async fn call(world: &World) -> Result<TlsSeen, Value> {
    let mut connection = match world.connect(&world.caller("web"), "secure").await {
        Ok(connection) => connection,
        // Its name may not be known yet.
        Err(error) => return Err(world.record_of(error.downcast_ref::<NoHandshake>().unwrap().local).await),
    };
    if let Ok(line) = connection.line().await {
        connection.echo(&vec![9; 100_000]).await.unwrap();
        assert_eq!(connection.close().await.unwrap(), b"");
        return Ok(serde_json::from_str(&line).unwrap());
    }
    Err(world.record_of(connection.local).await)
}

/// What becomes of a call to a server with this certificate, by a link with these keys.
async fn outcome(spec: LeafSpec, more: &str) -> (Result<TlsSeen, Value>, Vec<TlsSeen>) {
    let mut tls = Tls::new();
    let server = TlsService::start("secure-1", &tls.server(spec), None).unwrap();
    tls.instances(server.address());
    tls.link(more);
    let world = tls.plan.start().await;
    (call(&world).await, server.seen())
}

fn named(name: &str) -> LeafSpec {
    LeafSpec::new().name(name)
}

/// Row 34.
#[tokio::test]
async fn the_server_is_spoken_to_with_tls_and_the_name_of_the_link() {
    let (seen, _) = outcome(named("secure.ext.example"), ", SNI = \"secure.ext.example\"").await;
    let seen = seen.unwrap();
    assert_eq!((seen.sni.as_deref(), seen.alpn, seen.client), (Some("secure.ext.example"), None, None));
    assert_eq!(seen.version, "TLSv1_3");
}

/// Rows 35 and 36.
#[tokio::test]
async fn a_wildcard_stands_for_one_label() {
    let (seen, _) = outcome(named("*.wild.example"), ", SNI = \"a.wild.example\"").await;
    assert_eq!(seen.unwrap().sni.as_deref(), Some("a.wild.example"));
    let (refused, seen) = outcome(named("*.wild.example"), ", SNI = \"b.a.wild.example\"").await;
    let record = refused.unwrap_err();
    assert_eq!(
        (&record["reason"], &record["verdict"]),
        (&"upstream_tls".into(), &"allow".into()),
        "{record}"
    );
    assert!(seen.iter().all(|seen| seen.failed.is_some()), "{seen:?}");
    let detail = record["detail"].as_str().unwrap();
    assert!(detail.contains("b.a.wild.example") && detail.contains("*.wild.example"), "both names: {detail}");
}

/// Row 37.
#[tokio::test]
async fn without_a_name_none_is_sent_and_any_certificate_of_the_ca_will_do() {
    let (seen, _) = outcome(named("something.else.example"), "").await;
    assert_eq!(seen.unwrap().sni, None);
}

/// A name that is an address is no name to be sent, and is looked for among addresses.
#[tokio::test]
async fn an_address_as_a_name_is_checked_and_not_sent() {
    let address = "127.0.0.1".parse().unwrap();
    let (seen, _) = outcome(LeafSpec::new().address(address), ", SNI = \"127.0.0.1\"").await;
    assert_eq!(seen.unwrap().sni, None);
    let (refused, _) = outcome(named("127.0.0.1.example"), ", SNI = \"127.0.0.1\"").await;
    assert_eq!(refused.unwrap_err()["reason"], "upstream_tls");
}

/// The common name is never looked at.
#[tokio::test]
async fn a_common_name_is_no_name() {
    let spec = named("other.example").common_name("secure.ext.example");
    let (refused, _) = outcome(spec, ", SNI = \"secure.ext.example\"").await;
    assert_eq!(refused.unwrap_err()["reason"], "upstream_tls");
}

/// Row 38, and a certificate that has expired.
#[tokio::test]
async fn a_certificate_of_another_ca_or_an_expired_one_is_refused() {
    let mut tls = Tls::new();
    let stranger = Pki::new("ext.example").unwrap();
    let name = ", SNI = \"secure.ext.example\"";
    let foreign = stranger.issue(&named("secure.ext.example").server_only()).unwrap();
    let server = TlsService::start("secure-1", &foreign, None).unwrap();
    tls.instances(server.address());
    tls.link(name);
    let world = tls.plan.start().await;
    let record = call(&world).await.unwrap_err();
    assert_eq!(record["reason"], "upstream_tls", "{record}");
    assert_eq!(record["endpoint"], server.address().to_string());
    assert!(server.seen().iter().all(|seen| seen.failed.is_some()), "no byte of the caller was sent");
    let failures = world.metric("gateway_upstream_tls_failures_total", &[]).await;
    assert!(failures >= 1.0, "{failures}");
    assert_eq!(world.who("web", "billing").await, "billing-1");

    let (refused, seen) = outcome(named("secure.ext.example").valid(-7200, -3600), name).await;
    assert_eq!(refused.unwrap_err()["reason"], "upstream_tls");
    assert!(seen.iter().all(|seen| seen.failed.is_some()), "{seen:?}");
}

/// A server that does not speak TLS gets a hello and nothing of the caller's.
#[tokio::test]
async fn a_server_in_clear_gets_nothing_of_the_caller() {
    let mut tls = Tls::new();
    let plain = external("plain-1");
    tls.instances(plain.address());
    tls.link("");
    let world = tls.plan.start().await;
    let mut connection = world.connect(&world.caller("web"), "secure").await.unwrap();
    let _ = connection.send(b"a secret in clear").await;
    let (bytes, _) = connection.ended().await.unwrap();
    assert_eq!(bytes, b"", "not even what the server said in clear");
    assert_eq!(world.record_of(connection.local).await["reason"], "upstream_tls");
    for seen in plain.seen() {
        assert!(!String::from_utf8_lossy(&seen.received).contains("secret"));
        assert!(seen.received.is_empty() || seen.received[0] == 22, "a hello: {:?}", &seen.received);
    }
}

/// Row 39, and the way out of it: a client certificate, which is read again when its file changes.
#[tokio::test]
async fn a_server_that_demands_a_client_certificate_gets_the_one_of_the_link() {
    let mut tls = Tls::new();
    let server = tls.server(named("secure.ext.example"));
    let server = TlsService::start("secure-1", &server, Some(&tls.ca)).unwrap();
    tls.instances(server.address());
    let certs = tls.plan.lab.dir().join("certs");
    let client = |name: &str| tls.ca.issue(&LeafSpec::new().common_name(name)).unwrap();
    let files = client("gateway-1").write(&certs, "client").unwrap();
    let second = client("gateway-2");
    tls.link(", SNI = \"secure.ext.example\"");
    let mut world = tls.plan.start().await;
    // Without one. With TLS 1.3 the server says so only after the gateway thinks it is connected.
    let record = call(&world).await.unwrap_err();
    assert_ne!(record["reason"], "closed", "{record}");
    assert!(server.seen().iter().all(|seen| seen.failed.is_some()), "{:?}", server.seen());

    world.unlink("secure");
    let ca = world.certs().join("ext-ca.pem");
    let more = format!(
        "CAFile = {ca:?}, CertFile = {:?}, KeyFile = {:?}, SNI = \"secure.ext.example\"",
        files.cert, files.key
    );
    world.link("secure", &more);
    let seen = wait_for(soon(), "the client certificate", async || call(&world).await.ok()).await.unwrap();
    assert_eq!(seen.client.as_deref(), Some("gateway-1"));
    second.write(&certs, "client").unwrap();
    let renewed = async || call(&world).await.ok().filter(|seen| seen.client.as_deref() == Some("gateway-2"));
    wait_for(soon(), "the next client certificate, without a restart", renewed).await.unwrap();
    // A pair that does not match: the last good one stays, and it is said.
    std::fs::write(&files.key, world.pki.leaf("spiffe://x.consul/ns/default/dc/dc1/svc/x").unwrap().key_pem)
        .unwrap();
    let rejected = world.until_rejected().await["rejected"].to_string();
    assert!(rejected.contains("secure"), "{rejected}");
    assert_eq!(call(&world).await.unwrap().client.as_deref(), Some("gateway-2"));
    assert_eq!(world.who("web", "billing").await, "billing-1");
}

/// The CA of the service changes: its server first, then the file.
#[tokio::test]
async fn the_ca_is_read_again_when_its_file_changes() {
    let mut tls = Tls::new();
    let next = Pki::new("ext.example").unwrap();
    let certificate = next.issue(&named("secure.ext.example").server_only()).unwrap();
    let server = TlsService::start("secure-1", &certificate, None).unwrap();
    tls.instances(server.address());
    tls.link(", SNI = \"secure.ext.example\"");
    let ca_file = tls.ca_file();
    let world = tls.plan.start().await;
    assert_eq!(call(&world).await.unwrap_err()["reason"], "upstream_tls");
    next.write_root(&ca_file).unwrap();
    wait_for(soon(), "the new CA", async || call(&world).await.ok()).await.unwrap();
    // Rubbish, then nothing at all: what was good stays, and is spoken with.
    std::fs::write(&ca_file, "rubbish").unwrap();
    world.until_rejected().await;
    assert_eq!(call(&world).await.unwrap().sni.as_deref(), Some("secure.ext.example"));
    std::fs::remove_file(&ca_file).unwrap();
    let gone = |page: &Value| page["rejected"].to_string().contains("cannot be read");
    world.until_page("/snapshot", "the file to be gone", gone).await;
    assert_eq!(call(&world).await.unwrap().sni.as_deref(), Some("secure.ext.example"));
    next.write_root(&ca_file).unwrap();
    world.until_nothing_is_rejected().await;
}

/// Row 40: a link whose CAFile is not there is never taken for one without TLS.
#[tokio::test]
async fn a_link_without_its_ca_file_is_refused_alone_and_never_in_clear() {
    let tls = Tls::new();
    let certificate = tls.server(named("secure.ext.example"));
    let server = TlsService::start("secure-1", &certificate, None).unwrap();
    let plain = external("plain-1");
    tls.instances(plain.address());
    let ca_file = tls.ca_file();
    std::fs::remove_file(&ca_file).unwrap();
    let Tls { plan, ca, billing: _billing } = tls;
    let mut world = plan.start().await;
    world.link("secure", &format!("CAFile = {ca_file:?}"));
    let rejected = world.until_rejected().await["rejected"].to_string();
    assert!(rejected.contains("ext-ca.pem"), "{rejected}");
    for _ in 0..3 {
        let record = call(&world).await.unwrap_err();
        let reason = record["reason"].as_str().unwrap();
        assert!(["upstream_tls", "service_not_ready"].contains(&reason), "{record}");
        assert_eq!(world.who("web", "billing").await, "billing-1");
    }
    assert_eq!(plain.seen().len(), 0, "nothing in clear, not even a connection");
    let loud = |line: &Value| {
        line["message"].as_str().is_some_and(|it| it.contains("ext-ca.pem"))
            || line.to_string().contains("ext-ca.pem")
    };
    world.gateway.wait_log(soon(), "about the file", loud).await.unwrap();
    // The file appears, and so does the server that speaks TLS.
    world.catalog.write("secure.toml", Document::new().external("secure", server.address(), "")).unwrap();
    ca.write_root(&ca_file).unwrap();
    wait_for(soon(), "the service", async || call(&world).await.ok()).await.unwrap();
    world.until_nothing_is_rejected().await;
}

/// The links of an entry differ: one in clear, one with TLS, from and to nobody else.
#[tokio::test]
async fn a_link_in_clear_stays_in_clear_beside_one_with_tls() {
    let mut tls = Tls::new();
    let server = TlsService::start("secure-1", &tls.server(named("a.example")), None).unwrap();
    tls.instances(server.address());
    tls.link(", SNI = \"a.example\"");
    let world = tls.plan.start().await;
    assert_eq!(world.who("web", "billing").await, "billing-1");
    assert_eq!(call(&world).await.unwrap().service, "secure-1");
}

/// Row 41.
#[tokio::test]
async fn a_client_certificate_without_its_key_is_a_mistake() {
    for more in [", CertFile = \"client.pem\"", ", KeyFile = \"client-key.pem\""] {
        let mut tls = Tls::new();
        tls.link(more);
        let log = tls.plan.refused().await;
        let text =
            "Service \\\"secure\\\" must have a CertFile, CAFile, and KeyFile specified for TLS origination";
        assert!(log.contains(text) || log.contains(&text.replace('\\', "")), "{log}");
    }
}

/// A server that is not ours, and that demands a client certificate.
#[tokio::test]
async fn nginx_with_a_client_certificate() {
    if !have(&[Tool::Nginx]) {
        return;
    }
    let mut tls = Tls::new();
    let certs = tls.plan.lab.dir().join("certs");
    let server = tls.server(named("secure.ext.example")).write(&certs, "nginx").unwrap();
    let client =
        tls.ca.issue(&LeafSpec::new().common_name("gateway-1")).unwrap().write(&certs, "client").unwrap();
    let nginx = Nginx::start(&tls.plan.lab.dir().join("nginx"), &server, Some(&tls.ca_file())).await.unwrap();
    tls.instances(nginx.address());
    let (cert, key) = (client.cert, client.key);
    tls.link(&format!(", CertFile = {cert:?}, KeyFile = {key:?}, SNI = \"secure.ext.example\""));
    let world = tls.plan.start().await;
    let mut connection = world.connect(&world.caller("web"), "secure").await.unwrap();
    connection.send(b"GET / HTTP/1.0\r\nHost: secure.ext.example\r\n\r\n").await.unwrap();
    let (answer, end) = connection.ended().await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("sni=secure.ext.example client=CN=gateway-1 verified=SUCCESS\n"), "{answer}");
    assert_eq!(end.map(|it| it.to_string()), None);
}
