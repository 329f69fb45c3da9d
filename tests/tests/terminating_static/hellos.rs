//! What a ClientHello may say, and what becomes of it: rows 1 to 12 of the scenarios.

use gateway_testkit::{Document, Hello, Place};
use serde_json::Value;

use crate::world::{Plan, external, soon};

/// Rows 1 and 2.
#[tokio::test]
async fn a_linked_service_is_answered_for_with_its_own_certificate() {
    let (mut plan, billing) = Plan::billing();
    let search = external("search-1");
    plan.service("search", Document::new().external("search", search.address(), ""));
    plan.allow("web", "search");
    let world = plan.start().await;
    let web = world.caller("web");
    for (service, name) in [("billing", "billing-1"), ("search", "search-1")] {
        let mut connection = world.connect(&web, service).await.unwrap();
        assert_eq!(connection.line().await.unwrap(), name);
        assert_eq!(connection.presented, world.pki.service_id(service, "dc1"));
        connection.echo(&vec![7; 300_000]).await.unwrap();
        connection.close().await.unwrap();
    }
    let mut capitals = web.connect(world.address(), &world.sni("billing").to_uppercase()).await.unwrap();
    assert_eq!(capitals.line().await.unwrap(), "billing-1");
    capitals.close().await.unwrap();
    assert_eq!((billing.seen().len(), search.seen().len()), (2, 1));
    // Somebody else's hellos go nowhere else.
    let mixed: String = world
        .sni("search")
        .chars()
        .enumerate()
        .map(|(at, it)| if at % 2 == 0 { it.to_ascii_uppercase() } else { it })
        .collect();
    let mut mixed = web.connect(world.address(), &mixed).await.unwrap();
    assert_eq!(mixed.line().await.unwrap(), "search-1");
}

/// Rows 3, 4, 6 and 7.
#[tokio::test]
async fn a_name_that_is_not_linked_is_reset_before_any_byte_of_tls() {
    let (plan, billing) = Plan::billing();
    // Of a service that is in the catalog, with a certificate, and not linked.
    let (secret, leafed) = (external("secret-1"), "secret");
    plan.catalog.write("secret.toml", Document::new().external(leafed, secret.address(), "")).unwrap();
    plan.leaf(leafed);
    plan.allow("web", leafed);
    let world = plan.start().await;
    let (mut bystander, _) = world.call("web", "billing").await.unwrap();
    let trust_domain = world.pki.trust_domain();
    for name in [
        world.sni("zzz"),
        world.sni("secret"),
        world.sni("terminating-gateway"),
        format!("billing.default.dc2.internal.{trust_domain}"),
        "billing.default.dc1.internal.99999999-2222-3333-4444-555555555555.consul".to_owned(),
        format!("v9.billing.default.dc1.internal.{trust_domain}"),
        format!("billing.team.dc1.internal.{trust_domain}"),
        format!("billing.default.part1.dc1.internal-v1.{trust_domain}"),
        format!("destination.billing.billing.default.dc1.internal.{trust_domain}"),
        "billing".to_owned(),
        "www.example.com".to_owned(),
    ] {
        let record = world.refused_hello(&name).await;
        assert_eq!((&record["reason"], &record["sni"]), (&"unknown_sni".into(), &name.as_str().into()));
        assert_eq!((&record["source"], &record["verdict"]), (&Value::Null, &Value::Null), "{record}");
    }
    let record = world.refused_bytes(&Hello::nameless().bytes()).await;
    assert_eq!(record["reason"], "no_sni");
    bystander.echo(b"not disturbed").await.unwrap();
    bystander.close().await.unwrap();
    assert_eq!((billing.seen().len(), secret.seen().len()), (1, 0));
}

