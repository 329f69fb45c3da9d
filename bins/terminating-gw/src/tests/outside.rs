//! The way to the external service: several instances, TLS, a source address.

use std::sync::Arc;

use gateway_runtime::reason::Reason;
use rcgen::SanType;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::clients::web;
use super::world::{Ca, Catalog, Issued, Outside, World, within};

/// Nobody listens there.
fn refusing() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn acceptor(certificate: &Issued) -> TlsAcceptor {
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der.clone()], certificate.key_der());
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

fn external() -> (Ca, Issued) {
    let ca = Ca::new("spiffe://external.example");
    let certificate = ca.issue(vec![SanType::DnsName("db.ext.example".try_into().unwrap())]);
    (ca, certificate)
}

const LINK: &str = "CAFile = \"external.pem\"\nSNI = \"db.ext.example\"";

fn to_tls(instances: &[std::net::SocketAddr], ca: &Ca) -> Catalog {
    let mut catalog = Catalog::billing(instances);
    catalog.write("external.pem", &ca.pem);
    catalog.link("billing", LINK);
    catalog
}

#[tokio::test]
async fn an_instance_that_refuses_is_followed_by_another() {
    for _ in 0..4 {
        let outside = Outside::new().await;
        let world = World::new(Catalog::billing(&[refusing(), outside.address])).await;
        let client = web(&world).await;
        drop((client, outside.accept().await));
        assert!(world.record().await.attempts <= 2);
    }
    let world = World::new(Catalog::billing(&[refusing(), refusing(), refusing()])).await;
    let mut client = web(&world).await.stream;
    assert!(within(client.read(&mut [0])).await.is_err());
    let record = world.record().await;
    assert_eq!((record.reason, record.attempts), (Reason::ConnectRefused, 2), "one further, and no more");
}

#[tokio::test]
async fn connections_leave_from_the_source_address() {
    let outside = Outside::new().await;
    let world = World::with(Catalog::billing(&[outside.address]), &[("SOURCE_ADDRESS", "127.0.0.9")]).await;
    let _client = web(&world).await;
    assert_eq!(outside.accept().await.peer_addr().unwrap().ip().to_string(), "127.0.0.9");
    let world = World::with(Catalog::billing(&[outside.address]), &[("SOURCE_ADDRESS", "192.0.2.77")]).await;
    drop(web(&world).await);
    assert_eq!(world.record().await.reason, Reason::SourceAddress);
    assert!(outside.nobody_came());
}

#[tokio::test]
async fn tls_is_spoken_where_the_link_says_so() {
    let (ca, certificate) = external();
    let outside = Outside::new().await;
    let world = World::new(to_tls(&[outside.address], &ca)).await;
    let (client, server) = tokio::join!(web(&world), async {
        acceptor(&certificate).accept(outside.accept().await).await.unwrap()
    });
    let (mut client, mut server) = (client.stream, server);
    assert_eq!(server.get_ref().1.server_name(), Some("db.ext.example"));
    client.write_all(b"q").await.unwrap();
    within(server.read_exact(&mut [0])).await.unwrap();
    server.write_all(b"a").await.unwrap();
    server.shutdown().await.unwrap();
    let mut all = Vec::new();
    within(client.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"a");
    client.shutdown().await.unwrap();
    assert_eq!(world.record().await.reason, Reason::Closed);
    assert_eq!(world.metric("gateway_upstream_tls_handshakes_total"), Some(1));
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_is_left_and_another_one_tried() {
    let (ca, good) = external();
    let (_, stranger) = external();
    let (first, second) = (Outside::new().await, Outside::new().await);
    let world = World::new(to_tls(&[first.address, second.address], &ca)).await;
    let serve = async |outside: &Outside, certificate: &Issued| {
        let acceptor = acceptor(certificate);
        loop {
            let stream = outside.accept().await;
            if let Ok(mut stream) = acceptor.accept(stream).await {
                stream.write_all(b"hello").await.unwrap();
                let _gone = within(stream.read(&mut [0])).await;
            }
        }
    };
    let calls = async {
        for _ in 0..4 {
            let mut client = web(&world).await.stream;
            let mut got = [0; 5];
            within(client.read_exact(&mut got)).await.unwrap();
            client.shutdown().await.unwrap();
        }
    };
    tokio::select! {
        () = calls => {}
        () = serve(&first, &stranger) => {}
        () = serve(&second, &good) => {}
    }
    let failures = world.metric(r#"gateway_upstream_tls_failures_total{cause="unknown_issuer"}"#);
    assert!(failures.is_some_and(|count| count >= 1), "{failures:?}");
}

#[tokio::test]
async fn where_no_server_proves_its_name_nothing_is_sent() {
    let (ca, _) = external();
    let (_, stranger) = external();
    let outside = Outside::new().await;
    let world = World::new(to_tls(&[outside.address], &ca)).await;
    let (client, served) =
        tokio::join!(web(&world), async { acceptor(&stranger).accept(outside.accept().await).await });
    assert!(served.is_err());
    let mut client = client.stream;
    assert!(within(client.read(&mut [0])).await.is_err());
    let record = world.record().await;
    assert_eq!((record.reason, record.down), (Reason::UpstreamTls, 0));
    assert!(record.detail.is_some_and(|detail| detail.contains("root")));
}

/// The files of the link are bad: it is refused, and never spoken to in clear.
#[tokio::test]
async fn bad_files_never_lead_to_a_connection_in_clear() {
    let (ca, certificate) = external();
    let outside = Outside::new().await;
    let mut world = World::new(to_tls(&[outside.address], &ca)).await;
    let broken = {
        let snapshot = Arc::clone(world.gateway.live.load().snapshot());
        let mut service = (*snapshot.services[0]).clone();
        service.origination =
            Some(gateway_state::terminating::Origination::Broken { why: "no such file".into() });
        let mut next = (*snapshot).clone();
        next.services = Arc::new([Arc::new(service)]);
        Arc::new(next)
    };
    world.publish(&broken);
    let mut client = web(&world).await.stream;
    assert!(within(client.read(&mut [0])).await.is_err());
    let record = world.record().await;
    assert_eq!((record.reason, record.detail.as_deref()), (Reason::UpstreamTls, Some("no such file")));
    assert!(outside.nobody_came());
    // Mended, it is served again.
    world.reload();
    let (client, server) = tokio::join!(web(&world), async {
        acceptor(&certificate).accept(outside.accept().await).await.unwrap()
    });
    drop((client, server));
}

#[tokio::test]
async fn a_plain_server_where_tls_is_due_gets_no_byte_of_the_caller() {
    let (ca, _) = external();
    let outside = Outside::new().await;
    let world = World::new(to_tls(&[outside.address], &ca)).await;
    let (client, got) = tokio::join!(web(&world), async {
        let mut stream: TcpStream = outside.accept().await;
        stream.write_all(b"220 plain speaking server\r\n").await.unwrap();
        let mut got = Vec::new();
        let _reset = stream.read_to_end(&mut got).await;
        got
    });
    drop(client);
    assert_eq!(got.first(), Some(&22), "a handshake record, and nothing else");
    assert_eq!(world.record().await.reason, Reason::UpstreamTls);
}
