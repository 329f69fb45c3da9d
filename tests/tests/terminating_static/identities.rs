//! Who a caller is, by its certificate: the rows of the identity tables that can be seen on the wire. Whoever is refused
//! has a reason of its own, and somebody else's connection goes on.

use gateway_testkit::{Document, LeafSpec, MeshCaller, Pki, eventually};
use serde_json::Value;

use crate::world::{Plan, World, soon};

const TD: &str = Pki::TRUST_DOMAIN;

/// The SPIFFE id of `web`, with another ending of the path.
fn id(path: &str) -> String {
    format!("spiffe://{TD}{path}")
}

fn web() -> String {
    id("/ns/default/dc/dc1/svc/web")
}

fn caller(pki: &Pki, spec: &LeafSpec) -> MeshCaller {
    MeshCaller::new(pki, &pki.issue(spec).unwrap()).unwrap()
}

/// Nobody below gets to the service although everybody may call it, and each has its own reason.
#[tokio::test]
async fn every_bad_certificate_is_refused_with_a_reason_of_its_own() {
    // Everything is allowed: only the certificate stands between a caller and the service.
    let (mut plan, billing) = (Plan::with_policy("allow"), crate::world::external("billing-1"));
    plan.service("billing", Document::new().external("billing", billing.address(), ""));
    plan.intentions("billing", &[&crate::world::rule("*", "allow")]);
    let world = plan.start().await;
    let pki = &world.pki;
    let (mut bystander, _) = world.call("web", "billing").await.unwrap();
    let foreign = Pki::development().unwrap();
    let elsewhere = "99999999-2222-3333-4444-555555555555.consul";
    let spec = || LeafSpec::new().uri(&web());
    let of = |uri: &str| LeafSpec::new().uri(uri);
    let rows = [
        ("row 17: expired by a second", spec().valid(-3600, -1), "certificate_expired"),
        ("row 21: not yet valid by 30 s", spec().valid(30, 3600), "certificate_not_yet_valid"),
        ("row 19: for servers alone", spec().server_only(), "certificate_wrong_purpose"),
        ("row 28: two SPIFFE URIs", spec().uri(&id("/ns/default/dc/dc1/svc/api")), "several_uri_sans"),
        ("row 28: a SPIFFE URI and another one", spec().uri("https://web.example"), "several_uri_sans"),
        ("row 29: DNS names only", LeafSpec::new().name("web.example"), "no_spiffe_id"),
        ("no name at all", LeafSpec::new().common_name("web"), "no_spiffe_id"),
        ("row 31: foreign trust domain, own root", of(&web().replace(TD, elsewhere)), "foreign_trust_domain"),
        ("row 52: a server of Consul", of(&id("/agent/server/dc/dc1")), "not_a_service"),
        ("an agent", of(&id("/agent/client/dc/dc1/id/n1")), "not_a_service"),
        ("the CA's own id", of(&id("")), "not_a_service"),
        ("row 7: no SPIFFE URI", of("http://x/ns/a/dc/b/svc/c"), "bad_spiffe_id"),
        ("row 8: a slash at the end", of(&format!("{}/", web())), "bad_spiffe_id"),
        ("row 9: another order", of(&id("/dc/dc1/ns/default/svc/web")), "bad_spiffe_id"),
        ("row 10: a port", of(&web().replace(TD, &format!("{TD}:443"))), "bad_spiffe_id"),
        ("row 10: a query", of(&format!("{}?a=b", web())), "bad_spiffe_id"),
        ("an encoded letter", of(&id("/ns/default/dc/dc1/svc/w%65b")), "spiffe_id_not_canonical"),
    ];
    let mut refused = 0;
    for (what, spec, reason) in rows {
        let (record, saw) = world.refusal(&caller(pki, &spec), "billing").await;
        assert_eq!(record["reason"], reason, "{what}: {record}");
        assert_eq!((&record["service"], &record["verdict"]), (&"billing".into(), &Value::Null), "{what}");
        assert!(saw.contains("alert"), "{what}: a fatal alert, not {saw}");
        refused += 1;
    }
    // Row 32: capitals in the host.
    let (record, _) = world.refusal(&caller(pki, &of(&web().replace("consul", "CONSUL"))), "billing").await;
    let reason = record["reason"].as_str().unwrap();
    assert!(["spiffe_id_not_canonical", "foreign_trust_domain"].contains(&reason), "{record}");

    // Row 11: another CA of the same trust domain. Also as an authority that signed itself.
    let theirs = MeshCaller::new(pki, &foreign.issue(&spec()).unwrap()).unwrap();
    let (record, saw) = world.refusal(&theirs, "billing").await;
    assert_eq!(record["reason"], "unknown_issuer", "{record}");
    assert!(saw.contains("UnknownCA") || saw.contains("alert"), "{saw}");
    // The same with TLS 1.2, where the handshake itself fails.
    let old = theirs.version(rustls::ProtocolVersion::TLSv1_2).unwrap();
    let (record, saw) = world.refusal(&old, "billing").await;
    assert_eq!(record["reason"], "unknown_issuer", "{saw}");
    // Row 50: a peer whose roots are not known here.
    let peer = Pki::new(elsewhere).unwrap().service("web", "dc1").unwrap();
    let (record, _) = world.refusal(&MeshCaller::new(pki, &peer).unwrap(), "billing").await;
    assert_eq!(record["reason"], "foreign_trust_domain", "{record}");
    // A CA's certificate is nobody's leaf.
    let (record, _) = world.refusal(&caller(pki, &spec().authority()), "billing").await;
    assert!(
        ["certificate_invalid", "not_a_service"].contains(&record["reason"].as_str().unwrap()),
        "{record}"
    );

    assert_eq!(billing.seen().len(), 1, "{refused} were refused before anything was dialled");
    bystander.echo(b"not disturbed").await.unwrap();
    bystander.close().await.unwrap();
    assert_eq!(world.who("web", "billing").await, "billing-1");
}