/// Row 5, and other things that are no TLS.
#[tokio::test]
async fn what_is_not_tls_is_closed_without_a_byte() {
    let (plan, billing) = Plan::billing();
    let world = plan.start().await;
    for bytes in [b"GET / HTTP/1.1\r\nHost: billing\r\n\r\n".as_slice(), b"SSH-2.0-OpenSSH_9.2\r\n", &[0; 64]]
    {
        assert_eq!(world.refused_bytes(bytes).await["reason"], "not_tls");
    }
    assert_eq!(billing.seen().len(), 0);
}

/// Row 8.
#[tokio::test]
async fn a_health_check_that_connects_and_leaves_is_no_news() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    let lines = world.gateway.log().count();
    let stream = Place::Here.connect(world.address()).await.unwrap();
    let peer = stream.local_addr().unwrap();
    drop(stream);
    assert_eq!(world.record_of(peer).await["reason"], "probe");
    let loud = world
        .gateway
        .log()
        .find(lines, |line| ["ERROR", "WARN", "INFO"].contains(&line["level"].as_str().unwrap_or("")));
    assert_eq!(loud, None);
}

/// Row 10, with either version of TLS.
#[tokio::test]
async fn a_caller_without_a_certificate_gets_nothing() {
    use gateway_testkit::MeshCaller;
    let (plan, billing) = Plan::billing();
    let world = plan.start().await;
    let anonymous = MeshCaller::anonymous(&world.pki).unwrap();
    let old = anonymous.clone().version(rustls::ProtocolVersion::TLSv1_2).unwrap();
    for caller in [anonymous, old] {
        let (record, saw) = world.refusal(&caller, "billing").await;
        assert_eq!(
            (&record["reason"], &record["service"]),
            (&"no_client_certificate".into(), &"billing".into())
        );
        assert!(
            saw.contains("CertificateRequired")
                || saw.contains("HandshakeFailure")
                || saw.contains("handshake"),
            "{saw}"
        );
    }
    assert_eq!(billing.seen().len(), 0, "the service sees no connection");
}

/// Row 12.
#[tokio::test]
async fn no_protocol_is_chosen_whatever_a_caller_offers() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    for offered in [&["foo"][..], &["h2", "http/1.1"], &[]] {
        let web = world.caller("web").alpn(offered);
        let mut connection = world.connect(&web, "billing").await.unwrap();
        assert_eq!(connection.alpn, None);
        assert_eq!(connection.line().await.unwrap(), "billing-1");
        connection.close().await.unwrap();
    }
}

/// Both versions of TLS carry bytes both ways and end in order: each side's end reaches the other.
#[tokio::test]
async fn ends_are_passed_on_in_both_directions() {
    use gateway_testkit::{Backend, End, Script};
    let mut plan = Plan::new();
    let last = Backend::local(Script::AnswerAfterEof(b"the answer".to_vec())).unwrap();
    let first = Backend::local(Script::HalfCloseFirst(b"the whole answer".to_vec())).unwrap();
    plan.service("last", Document::new().external("last", last.address(), ""));
    plan.service("first", Document::new().external("first", first.address(), ""));
    plan.allow("web", "*");
    let world = plan.start().await;
    for version in [rustls::ProtocolVersion::TLSv1_2, rustls::ProtocolVersion::TLSv1_3] {
        let web = world.caller("web").version(version).unwrap();
        let mut connection = world.connect(&web, "last").await.unwrap();
        assert_eq!(connection.version, Some(version));
        connection.send(b"a question").await.unwrap();
        assert_eq!(connection.close().await.unwrap(), b"the answer");
        let mut connection = world.connect(&web, "first").await.unwrap();
        let (bytes, end) = connection.ended().await.unwrap();
        assert_eq!((bytes, end.map(|it| it.to_string())), (b"the whole answer".to_vec(), None));
        connection.send(b"still listened to").await.unwrap();
        connection.close().await.unwrap();
    }
    let heard =
        |seen: &gateway_testkit::Seen| seen.received == b"still listened to" && seen.end == Some(End::Eof);
    first.wait(soon(), "the rest, and the end", heard).await.unwrap();
}
