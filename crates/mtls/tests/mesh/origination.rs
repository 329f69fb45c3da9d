//! TLS towards external services.

use std::sync::Arc;

use mtls::{
    ClientPem, HandshakeError, Originated, OriginationSettings, Originator, ProtocolVersion, SecretPem,
    TimeProvider,
};
use rcgen::SanType;
use rustls::version::{TLS12, TLS13};
use tokio::io::DuplexStream;

use crate::support::{
    BOTH, Ca, Clock, HOUR, Issued, Server, Spec, T0, at, exchange, meet_server, root_validity,
};

/// A certificate with these names; `uri:`, `mail:`, `ip:` and `dns:` say of which kind.
fn spec(names: &[&str]) -> Spec {
    let mut spec = Spec::uris(&[]);
    spec.names = names
        .iter()
        .map(|name| match name.split_once(':').unwrap() {
            ("uri", name) => SanType::URI(name.try_into().unwrap()),
            ("mail", name) => SanType::Rfc822Name(name.try_into().unwrap()),
            ("ip", name) => SanType::IpAddress(name.parse().unwrap()),
            (_, name) => SanType::DnsName(name.try_into().unwrap()),
        })
        .collect();
    spec
}

fn settings(ca: &Ca, sni: &str) -> OriginationSettings {
    let clock: Arc<dyn TimeProvider> = Clock::new(T0);
    OriginationSettings {
        sni: sni.to_owned(),
        time: clock,
        ..OriginationSettings::new(ca.pem().into_bytes())
    }
}

async fn dial(originator: &Originator, server: &Server) -> Result<Originated<DuplexStream>, HandshakeError> {
    dial_and_see(originator, server).await.0
}

type Seen = Result<tokio_rustls::server::TlsStream<DuplexStream>, std::io::Error>;

async fn dial_and_see(
    originator: &Originator,
    server: &Server,
) -> (Result<Originated<DuplexStream>, HandshakeError>, Seen) {
    let connect = |near| async {
        let mut originated = originator.originate(near).await?;
        let _ = exchange(&mut originated.stream).await;
        Ok(originated)
    };
    meet_server(server, connect).await
}

async fn verdict(settings: &OriginationSettings, server: &Issued) -> &'static str {
    let originator = Originator::build(settings, at(T0)).unwrap();
    match dial(&originator, &Server::new(server)).await {
        Ok(_) => "ok",
        Err(error) => error.reason(),
    }
}

#[tokio::test]
async fn only_the_named_authorities_are_trusted() {
    let (ca, other) = (Ca::root("ca"), Ca::root("other"));
    let server = ca.issue(&spec(&["dns:db.test"]));
    assert_eq!(verdict(&settings(&ca, "db.test"), &server).await, "ok");
    assert_eq!(verdict(&settings(&other, "db.test"), &server).await, "unknown_issuer");
    let both = format!("{}{}", other.pem(), ca.pem()).into_bytes();
    let both = OriginationSettings { ca_pem: both, ..settings(&ca, "db.test") };
    assert_eq!(verdict(&both, &server).await, "ok");
}

#[tokio::test]
async fn names_of_every_kind() {
    let ca = Ca::root("ca");
    for (sni, names, matches) in [
        ("db.test", &["dns:db.test"][..], true),
        ("db.test", &["dns:other.test", "dns:DB.Test"], true),
        ("DB.test", &["dns:db.test"], true),
        ("db.test", &["dns:*.test"], true),
        ("DB.TEST", &["dns:*.test"], true),
        ("a.db.test", &["dns:*.test"], false),
        ("test", &["dns:*.test"], false),
        ("db.test", &["dns:d*.test"], false),
        ("db.test", &["dns:*"], false),
        ("db.test", &["dns:db.test.evil.test", "dns:xdb.test"], false),
        ("db.test", &["uri:db.test"], true),
        ("db.test", &["uri:DB.test"], false),
        ("db.test", &["mail:db.test"], true),
        ("spiffe://x.consul/ns/default/dc/d/svc/db", &["uri:spiffe://x.consul/ns/default/dc/d/svc/db"], true),
        (
            "spiffe://x.consul/ns/default/dc/d/svc/db",
            &["uri:spiffe://x.consul/ns/default/dc/d/svc/d%62"],
            false,
        ),
        ("admin@db.test", &["mail:admin@db.test"], true),
        ("admin@db.test", &["dns:db.test"], false),
        ("10.0.0.1", &["ip:10.0.0.1"], true),
        ("10.0.0.1", &["ip:10.0.0.2", "dns:10.0.0.1"], true),
        ("10.0.0.1", &["ip:10.0.0.2"], false),
        ("fd00::1", &["ip:fd00:0:0::1"], true),
        ("FD00:0::1", &["ip:fd00::1"], true),
        ("db.test", &[], false),
    ] {
        let expected = if matches { "ok" } else { "certificate_name_mismatch" };
        assert_eq!(verdict(&settings(&ca, sni), &ca.issue(&spec(names))).await, expected, "{sni} {names:?}");
    }
}

