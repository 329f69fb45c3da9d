//! Those who do not get in, and that nothing is connected for them.

use std::io::ErrorKind;

use gateway_runtime::reason::Reason;
use gateway_runtime::record::Verdict;
use rcgen::SanType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::clients::{Sidecar, anybody, name, web};
use super::world::{Ca, Catalog, Outside, Recorded, TRUST_DOMAIN, World, eventually, sni, spiffe, within};

#[tokio::test]
async fn a_permitted_caller_is_connected_and_recorded() {
    let outside = Outside::new().await;
    let world = World::new(Catalog::billing(&[outside.address])).await;
    let mut client = web(&world).await.stream;
    let mut server = outside.accept().await;
    server.write_all(b"greeting").await.unwrap();
    let mut got = [0; 8];
    within(client.read_exact(&mut got)).await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut all = Vec::new();
    within(server.read_to_end(&mut all)).await.unwrap();
    assert_eq!((&got, &*all), (b"greeting", &b"question"[..]));
    drop(server);
    all.clear();
    within(client.read_to_end(&mut all)).await.unwrap();
    assert_eq!(
        world.record().await,
        Recorded {
            reason: Reason::Closed,
            service: Some("billing".to_owned()),
            source: Some(spiffe("web")),
            verdict: Some(Verdict::Allow),
            intention: Some("intention web => billing (precedence 9): allow".to_owned()),
            attempts: 1,
            detail: None,
            up: 8,
            down: 8,
        }
    );
    let verdicts = r#"gateway_verdicts_total{service="billing",verdict="allow",reason="intention"}"#;
    assert_eq!(world.metric(verdicts), Some(1));
}

#[tokio::test]
async fn a_denied_caller_never_causes_a_connection_and_sees_an_orderly_end() {
    let outside = Outside::new().await;
    let world = World::new(Catalog::billing(&[outside.address])).await;
    let mut client = Sidecar::new(&world.catalog.ca, "cron", "billing").connect(&world).await.stream;
    client.write_all(b"may I").await.unwrap();
    let mut all = Vec::new();
    within(client.read_to_end(&mut all)).await.unwrap();
    assert!(all.is_empty(), "not a byte");
    drop(client);
    let record = world.record().await;
    assert_eq!((record.reason, record.verdict), (Reason::Denied, Some(Verdict::Deny)));
    assert_eq!(record.source, Some(spiffe("cron")));
    assert_eq!(record.intention.as_deref(), Some("default policy: deny"));
    assert!(outside.nobody_came(), "nothing was connected for it");
    let verdicts = r#"gateway_verdicts_total{service="billing",verdict="deny",reason="default_policy"}"#;
    assert_eq!(world.metric(verdicts), Some(1));
}

/// A resumed session is no leave: the rules are those of now.
#[tokio::test]
async fn a_resumed_session_is_judged_again() {
    let outside = Outside::new().await;
    let mut world = World::new(Catalog::billing(&[outside.address])).await;
    let sidecar = Sidecar::new(&world.catalog.ca, "web", "billing");
    let mut first = sidecar.connect(&world).await.stream;
    let mut server = outside.accept().await;
    // The ticket comes with the first bytes.
    server.write_all(b"x").await.unwrap();
    within(first.read_exact(&mut [0])).await.unwrap();
    drop((first, server));
    world.record().await;
    world.catalog.allow("nobody");
    world.reload();
    let second = sidecar.connect(&world).await;
    let resumed = second.facts.resumed;
    drop(second);
    assert_eq!(world.record_number(1).await.reason, Reason::Denied);
    assert!(outside.nobody_came());
    assert!(resumed, "the session survives a change of rules, the verdict does not");
}

