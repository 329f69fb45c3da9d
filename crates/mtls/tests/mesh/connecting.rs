//! The client side into the mesh.

use mtls::{
    ConnectTarget, Connected, Connector, HandshakeError, MeshTls, PeerKind, TlsDirectionDocument,
    TlsParameters, TrustSet,
};
use rcgen::ExtendedKeyUsagePurpose;
use tokio::io::DuplexStream;

use crate::support::{
    Ca, HOUR, Issued, Mesh, Server, Spec, T0, TD, bundle, exchange, id, key, leaf_uri, meet_server,
};

const SNI: &str = "billing.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul";

fn uri(datacenter: &str) -> String {
    format!("spiffe://{TD}/ns/default/dc/{datacenter}/svc/billing")
}

fn connector(mesh: &Mesh, expected: &[&str]) -> Connector {
    let target = ConnectTarget {
        server_name: SNI.to_owned(),
        expected: expected.iter().map(|uri| id(uri)).collect(),
        alpn: Vec::new(),
    };
    mesh.watch.connector(key("web"), target).unwrap()
}

async fn dial(connector: &Connector, server: &Server) -> Result<Connected<DuplexStream>, HandshakeError> {
    let connect = |near| async {
        let mut connected = connector.connect(near).await?;
        let _ = exchange(&mut connected.stream).await;
        Ok(connected)
    };
    meet_server(server, connect).await.0
}

/// Who answers when `expected` is dialed, or the reason why there is no connection.
async fn verdict(mesh: &Mesh, expected: &[&str], answers: &Issued) -> Result<String, String> {
    match dial(&connector(mesh, expected), &Server::new(answers)).await {
        Ok(connected) => Ok(connected.peer.id().to_string()),
        Err(error) => Err(error.reason().to_owned()),
    }
}

fn refused(reason: &str) -> Result<String, String> {
    Err(reason.to_owned())
}

#[tokio::test]
async fn the_one_that_is_expected_answers() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let billing = root.issue(&Spec::uri(&uri("dc1")));
    let connect = |near| async {
        let mut connected = connector(&mesh, &[&uri("dc1")]).connect(near).await.unwrap();
        exchange(&mut connected.stream).await.unwrap();
        connected
    };
    let (connected, server) = meet_server(&Server::new(&billing), connect).await;
    assert_eq!(connected.peer.id().to_string(), uri("dc1"));
    assert_eq!(connected.peer.kind(), PeerKind::Service);
    assert!(connected.facts.is_post_quantum() && !connected.facts.resumed);
    let server = server.unwrap();
    let connection = server.get_ref().1;
    assert_eq!(connection.server_name(), Some(SNI));
    let leaf = mesh.watch.leaf(&key("web")).unwrap();
    assert_eq!(connection.peer_certificates().unwrap(), leaf.chain(), "our leaf is shown");
}

#[tokio::test]
async fn row_33_another_datacenter_answers() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let dc1 = root.issue(&Spec::uri(&uri("dc1")));
    assert_eq!(verdict(&mesh, &[&uri("dc2")], &dc1).await, refused("unexpected_peer"));
}

#[tokio::test]
async fn row_34_failover() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let dc2 = root.issue(&Spec::uri(&uri("dc2")));
    assert_eq!(verdict(&mesh, &[&uri("dc1"), &uri("dc2")], &dc2).await, Ok(uri("dc2")));
}

#[tokio::test]
async fn row_35_an_agent_answers() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let agent_uri = format!("spiffe://{TD}/agent/client/dc/dc1/id/uuid");
    let agent = root.issue(&Spec::uri(&agent_uri));
    assert_eq!(verdict(&mesh, &[&uri("dc1")], &agent).await, refused("unexpected_peer"));
    // Not even if somebody asks for it.
    assert_eq!(verdict(&mesh, &[&agent_uri], &agent).await, refused("not_a_service"));
}

#[tokio::test]
async fn whoever_is_not_to_be_believed() {
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let mesh = Mesh::new(&[&root]);
    let mut for_clients = Spec::uri(&uri("dc1"));
    for_clients.usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for (spec, reason) in [
        (Spec::uri(&uri("dc1")).valid(0, 1000), "certificate_expired"),
        (Spec::uri(&uri("dc1")).valid(T0 + 1, T0 + HOUR), "certificate_not_yet_valid"),
        (for_clients, "certificate_wrong_purpose"),
        (Spec::uris(&[&uri("dc1"), &uri("dc2")]), "several_uri_sans"),
        (Spec::uris(&[]).dns(SNI), "no_spiffe_id"),
    ] {
        assert_eq!(verdict(&mesh, &[&uri("dc1")], &root.issue(&spec)).await, refused(reason));
    }
    let stranger = other.issue(&Spec::uri(&uri("dc1")));
    assert_eq!(verdict(&mesh, &[&uri("dc1")], &stranger).await, refused("unknown_issuer"));
}

