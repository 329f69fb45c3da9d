//! The harness holds together without a gateway: its two ends talk, its strangers are strange, its waiting ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gateway_testkit::{
    Backend, ClientSidecar, Deadline, End, Hello, Lab, Netns, Pki, Place, Script, ServerSidecar, Sidecar,
    Signal, Site, Stranger, TwoDatacenters, Upstream, Via, eventually, group, may_use_namespaces, pause,
    trickle, wait_for,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

#[tokio::test]
async fn both_ends_of_a_call_know_each_other() {
    let pki = Pki::development().unwrap();
    let server = ServerSidecar::start(&pki, Sidecar::new("billing", "billing-1", "dc2")).unwrap();
    let client = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
    let upstream = Upstream::new("billing", "dc2");
    let mut call = client.call(&upstream, Via::Direct(server.address())).await.unwrap();
    assert_eq!(call.greeting.instance, "billing-1");
    assert_eq!(call.greeting.identity, pki.service_id("frontend", "dc1"));
    assert_eq!(call.greeting.sni.as_deref(), Some(upstream.sni(pki.trust_domain()).as_str()));
    assert_eq!((call.greeting.peer, call.greeting.address), (call.local, server.address()));
    assert_eq!(call.identity, server.identity());
    call.echo(&vec![7; 300_000]).await.unwrap();
    call.close().await.unwrap();
    assert_eq!((server.accepted(), server.served(), server.refused()), (1, 1, 0));
}

#[tokio::test]
async fn a_client_takes_no_other_service_for_the_one_it_called() {
    let pki = Pki::development().unwrap();
    let server = ServerSidecar::start(&pki, Sidecar::new("web", "web-1", "dc2")).unwrap();
    let client = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
    let error =
        client.call(&Upstream::new("billing", "dc2"), Via::Direct(server.address())).await.unwrap_err();
    assert!(format!("{error:#}").contains("/svc/web, not spiffe://"), "{error:#}");
}

#[tokio::test]
async fn another_ca_of_the_same_trust_domain_is_not_trusted() {
    let (home, other) = (Pki::development().unwrap(), Pki::development().unwrap());
    let server = ServerSidecar::start(&home, Sidecar::new("web", "web-1", "dc2")).unwrap();
    let upstream = Upstream::new("web", "dc2");
    let via = Via::Direct(server.address());
    let stranger = ClientSidecar::new(&other, "frontend", "dc1").unwrap();
    assert!(stranger.call(&upstream, via).await.is_err(), "the client takes the server for its own");
    let stranger = ClientSidecar::new(&other, "frontend", "dc1").unwrap().trusting(&home);
    assert!(stranger.call(&upstream, via).await.is_err(), "the server takes the client for its own");
    eventually(Deadline::usual(), "two refused handshakes", async || server.refused() == 2).await;
}

#[tokio::test]
async fn a_server_answers_the_builders_hello_however_it_is_cut() {
    let pki = Pki::development().unwrap();
    let server = ServerSidecar::start(&pki, Sidecar::new("web", "web-1", "dc2")).unwrap();
    let name = Upstream::new("web", "dc2").sni(pki.trust_domain());
    for hello in [
        Hello::new(&name),
        Hello::new(&name).record_size(100).grease().ech(160),
        Hello::new(&name).groups(&[group::X25519, group::X25519_KYBER768]).names_last().padded_to(4096),
    ] {
        let mut stream = Place::Here.connect(server.address()).await.unwrap();
        trickle(&mut stream, &hello.bytes(), 700, async |_| pause(Duration::from_millis(1)).await)
            .await
            .unwrap();
        let mut head = [0; 6];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!((head[0], head[5]), (22, 2), "not a server hello: {head:?}");
    }
}

