//! Whom a certificate names, and who is let in.

use mtls::PeerKind;
use rcgen::SanType;

use crate::support::{Ca, Client, Issued, Mesh, Spec, TD, leaf_uri, meet};

/// Who is found behind a certificate with this URI, under a root that is trusted.
async fn verdict(uri: &str) -> Result<String, String> {
    verdict_of(&Spec::uri(uri)).await
}

async fn verdict_of(spec: &Spec) -> Result<String, String> {
    let root = Ca::root("root");
    Mesh::new(&[&root]).verdict(&root.issue(spec)).await
}

fn refused(reason: &str) -> Result<String, String> {
    Err(reason.to_owned())
}

/// The URI, if a certificate with it is accepted and found to be just that.
async fn round_trip(uri: &str) {
    assert_eq!(verdict(uri).await.as_deref(), Ok(uri));
}

#[tokio::test]
async fn rows_1_to_3_services() {
    round_trip(&format!("spiffe://{TD}/ns/default/dc/dc01/svc/web")).await;
    round_trip(&format!("spiffe://{TD}/ap/bizdev/ns/default/dc/dc01/svc/web")).await;
    round_trip(&format!("spiffe://{TD}/ns/foo%2Fbar/dc/bar%2Fbaz/svc/baz%2Fqux")).await;
}

#[tokio::test]
async fn row_4_mesh_gateways_are_told_apart() {
    round_trip(&format!("spiffe://{TD}/gateway/mesh/dc/dc1")).await;
    round_trip(&format!("spiffe://{TD}/ap/x/gateway/mesh/dc/dc1")).await;
    let root = Ca::root("root");
    let gateway = root.issue(&Spec::uri(&format!("spiffe://{TD}/gateway/mesh/dc/dc1")));
    for (identity, kind) in [(gateway, PeerKind::MeshGateway), (root.leaf("api"), PeerKind::Service)] {
        let met = meet(&Mesh::new(&[&root]).acceptor(), &Client::new(Some(&identity))).await;
        let peer = met.accepted.unwrap().peer;
        assert_eq!((peer.kind(), peer.is_of_own_trust_domain()), (kind, true));
        assert_eq!(peer.serial().to_string(), "1a:07");
    }
}

#[tokio::test]
async fn rows_5_6_and_52_agents_servers_and_authorities() {
    for path in ["/agent/client/dc/dc1/id/uuid", "/agent/server/dc/dc1", ""] {
        assert_eq!(verdict(&format!("spiffe://{TD}{path}")).await, refused("not_a_service"), "{path}");
    }
}

#[tokio::test]
async fn rows_7_to_10_no_spiffe_id() {
    for uri in [
        "http://x/ns/a/dc/b/svc/c".to_owned(),
        format!("spiffe://{TD}/ns/default/dc/dc1/svc/"),
        format!("spiffe://{TD}/ns/default/dc/dc1/svc/web/"),
        format!("spiffe://{TD}/ns/default/dc/dc1/svc/a/b"),
        format!("spiffe://{TD}/dc/dc1/ns/default/svc/web"),
        format!("spiffe://{TD}:8443/ns/default/dc/dc1/svc/web"),
        format!("spiffe://{TD}/ns/default/dc/dc1/svc/web?a=b"),
        format!("spiffe://{TD}/ns/default/dc/dc1/svc/web#a"),
        format!("spiffe://a@{TD}/ns/default/dc/dc1/svc/web"),
        format!("spiffe://{TD}/ns/default/dc/dc1/svc/{}", "x".repeat(2100)),
    ] {
        assert_eq!(verdict(&uri).await, refused("bad_spiffe_id"), "{uri}");
    }
}

#[tokio::test]
async fn row_28_two_uris() {
    let (web, api) = (leaf_uri("web"), leaf_uri("api"));
    assert_eq!(verdict_of(&Spec::uris(&[&api, &web])).await, refused("several_uri_sans"));
    assert_eq!(verdict_of(&Spec::uris(&[&api, &api])).await, refused("several_uri_sans"));
    // Nor if only one of them is of the mesh.
    assert_eq!(verdict_of(&Spec::uris(&[&api, "https://api.test/"])).await, refused("several_uri_sans"));
}

#[tokio::test]
async fn row_29_dns_names_only() {
    assert_eq!(verdict_of(&Spec::uris(&[]).dns("api.test")).await, refused("no_spiffe_id"));
    assert_eq!(verdict_of(&Spec::uris(&[])).await, refused("no_spiffe_id"));
    let mut named = Spec::uris(&[]);
    named.common_name = Some("api");
    assert_eq!(verdict_of(&named).await, refused("no_spiffe_id"));
}

#[tokio::test]
async fn row_30_a_dns_name_beside_the_uri() {
    let mut spec = Spec::service("api").dns("api.test").dns("*.api.test");
    spec.names.push(SanType::IpAddress([10, 0, 0, 1].into()));
    assert_eq!(verdict_of(&spec).await.as_deref(), Ok(leaf_uri("api").as_str()));
}

#[tokio::test]
async fn row_32_a_host_in_capitals() {
    let root = Ca::root("root");
    // A trust domain with letters that have capitals.
    let spec = Spec::uri(&format!("spiffe://{}/ns/default/dc/dc1/svc/api", TD.to_uppercase()));
    assert_eq!(Mesh::new(&[&root]).verdict(&root.issue(&spec)).await, refused("foreign_trust_domain"));
}

#[tokio::test]
async fn what_consul_would_write_otherwise_is_somebody_else() {
    for path in
        ["/ns/default/dc/dc1/svc/w%65b", "/ap/default/ns/default/dc/dc1/svc/web", "/ns/a%2fb/dc/d/svc/web"]
    {
        assert_eq!(
            verdict(&format!("spiffe://{TD}{path}")).await,
            refused("spiffe_id_not_canonical"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn row_36_a_client_of_another_datacenter() {
    round_trip(&format!("spiffe://{TD}/ns/default/dc/dc2/svc/api")).await;
}

#[tokio::test]
async fn without_a_certificate_nobody_comes_in() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let client = Client::with(None, versions, |_| {});
        let met = meet(&mesh.acceptor(), &client).await;
        assert_eq!(met.reason(), "no_client_certificate");
        let error = met.client.unwrap_err();
        assert_eq!(mtls::HandshakeError::from_io(error).reason(), "tls_alert");
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_worth_nothing() {
    let root = Ca::root("root");
    let (stolen, thief) = (root.leaf("api"), root.leaf("thief"));
    let forged = Issued { key_pem: thief.key_pem, ..stolen };
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let client = Client::with(Some(&forged), versions, |_| {});
        assert_eq!(meet(&Mesh::new(&[&root]).acceptor(), &client).await.reason(), "bad_signature");
    }
}

#[tokio::test]
async fn the_far_end_hears_why() {
    use mtls::AlertDescription as Alert;
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let ended = Spec::service("api").valid(0, 1000);
    for (identity, alert) in [
        (other.leaf("api"), Alert::UnknownCA),
        (root.issue(&ended), Alert::CertificateExpired),
        (root.issue(&Spec::uris(&[])), Alert::CertificateUnknown),
    ] {
        let met = meet(&Mesh::new(&[&root]).acceptor(), &Client::new(Some(&identity))).await;
        let error = mtls::HandshakeError::from_io(met.client.unwrap_err());
        assert!(matches!(error, mtls::HandshakeError::Alert(got) if got == alert), "{error:?}, {alert:?}");
    }
}