#[tokio::test]
async fn a_peer_answers_and_is_verified_with_its_own_roots() {
    let (own, theirs) = (Ca::root("own"), Ca::root("theirs"));
    let mut mesh = Mesh::new(&[&own]);
    let peer = "spiffe://peer.consul/ns/default/dc/east/svc/billing";
    let (good, forged) = (theirs.issue(&Spec::uri(peer)), own.issue(&Spec::uri(peer)));
    assert_eq!(verdict(&mesh, &[peer], &good).await, refused("foreign_trust_domain"));
    let now = mesh.clock.now();
    let trust =
        TrustSet::new(bundle(TD, &[&own], now)).with_peer(bundle("peer.consul", &[&theirs], now)).unwrap();
    mesh.trust_set(trust);
    assert_eq!(verdict(&mesh, &[peer], &good).await, Ok(peer.to_owned()));
    assert_eq!(verdict(&mesh, &[peer], &forged).await, refused("unknown_issuer"));
}

#[tokio::test]
async fn sessions_are_resumed_and_end_with_every_change() {
    let (root, more) = (Ca::root("root"), Ca::root("more"));
    let billing = root.issue(&Spec::uri(&uri("dc1")).valid(T0, T0 + 900 * HOUR));
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let mut mesh = Mesh::new(&[&root]);
        mesh.leaf("web", &root.issue(&Spec::service("web").valid(T0, T0 + 900 * HOUR)));
        let server = Server::with(&billing, versions, |_| {});
        let connector = connector(&mesh, &[&uri("dc1")]);
        let changes: [fn(&mut Mesh, &Ca, &Ca); 4] = [
            |_, _, _| {},
            |mesh, root, _| mesh.leaf("web", &root.issue(&Spec::service("web").valid(T0, T0 + 900 * HOUR))),
            |mesh, root, more| mesh.trust(&[root, more]),
            |mesh, _, _| mesh.clock.set(T0 + HOUR),
        ];
        for (index, change) in changes.iter().enumerate() {
            change(&mut mesh, &root, &more);
            assert!(!dial(&connector, &server).await.unwrap().facts.resumed, "change {index}");
            assert!(dial(&connector, &server).await.unwrap().facts.resumed, "after change {index}");
        }
    }
}

#[tokio::test]
async fn a_session_is_not_resumed_for_another_target() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let server = Server::new(&root.issue(&Spec::uri(&uri("dc1"))));
    let one = connector(&mesh, &[&uri("dc1")]);
    dial(&one, &server).await.unwrap();
    assert!(dial(&one, &server).await.unwrap().facts.resumed);
    // The same name, but somebody else is expected.
    let other = connector(&mesh, &[&uri("dc2")]);
    assert_eq!(dial(&other, &server).await.unwrap_err().reason(), "unexpected_peer");
}

#[tokio::test]
async fn a_resumed_server_whose_certificate_or_root_has_ended() {
    let root = Ca::root("root");
    let ending = Ca::root_with("ending", crate::support::root_validity(T0 - HOUR, T0 + 600));
    let short = root.issue(&Spec::uri(&uri("dc1")).valid(T0 - 60, T0 + 600));
    for (billing, reason) in
        [(short, "certificate_expired"), (ending.issue(&Spec::uri(&uri("dc1"))), "unknown_issuer")]
    {
        for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
            let mesh = Mesh::new(&[&root, &ending]);
            let server = Server::with(&billing, versions, |_| {});
            let connector = connector(&mesh, &[&uri("dc1")]);
            dial(&connector, &server).await.unwrap();
            mesh.clock.set(T0 + 600);
            assert!(dial(&connector, &server).await.unwrap().facts.resumed, "its last second counts");
            mesh.clock.set(T0 + 601);
            assert_eq!(dial(&connector, &server).await.unwrap_err().reason(), reason);
        }
    }
}

