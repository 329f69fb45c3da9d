//! Peered clusters, each with roots of its own.

use mtls::{TrustSet, Trusts};

use crate::support::{Ca, Issued, Mesh, Spec, TD, bundle, leaf_uri};

const PEER: &str = "99999999-8888-7777-6666-555555555555.consul";

fn peer_uri() -> String {
    format!("spiffe://{PEER}/ns/default/dc/east/svc/api")
}

fn peer_leaf(ca: &Ca) -> Issued {
    ca.issue(&Spec::uri(&peer_uri()))
}

fn mesh(own: &Ca, peers: &[&Ca], trusts: Trusts) -> Mesh {
    let mut mesh = Mesh::empty(crate::support::T0);
    let now = mesh.clock.now();
    let mut trust = TrustSet::new(bundle(TD, &[own], now));
    if !peers.is_empty() {
        trust = trust.with_peer(bundle(PEER, peers, now)).unwrap();
    }
    mesh.trust_set(trust);
    mesh.leaf_trusting("web", &own.leaf("web"), trusts);
    mesh
}

#[tokio::test]
async fn row_49_a_peer_is_verified_with_its_own_bundle_only() {
    let (own, theirs) = (Ca::root("own"), Ca::root("theirs"));
    let mesh = mesh(&own, &[&theirs], Trusts::OwnAndPeers);
    assert_eq!(mesh.verdict(&peer_leaf(&theirs)).await, Ok(peer_uri()));
    assert_eq!(mesh.verdict(&own.leaf("api")).await, Ok(leaf_uri("api")));
    // The peer's CA may not speak for us.
    assert_eq!(mesh.verdict(&theirs.leaf("api")).await, Err("unknown_issuer".to_owned()));
}

#[tokio::test]
async fn row_50_no_bundle_or_our_own_root_for_their_name() {
    let (own, theirs) = (Ca::root("own"), Ca::root("theirs"));
    let unknown = mesh(&own, &[], Trusts::OwnAndPeers);
    assert_eq!(unknown.verdict(&peer_leaf(&theirs)).await, Err("foreign_trust_domain".to_owned()));
    let known = mesh(&own, &[&theirs], Trusts::OwnAndPeers);
    assert_eq!(known.verdict(&peer_leaf(&own)).await, Err("unknown_issuer".to_owned()));
}

#[tokio::test]
async fn row_51_a_peer_that_rotates() {
    let (own, old, new) = (Ca::root("own"), Ca::root("old"), Ca::root("new"));
    let mesh = mesh(&own, &[&old, &new], Trusts::OwnAndPeers);
    for ca in [&old, &new] {
        assert_eq!(mesh.verdict(&peer_leaf(ca)).await, Ok(peer_uri()));
    }
}

#[tokio::test]
async fn a_service_that_is_not_exported_to_peers_knows_none() {
    let (own, theirs) = (Ca::root("own"), Ca::root("theirs"));
    let mesh = mesh(&own, &[&theirs], Trusts::OwnOnly);
    assert_eq!(mesh.verdict(&peer_leaf(&theirs)).await, Err("foreign_trust_domain".to_owned()));
}

#[test]
fn each_trust_domain_has_one_bundle() {
    let (own, theirs) = (Ca::root("own"), Ca::root("theirs"));
    let now = crate::support::at(crate::support::T0);
    let trust = TrustSet::new(bundle(TD, &[&own], now));
    let error = trust.clone().with_peer(bundle(TD, &[&theirs], now)).unwrap_err();
    assert_eq!(error.reason(), "duplicate_trust_domain");
    let once = trust.clone().with_peer(bundle(PEER, &[&theirs], now)).unwrap();
    assert_ne!(once.fingerprint(), trust.fingerprint());
    assert_eq!(once.with_peer(bundle(PEER, &[&own], now)).unwrap_err().reason(), "duplicate_trust_domain");
}