#[tokio::test]
async fn a_server_answers_no_stranger_with_a_hello() {
    let pki = Pki::development().unwrap();
    let server = ServerSidecar::start(&pki, Sidecar::new("web", "web-1", "dc2")).unwrap();
    for stranger in Stranger::ALL {
        let mut stream = Place::Here.connect(server.address()).await.unwrap();
        stream.write_all(stranger.bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good an answer as an end.
        let _ = stream.read_to_end(&mut answer).await;
        assert_ne!(answer.first(), Some(&22), "{stranger:?}");
    }
    assert_eq!(server.served(), 0);
}

#[tokio::test]
async fn plain_servers_follow_their_script() {
    let first = Backend::local(Script::HalfCloseFirst(b"bye".to_vec())).unwrap();
    let mut stream = Place::Here.connect(first.address()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    stream.write_all(b"still here").await.unwrap();
    stream.shutdown().await.unwrap();
    let seen = first.wait(Deadline::usual(), "its end", |seen| seen.end.is_some()).await.unwrap();
    assert_eq!((text.as_str(), &seen.received[..], seen.end), ("bye", &b"still here"[..], Some(End::Eof)));

    let reset = Backend::local(Script::ResetAfter(1)).unwrap();
    let mut stream = Place::Here.connect(reset.address()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn refused_and_unanswered_addresses_are_what_they_say() {
    let refusing = Backend::refusing(&Place::Here, LOOPBACK.into()).unwrap();
    let error = Place::Here.connect(refusing.address()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    let hole = Backend::black_hole(&Place::Here, LOOPBACK.into()).await.unwrap();
    let attempt =
        tokio::time::timeout(gateway_testkit::BLACK_HOLE_PROBE, Place::Here.connect(hole.address())).await;
    assert!(attempt.is_err(), "answered: {attempt:?}");
}

#[tokio::test]
async fn waiting_in_vain_says_for_what() {
    let error = wait_for(Deadline::after(Duration::from_millis(5)), "the moon", async || None::<()>).await;
    assert!(error.unwrap_err().to_string().ends_with("in vain for: the moon"));
}

/// A program that behaves as a gateway does towards whoever starts it. A file of the repository: one that a test had
/// just written could still be open for writing in some other test's child.
fn actor(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "actors", name].iter().collect()
}

#[tokio::test]
async fn a_gateway_is_up_when_it_says_so_and_gives_its_exit_code() {
    let lab = Lab::new().unwrap();
    let gateway = lab.gateway("dc1").binary(actor("starts")).start().await.unwrap();
    assert_eq!(gateway.address().unwrap().port(), 2);
    assert_eq!(gateway.admin().unwrap().address().port(), 1);
    assert!(gateway.memory().unwrap().resident > 0 && gateway.is_running());
    gateway.signal(Signal::TERM).unwrap();
    assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 4);
}

#[tokio::test]
async fn a_gateway_that_does_not_start_says_why() {
    let lab = Lab::new().unwrap();
    let error = lab.gateway("dc1").binary(actor("fails")).start().await.unwrap_err().to_string();
    assert!(error.contains("ended with 3") && error.contains("address in use"), "{error}");
}

#[test]
fn a_failed_test_keeps_its_folder_and_a_passed_one_does_not() {
    let dir = Lab::new().unwrap().dir().to_owned();
    assert!(!dir.exists());
    let failed = std::panic::catch_unwind(|| {
        let lab = Lab::new().unwrap();
        std::fs::write(lab.dir().join("gateway.log"), "shown when a test fails\n").unwrap();
        panic!("on purpose, to see what stays");
    });
    assert!(failed.is_err() && dir.join("gateway.log").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn datacenters_share_addresses_and_only_their_edges_meet() {
    if !may_use_namespaces() {
        return;
    }
    let world = TwoDatacenters::build().unwrap();
    let service = SocketAddr::new(Site::SERVICE, 8000);
    let start = |site: &Site, says: &str| {
        Backend::start(&Place::from(&site.hosts), service, Script::HalfCloseFirst(says.into())).unwrap()
    };
    let _both = [start(&world.a, "a"), start(&world.b, "b")];
    let far =
        Backend::start(&Place::from(&world.b.edge), world.b.wan(0), Script::HalfCloseFirst("wan".into()));
    let far = far.unwrap();
    let ask = async |from: &Netns, to: SocketAddr| -> std::io::Result<String> {
        let mut text = String::new();
        Place::from(from).connect(to).await?.read_to_string(&mut text).await?;
        Ok(text)
    };
    assert_eq!(ask(&world.a.edge, service).await.unwrap(), "a");
    assert_eq!(ask(&world.b.edge, service).await.unwrap(), "b");
    assert_eq!(ask(&world.a.edge, far.address()).await.unwrap(), "wan");
    let error = ask(&world.a.hosts, far.address()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NetworkUnreachable);
}
