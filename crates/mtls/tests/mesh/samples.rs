//! What real Consul servers answered, at the time when they did.

use mesh_id::SpiffeId;
use mtls::{
    ConnectTarget, Leaf, LeafDocument, LeafKey, RootsDocument, TrustBundle, TrustSet, Trusts, UnixTime,
};
use tokio::io::duplex;

use crate::support::{Mesh, at, exchange, key};

/// Evening of 23 November 2026: all of them are valid.
const THEN: u64 = 1_795_464_000;

macro_rules! sample {
    ($path:literal) => {
        include_str!(concat!("../samples/consul-", $path))
    };
}

fn roots(text: &str) -> TrustBundle {
    let document: RootsDocument = serde_json::from_str(text).unwrap();
    TrustBundle::from_document(&document, now()).unwrap()
}

fn leaf(text: &str) -> Leaf {
    let document: LeafDocument = serde_json::from_str(text).unwrap();
    let expected = SpiffeId::parse(&document.service_uri).unwrap();
    Leaf::from_document(&document, &expected, now()).unwrap()
}

fn now() -> UnixTime {
    at(THEN)
}

#[test]
fn every_leaf_and_every_list_of_roots_is_read() {
    let roots_1_10 = roots(sample!("1.10.1/connect-ca-roots.json"));
    assert_eq!(roots_1_10.trust_domain().as_str(), "0339c78f-3733-1133-f4e3-d373f6f33363.consul");
    let anchor = roots_1_10.anchors(now()).next().unwrap();
    assert_eq!(anchor.subject, "CN=pri-8ykmzvcm.consul.ca.0339c78f.consul");
    assert_eq!(anchor.serial.to_string(), "07");

    let secure = leaf(sample!("1.10.1/agent-connect-ca-leaf-secure.json"));
    assert_eq!(secure.serial().to_string(), "11");
    assert_eq!(
        secure.id().to_string(),
        "spiffe://0339c78f-3733-1133-f4e3-d373f6f33363.consul/ns/default/dc/dc1/svc/secure"
    );
    assert_eq!(secure.validity().not_after.as_secs() - secure.validity().not_before.as_secs(), 72 * 3600);
    assert_eq!(secure.warning(), None);

    let roots_1_21 = roots(sample!("1.21/agent-connect-ca-roots.json"));
    for text in [
        sample!("1.21/agent-connect-ca-leaf-web.json"),
        sample!("1.21/agent-connect-ca-leaf-mesh-gateway.json"),
        sample!("1.21/agent-connect-ca-leaf-dns.json"),
    ] {
        roots_1_21.check_leaf(&leaf(text), now()).unwrap();
    }
}

#[test]
fn rows_11_to_16_with_real_certificates() {
    let old = roots(sample!("1.10.1/connect-ca-roots.json"));
    let both = roots(sample!("1.10.1/rotation-connect-ca-roots.json"));
    let new = roots(sample!("1.10.1/secondary-connect-ca-roots.json"));
    assert_eq!([&old, &both, &new].map(|bundle| bundle.anchors(now()).count()), [1, 2, 1]);
    let l1 = leaf(sample!("1.10.1/agent-connect-ca-leaf-secure.json"));
    let l2 = leaf(sample!("1.10.1/rotation-leaf-secure.json"));
    let fresh = leaf(sample!("1.10.1/rotation-leaf-new-service.json"));
    let secondary = leaf(sample!("1.10.1/secondary-leaf-web.json"));
    assert_eq!([&l1, &l2, &fresh, &secondary].map(|leaf| leaf.chain().len()), [1, 2, 2, 3]);
    for bundle in [&old, &both, &new] {
        for leaf in [&l2, &fresh, &secondary] {
            bundle.check_leaf(leaf, now()).unwrap();
        }
    }
    old.check_leaf(&l1, now()).unwrap();
    both.check_leaf(&l1, now()).unwrap();
    assert_eq!(new.check_leaf(&l1, now()).unwrap_err().reason(), "unknown_issuer");
}

#[test]
fn row_51_the_list_of_a_peer_is_that_of_its_own_mesh() {
    let own = roots(sample!("1.21/ca-roots-after-rotation.json"));
    let peering: serde_json::Value =
        serde_json::from_str(sample!("1.21/peering-bpeer-after-rotation.json")).unwrap();
    let pems: Vec<String> = serde_json::from_value(peering["PeerCAPems"].clone()).unwrap();
    let peer = TrustBundle::build(own.trust_domain().clone(), &pems, now()).unwrap();
    assert_eq!(peer.fingerprint(), own.fingerprint(), "in whatever order");
    peer.check_leaf(&leaf(sample!("1.21/agent-connect-ca-leaf-rotated.json")), now()).unwrap();
}

#[test]
fn the_concatenated_pem_of_the_servers() {
    let text = sample!("1.10.1/rotation-connect-ca-roots-pem.txt");
    let trust_domain = roots(sample!("1.10.1/connect-ca-roots.json")).trust_domain().clone();
    // It holds the roots and, among them, the cross-signed certificate of the active one.
    assert_eq!(TrustBundle::build(trust_domain, [text], now()).unwrap().anchors(now()).count(), 3);
}

#[tokio::test]
async fn two_services_of_a_real_mesh_talk() {
    let mut mesh = Mesh::empty(THEN);
    mesh.trust_set(TrustSet::new(roots(sample!("1.10.1/rotation-connect-ca-roots.json"))));
    let (secure, web) =
        (leaf(sample!("1.10.1/rotation-leaf-secure.json")), leaf(sample!("1.10.1/secondary-leaf-web.json")));
    let expected = vec![secure.id().clone()];
    mesh.store
        .update(|edit| {
            edit.set_leaf(key("secure"), secure, Trusts::OwnOnly);
            edit.set_leaf(key("web"), web.clone(), Trusts::OwnOnly);
        })
        .unwrap();
    let server_name = "secure.default.dc1.internal.0339c78f-3733-1133-f4e3-d373f6f33363.consul".to_owned();
    let target = ConnectTarget { server_name, expected, alpn: Vec::new() };
    let connector = mesh.watch.connector(LeafKey::new("web".parse().unwrap()), target).unwrap();
    let acceptor = mesh.watch.acceptor(&key("secure")).unwrap();
    let (near, far) = duplex(1 << 16);
    let (accepted, connected) = tokio::join!(
        async {
            let mut accepted = acceptor.accept(near).await.unwrap();
            exchange(&mut accepted.stream).await.unwrap();
            accepted
        },
        async {
            let mut connected = connector.connect(far).await.unwrap();
            exchange(&mut connected.stream).await.unwrap();
            connected
        }
    );
    assert_eq!(accepted.peer.id(), web.id());
    assert_eq!(accepted.peer.serial().to_string(), "0b");
    assert_eq!(connected.peer.serial().to_string(), "1a");
}