#[tokio::test]
async fn the_common_name_does_not_count() {
    let ca = Ca::root("ca");
    let mut named = spec(&[]);
    named.common_name = Some("db.test");
    assert_eq!(verdict(&settings(&ca, "db.test"), &ca.issue(&named)).await, "certificate_name_mismatch");
}

#[tokio::test]
async fn without_a_name_none_is_sent_and_none_is_checked() {
    let ca = Ca::root("ca");
    let originator = Originator::build(&settings(&ca, ""), at(T0)).unwrap();
    let (originated, server) =
        dial_and_see(&originator, &Server::new(&ca.issue(&spec(&["dns:whatever.test"])))).await;
    assert!(originated.is_ok());
    assert_eq!(server.unwrap().get_ref().1.server_name(), None);
    assert_eq!(verdict(&settings(&ca, ""), &Ca::root("other").issue(&spec(&[]))).await, "unknown_issuer");
}

#[tokio::test]
async fn only_host_names_are_sent() {
    let ca = Ca::root("ca");
    for (sni, name, sent) in [
        ("db.test", "dns:db.test", Some("db.test")),
        ("10.0.0.1", "ip:10.0.0.1", None),
        ("fd00::1", "ip:fd00::1", None),
        ("admin@db.test", "mail:admin@db.test", None),
    ] {
        let originator = Originator::build(&settings(&ca, sni), at(T0)).unwrap();
        let (originated, server) = dial_and_see(&originator, &Server::new(&ca.issue(&spec(&[name])))).await;
        originated.unwrap();
        assert_eq!(server.unwrap().get_ref().1.server_name(), sent);
    }
}

#[tokio::test]
async fn ended_certificates_are_refused() {
    let ca = Ca::root("ca");
    assert_eq!(
        verdict(&settings(&ca, ""), &ca.issue(&spec(&[]).valid(0, T0 - 1))).await,
        "certificate_expired"
    );
    assert_eq!(
        verdict(&settings(&ca, ""), &ca.issue(&spec(&[]).valid(T0 + 1, T0 + 2))).await,
        "certificate_not_yet_valid"
    );
    let ended = Ca::root_with("ended", root_validity(0, T0 - 1));
    assert_eq!(Originator::build(&settings(&ended, ""), at(T0)).unwrap_err().reason(), "no_usable_root");
}

#[tokio::test]
async fn a_self_signed_server_whose_very_certificate_is_named() {
    let mut own = spec(&["dns:db.test"]);
    own.ca = true;
    let server = Issued::self_signed(&own);
    let named = |sni: &str| {
        let ca_pem = server.chain_pem.clone().into_bytes();
        OriginationSettings { ca_pem, ..settings(&Ca::root("unused"), sni) }
    };
    assert_eq!(verdict(&named("db.test"), &server).await, "ok");
    assert_eq!(verdict(&named("other.test"), &server).await, "certificate_name_mismatch");
    assert_eq!(verdict(&named("db.test"), &Issued::self_signed(&own)).await, "certificate_invalid");
    let clock: Arc<dyn TimeProvider> = Clock::new(T0 + 73 * HOUR);
    let among = format!("{}{}", Ca::root("another").pem(), server.chain_pem).into_bytes();
    let later = OriginationSettings { time: clock, ca_pem: among, ..named("db.test") };
    let later = Originator::build(&later, at(T0)).unwrap();
    assert_eq!(dial(&later, &Server::new(&server)).await.unwrap_err().reason(), "certificate_expired");
    own.usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let client = Issued::self_signed(&own);
    let ca_pem = client.chain_pem.clone().into_bytes();
    let purpose = OriginationSettings { ca_pem, ..settings(&Ca::root("unused"), "db.test") };
    assert_eq!(verdict(&purpose, &client).await, "certificate_wrong_purpose");
    own.usages.clear();
    // And one that does not say it is a CA.
    own.ca = false;
    let server = Issued::self_signed(&own);
    let ca_pem = server.chain_pem.clone().into_bytes();
    let plain = OriginationSettings { ca_pem, ..settings(&Ca::root("unused"), "db.test") };
    assert_eq!(verdict(&plain, &server).await, "ok");
}