#[tokio::test]
async fn roots_that_change_while_the_handshake_is_under_way_count() {
    let (root, new) = (Ca::root("root"), Ca::root("new"));
    let mut mesh = Mesh::new(&[&root, &new]);
    let server = Server::new(&root.issue(&Spec::uri(&uri("dc1"))));
    let connector = connector(&mesh, &[&uri("dc1")]);
    let connector = &connector;
    let change = || mesh.trust(&[&new]);
    let connect = |near: DuplexStream| async move {
        connector.connect(crate::support::OnFirstRead::new(near, change)).await.map(drop)
    };
    let (connected, _) = meet_server(&server, connect).await;
    assert_eq!(connected.unwrap_err().reason(), "unknown_issuer");
}

#[tokio::test]
async fn what_is_missing_is_told() {
    let root = Ca::root("root");
    let server = Server::new(&root.issue(&Spec::uri(&uri("dc1"))));
    let mut mesh = Mesh::empty(T0);
    let connector = connector(&mesh, &[&uri("dc1")]);
    let reason = async |connector: &Connector| dial(connector, &server).await.map(drop).unwrap_err().reason();
    assert_eq!(reason(&connector).await, "no_roots");
    mesh.trust(&[&root]);
    assert_eq!(reason(&connector).await, "no_leaf");
    mesh.leaf("web", &root.issue(&Spec::service("web").valid(T0, T0 + HOUR)));
    assert!(dial(&connector, &server).await.is_ok());
    mesh.clock.set(T0 + HOUR + 1);
    assert_eq!(reason(&connector).await, "own_certificate_expired");
}

#[tokio::test]
async fn a_target_must_make_sense() {
    let mesh = Mesh::empty(T0);
    let target = |server_name: &str, expected: Vec<mesh_id::SpiffeId>| {
        let target = ConnectTarget { server_name: server_name.to_owned(), expected, alpn: Vec::new() };
        mesh.watch.connector(key("web"), target).map(drop)
    };
    assert_eq!(target(SNI, Vec::new()).unwrap_err().reason(), "nothing_expected");
    assert_eq!(target("no name", vec![id(&uri("dc1"))]).unwrap_err().reason(), "bad_server_name");
    assert!(target("a_b.default.dc1.internal.x.consul", vec![id(&uri("dc1"))]).is_ok());
}

#[tokio::test]
async fn a_refusal_by_tls_13_comes_with_the_first_read() {
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let mut mesh = Mesh::new(&[&root]);
    mesh.leaf("web", &other.leaf("web"));
    // A gateway of another cluster that does not know our root.
    let far = Mesh::new(&[&root]);
    let target =
        ConnectTarget { server_name: SNI.to_owned(), expected: vec![id(&leaf_uri("web"))], alpn: Vec::new() };
    let connector = mesh.watch.connector(key("web"), target).unwrap();
    let (near, server_end) = tokio::io::duplex(1 << 16);
    let acceptor = far.acceptor();
    let (accepted, read) = tokio::join!(acceptor.accept(server_end), async {
        let mut connected = connector.connect(near).await.unwrap();
        exchange(&mut connected.stream).await.unwrap_err()
    });
    assert_eq!(accepted.unwrap_err().reason(), "unknown_issuer");
    assert_eq!(HandshakeError::from_io(read).reason(), "tls_alert");
}

#[tokio::test]
async fn outgoing_parameters_and_protocols() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let document = TlsDirectionDocument { tls_max_version: "TLSv1_2".to_owned(), ..Default::default() };
    let outgoing = TlsParameters::from_document(&document).unwrap();
    mesh.store.update(|edit| edit.set_mesh_tls(MeshTls { outgoing, ..MeshTls::default() })).unwrap();
    let billing = root.issue(&Spec::uri(&uri("dc1")));
    let target = |alpn: &[&[u8]]| {
        let expected = vec![id(&uri("dc1"))];
        let alpn = alpn.iter().map(|name| name.to_vec()).collect();
        mesh.watch
            .connector(key("web"), ConnectTarget { server_name: SNI.to_owned(), expected, alpn })
            .unwrap()
    };
    let picky =
        Server::with(&billing, crate::support::BOTH, |config| config.alpn_protocols = vec![b"h2".to_vec()]);
    let facts = dial(&target(&[b"h2", b"http/1.1"]), &picky).await.unwrap().facts;
    assert_eq!(facts.version, Some(mtls::ProtocolVersion::TLSv1_2));
    assert_eq!(facts.alpn.as_deref(), Some(&b"h2"[..]));
    let facts = dial(&target(&[b"h2"]), &Server::new(&billing)).await.unwrap().facts;
    assert_eq!(facts.alpn, None, "a server that selects nothing");
}