/// Rows 20, 30 and 36.
#[tokio::test]
async fn whoever_the_specification_accepts_is_accepted() {
    let (plan, billing) = Plan::billing();
    let world = plan.start().await;
    let pki = &world.pki;
    let rows = [
        ("row 20: no purpose in particular", LeafSpec::new().uri(&web()).any_purpose()),
        ("row 30: a DNS name besides", LeafSpec::new().uri(&web()).name("web.example")),
        ("row 36: another datacenter", LeafSpec::new().uri(&id("/ns/default/dc/dc2/svc/web"))),
        ("a common name that is somebody else's", LeafSpec::new().uri(&web()).common_name("cron")),
    ];
    for (what, spec) in rows {
        let mut connection = world.connect(&caller(pki, &spec), "billing").await.unwrap();
        assert_eq!(connection.line().await.unwrap(), "billing-1", "{what}");
        connection.close().await.unwrap();
    }
    assert_eq!(billing.seen().len(), 4);
}

/// Identities that are valid and that no intention for services covers, not even `*`.
#[tokio::test]
async fn a_gateway_and_a_stranger_of_another_namespace_are_nobody_that_intentions_name() {
    let (mut plan, billing) = (Plan::new(), crate::world::external("billing-1"));
    plan.service("billing", Document::new().external("billing", billing.address(), ""));
    plan.intentions("billing", &[&crate::world::rule("*", "allow")]);
    let world = plan.start().await;
    for (uri, kind) in [
        (id("/gateway/mesh/dc/dc1"), "no_service_identity"),
        (id("/ns/team/dc/dc1/svc/web"), "default_policy"),
        (id("/ap/part1/ns/default/dc/dc1/svc/web"), "default_policy"),
    ] {
        let (record, _) = world.refusal(&caller(&world.pki, &LeafSpec::new().uri(&uri)), "billing").await;
        assert_eq!((&record["reason"], &record["verdict"]), (&"denied".into(), &"deny".into()), "{record}");
        assert_eq!(record["source"], uri);
        assert!(
            world.metric("gateway_verdicts_total", &[("verdict", "deny"), ("reason", kind)]).await >= 1.0,
            "{kind}"
        );
    }
    assert_eq!(billing.seen().len(), 0);
}

/// Names are compared as they are: no folding of case, and a dot is a dot.
#[tokio::test]
async fn names_of_callers_are_compared_letter_by_letter() {
    let (mut plan, billing) = (Plan::new(), crate::world::external("billing-1"));
    plan.service("billing", Document::new().external("billing", billing.address(), ""));
    plan.intentions("billing", &[&crate::world::rule("we.b", "allow")]);
    let world = plan.start().await;
    for other in ["WE.B", "wexb", "web", "we.b2", "we"] {
        let (record, _) = world.refusal(&world.caller(other), "billing").await;
        assert_eq!(record["reason"], "denied", "{other}: {record}");
    }
    assert_eq!(world.who("we.b", "billing").await, "billing-1");
    assert_eq!(billing.seen().len(), 1);
}