#[tokio::test]
async fn a_client_certificate_is_sent_if_the_server_asks() {
    let ca = Ca::root("ca");
    let client = ca.issue(&spec(&["dns:client.test"]));
    let server = Server::new(&ca.issue(&spec(&["dns:db.test"])));
    let with = |certificate: &str, key: &str| OriginationSettings {
        client: Some(ClientPem {
            certificate: certificate.as_bytes().to_vec(),
            key: SecretPem::new(key.to_owned()),
        }),
        ..settings(&ca, "db.test")
    };
    let originator = Originator::build(&with(&client.chain_pem, &client.key_pem), at(T0)).unwrap();
    let (originated, seen) = dial_and_see(&originator, &server).await;
    originated.unwrap();
    assert_eq!(seen.unwrap().get_ref().1.peer_certificates().unwrap().len(), 1);
    let none = Originator::build(&settings(&ca, "db.test"), at(T0)).unwrap();
    assert!(dial_and_see(&none, &server).await.1.unwrap().get_ref().1.peer_certificates().is_none());

    let other = ca.issue(&spec(&["dns:client.test"]));
    for (certificate, key, reason) in [
        (client.chain_pem.as_str(), other.key_pem.as_str(), "key_mismatch"),
        ("", client.key_pem.as_str(), "no_certificate"),
        (client.chain_pem.as_str(), "", "no_private_key"),
    ] {
        assert_eq!(Originator::build(&with(certificate, key), at(T0)).unwrap_err().reason(), reason);
    }
}

#[test]
fn bad_files() {
    let ca = Ca::root("ca");
    for (text, reason) in [
        ("", "no_certificate"),
        ("rubbish", "no_certificate"),
        ("-----BEGIN CERTIFICATE-----\n", "pem_malformed"),
    ] {
        let bad = OriginationSettings { ca_pem: text.as_bytes().to_vec(), ..settings(&ca, "") };
        assert_eq!(Originator::build(&bad, at(T0)).unwrap_err().reason(), reason);
    }
}

#[tokio::test]
async fn both_versions_and_protocols() {
    let ca = Ca::root("ca");
    let server = ca.issue(&spec(&["dns:db.test"]));
    for (version, number) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let originator = Originator::build(
            &OriginationSettings { alpn: vec![b"h2".to_vec()], ..settings(&ca, "db.test") },
            at(T0),
        )
        .unwrap();
        let picky = Server::with(&server, &[version], |config| config.alpn_protocols = vec![b"h2".to_vec()]);
        let facts = dial(&originator, &picky).await.unwrap().facts;
        assert_eq!((facts.version, facts.alpn.as_deref()), (Some(number), Some(&b"h2"[..])));
    }
}

#[tokio::test]
async fn a_server_that_speaks_plain_text() {
    use tokio::io::AsyncWriteExt as _;
    let originator = Originator::build(&settings(&Ca::root("ca"), ""), at(T0)).unwrap();
    let (near, mut far) = tokio::io::duplex(1 << 16);
    far.write_all(b"220 ready\r\n").await.unwrap();
    assert_eq!(originator.originate(near).await.unwrap_err().reason(), "tls_protocol_error");
    let (near, far) = tokio::io::duplex(1 << 16);
    drop(far);
    let reason = originator.originate(near).await.unwrap_err().reason();
    assert!(["handshake_eof", "handshake_io"].contains(&reason), "{reason}");
}

#[tokio::test]
async fn a_resumed_server_whose_certificate_has_ended() {
    let ca = Ca::root("ca");
    let short = ca.issue(&spec(&["dns:db.test"]).valid(T0 - 60, T0 + 600));
    for versions in [&[&TLS12][..], &[&TLS13], BOTH] {
        let clock = Clock::new(T0);
        let time: Arc<dyn TimeProvider> = Arc::clone(&clock) as Arc<dyn TimeProvider>;
        let originator =
            Originator::build(&OriginationSettings { time, ..settings(&ca, "db.test") }, at(T0)).unwrap();
        let server = Server::with(&short, versions, |_| {});
        assert!(!dial(&originator, &server).await.unwrap().facts.resumed);
        clock.set(T0 + 600);
        assert!(dial(&originator, &server).await.unwrap().facts.resumed);
        clock.set(T0 + 601);
        assert_eq!(dial(&originator, &server).await.unwrap_err().reason(), "certificate_expired");
    }
}