async fn reset_before_any_byte(world: &World, hello: &[u8]) {
    let mut stream = world.connect().await;
    stream.write_all(hello).await.unwrap();
    let mut byte = [0];
    let error = within(stream.read(&mut byte)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// A genuine hello for a name.
fn hello(server_name: &str) -> Vec<u8> {
    let config = anybody(None).config().clone();
    let mut client = rustls::ClientConnection::new(config, name(server_name)).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_name_that_is_not_served_is_answered_by_a_reset() {
    let outside = Outside::new().await;
    let mut catalog = Catalog::billing(&[outside.address]);
    catalog.service("api", &[outside.address]);
    catalog.service("empty", &[]);
    catalog.also("[[Entry]]\nKind = \"service-defaults\"\nName = \"api\"\nProtocol = \"http\"\n");
    let world = World::new(catalog).await;
    let cases = [
        (sni("zzz"), Reason::UnknownSni),
        (sni("v2.billing"), Reason::UnknownSni),
        (sni("billing").replace("dc1", "dc2"), Reason::UnknownSni),
        (sni("billing").replace("1111-", "0000-"), Reason::UnknownSni),
        ("192.0.2.1".to_owned(), Reason::NoSni),
        (sni("empty"), Reason::ServiceNotReady),
        (sni("api"), Reason::ServiceNotReady),
    ];
    for (number, (asked, reason)) in cases.iter().enumerate() {
        reset_before_any_byte(&world, &hello(asked)).await;
        let record = world.record_number(number).await;
        assert_eq!(record.reason, *reason, "{asked}");
        match asked.as_str() {
            api if api.starts_with("api.") => {
                assert_eq!(record.detail.as_deref(), Some("protocol http is not served yet"));
                assert_eq!(record.service.as_deref(), Some("api"));
            }
            empty if empty.starts_with("empty.") => {
                assert_eq!(record.detail.as_deref(), Some("it has no instance"));
            }
            _ => {}
        }
    }
    reset_before_any_byte(&world, b"GET / HTTP/1.1\r\nHost: billing\r\n\r\n").await;
    assert_eq!(world.record_number(cases.len()).await.reason, Reason::NotTls);
    assert!(outside.nobody_came());
}

#[tokio::test]
async fn a_name_in_capitals_is_the_same_name() {
    let outside = Outside::new().await;
    let world = World::new(Catalog::billing(&[outside.address])).await;
    let leaf = world.catalog.ca.leaf("web");
    let asked = name(&sni("billing").to_uppercase());
    let mut client = anybody(Some(&leaf)).connect(asked, world.connect().await).await.unwrap();
    let mut server = outside.accept().await;
    client.write_all(b"x").await.unwrap();
    within(server.read_exact(&mut [0])).await.unwrap();
}

#[tokio::test]
async fn a_bad_certificate_gets_nobody_in_and_has_its_reason() {
    let outside = Outside::new().await;
    let world = World::new(Catalog::billing(&[outside.address])).await;
    let ca = &world.catalog.ca;
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let foreign = Ca::new(&format!("spiffe://{TRUST_DOMAIN}"));
    let agent = format!("spiffe://{TRUST_DOMAIN}/agent/client/dc/dc1/id/x");
    let elsewhere = spiffe("web").replace("1111-", "0000-");
    let certificates = [
        (None, Reason::NoClientCertificate),
        (Some(foreign.leaf("web")), Reason::UnknownIssuer),
        (Some(ca.issue(Vec::new())), Reason::NoSpiffeId),
        (Some(ca.issue(vec![uri(&spiffe("web")), uri(&spiffe("api"))])), Reason::SeveralUriSans),
        (Some(ca.issue(vec![uri(&elsewhere)])), Reason::ForeignTrustDomain),
        (Some(ca.issue(vec![uri(&agent)])), Reason::NotAService),
    ];
    for (number, (certificate, reason)) in certificates.iter().enumerate() {
        let connector = anybody(certificate.as_ref());
        // In TLS 1.3 the client believes that it is through until it reads.
        if let Ok(mut stream) = connector.connect(name(&sni("billing")), world.connect().await).await {
            let read = within(stream.read(&mut [0; 16])).await;
            assert!(!read.is_ok_and(|n| n > 0), "{reason}: not a byte");
        }
        let record = world.record_number(number).await;
        assert_eq!((record.reason, record.verdict), (*reason, None), "{:?}", record.detail);
        assert_eq!(record.service.as_deref(), Some("billing"));
    }
    assert!(outside.nobody_came());
}

#[tokio::test]
async fn a_client_that_stays_silent_is_let_go() {
    let outside = Outside::new().await;
    let world = World::with(Catalog::billing(&[outside.address]), &[("TIMERS_HANDSHAKE", "50ms")]).await;
    let whole = hello(&sni("billing"));
    for (number, (bytes, reason)) in
        [(&whole[..20], Reason::HelloTimeout), (&whole[..], Reason::HandshakeTimeout)].iter().enumerate()
    {
        let mut stream = world.connect().await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(world.record_number(number).await.reason, *reason);
    }
    drop(world.connect().await);
    assert_eq!(world.record_number(2).await.reason, Reason::Probe);
}

#[tokio::test]
async fn handshakes_are_bounded() {
    let outside = Outside::new().await;
    let world = World::with(Catalog::billing(&[outside.address]), &[("LIMITS_HANDSHAKES", "1")]).await;
    let mut slow = world.connect().await;
    slow.write_all(&hello(&sni("billing"))).await.unwrap();
    slow.readable().await.unwrap();
    reset_before_any_byte(&world, &hello(&sni("billing"))).await;
    assert_eq!(world.record().await.reason, Reason::HandshakeLimit);
    drop(slow);
    world.record_number(1).await;
    drop(web(&world).await);
    eventually("everybody has left", || world.kept.handshakes.inside() == 0).await;
}

#[tokio::test]
async fn a_denied_client_that_does_not_close_is_not_waited_for_long() {
    let outside = Outside::new().await;
    let world = World::with(Catalog::billing(&[outside.address]), &[("TIMERS_DENIED_CLOSE", "50ms")]).await;
    let client = Sidecar::new(&world.catalog.ca, "cron", "billing").connect(&world).await;
    assert_eq!(world.record().await.reason, Reason::Denied);
    drop(client);
}

#[tokio::test]
async fn a_dry_run_lets_pass_and_says_so() {
    let outside = Outside::new().await;
    let world = World::with(Catalog::billing(&[outside.address]), &[("DRY_RUN", "true")]).await;
    let mut client = Sidecar::new(&world.catalog.ca, "cron", "billing").connect(&world).await.stream;
    let mut server = outside.accept().await;
    client.write_all(b"x").await.unwrap();
    within(server.read_exact(&mut [0])).await.unwrap();
    let rows = world.registry.view(10);
    let shown = rows[0].authorization.as_ref().unwrap();
    assert_eq!((&*shown.source, shown.verdict), (&*spiffe("cron"), Verdict::WouldDeny));
    client.shutdown().await.unwrap();
    drop(server);
    within(client.read_to_end(&mut Vec::new())).await.unwrap();
    let record = world.record().await;
    assert_eq!((record.reason, record.verdict), (Reason::Closed, Some(Verdict::WouldDeny)));
    let verdicts =
        r#"gateway_verdicts_total{service="billing",verdict="would_deny",reason="default_policy"}"#;
    assert_eq!(world.metric(verdicts), Some(1));
    // Nobody without a good certificate gets in by a dry run.
    let nobody = anybody(None).connect(name(&sni("billing")), world.connect().await).await;
    drop(nobody);
    assert_eq!(world.record_number(1).await.reason, Reason::NoClientCertificate);
}