/// Row 18: webpki alone would accept it.
#[tokio::test]
async fn a_root_that_has_expired_vouches_for_nobody() {
    let (plan, billing) = Plan::billing();
    let old = Pki::of_age(TD, -10 * 86_400, -1).unwrap();
    let both = format!("{}{}", old.root_pem(), plan.pki.root_pem());
    std::fs::write(plan.lab.dir().join("certs/roots.pem"), both).unwrap();
    let world = plan.start().await;
    let theirs = MeshCaller::new(&world.pki, &old.service("web", "dc1").unwrap()).unwrap();
    let (record, _) = world.refusal(&theirs, "billing").await;
    assert_eq!(record["reason"], "unknown_issuer", "{record}");
    assert_eq!(world.who("web", "billing").await, "billing-1");
    assert_eq!(billing.seen().len(), 1);
    let roots = world.certificates().await["roots"].clone();
    assert_eq!(roots["certificates"].as_array().unwrap().len(), 1, "{roots}");
    assert_eq!(roots["left_out"].as_array().unwrap().len(), 1, "{roots}");
}

/// Row 47.
#[tokio::test]
async fn the_mesh_may_ask_for_tls_1_3() {
    let (plan, _billing) = Plan::billing();
    let entry = |version: &str| {
        format!("[[Entry]]\nKind = \"mesh\"\nTLS = {{ Incoming = {{ TLSMinVersion = {version:?} }} }}\n")
    };
    plan.catalog.write("tls.toml", entry("TLSv1_3")).unwrap();
    let world = plan.start().await;
    let old = world.caller("web").version(rustls::ProtocolVersion::TLSv1_2).unwrap();
    let (record, saw) = world.refusal(&old, "billing").await;
    assert_eq!(record["reason"], "tls_incompatible", "{saw}");
    assert_eq!(world.who("web", "billing").await, "billing-1");
    // While it runs: now both may come.
    world.catalog.write("tls.toml", entry("TLSv1_2")).unwrap();
    let served = async |world: &World| match world.connect(&old, "billing").await {
        Ok(mut connection) => connection.line().await.is_ok(),
        Err(_) => false,
    };
    eventually(soon(), "a caller with TLS 1.2", async || served(&world).await).await;
}

/// Row 46: a certificate of our own that ends is presented to nobody; who is connected stays.
#[tokio::test]
async fn a_service_whose_certificate_has_ended_is_closed() {
    let (mut plan, billing) = (Plan::new(), crate::world::external("billing-1"));
    plan.link("billing", "");
    plan.catalog.write("billing.toml", Document::new().external("billing", billing.address(), "")).unwrap();
    plan.allow("web", "billing");
    let uri = plan.pki.service_id("billing", "dc1");
    let short = plan.pki.issue(&LeafSpec::new().uri(&uri).valid(-3600, 8)).unwrap();
    let files = short.write(&plan.lab.dir().join("certs"), "billing").unwrap();
    plan.catalog.write("leaf-billing.toml", Document::new().leaf("billing", &files)).unwrap();
    let search = crate::world::external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    plan.allow("web", "search");
    let world = plan.start().await;
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    // Nine tenths of its life are over, and that is said.
    let warned = |page: &Value| page["warnings"].to_string().contains("nine tenths");
    world.until_page("/snapshot", "the warning", warned).await;
    let name = world.sni("billing");
    let reasons = ["service_not_ready", "own_certificate_expired"];
    let closed = async || {
        let Ok(mut connection) = world.connect(&world.caller("web"), "billing").await else { return true };
        connection.line().await.is_err()
    };
    eventually(soon(), "the service to be closed", closed).await;
    let record = world.refused_hello(&name).await;
    assert!(reasons.contains(&record["reason"].as_str().unwrap()), "{record}");
    open.echo(b"checked at the handshake only").await.unwrap();
    open.close().await.unwrap();
    assert_eq!(world.who("web", "search").await, "search-1");
    // A new one is there: the service is, too.
    world.pki.service("billing", "dc1").unwrap().write(&world.certs(), "billing").unwrap();
    world.until_answers("web", "billing", "billing-1").await;
}
