//! Every way in which a session could outlive the trust that it began under.
//!
//! Each test first shows that the client resumes, so that what follows is the effect of the change.

use std::sync::Arc;
use std::time::Duration;

use mtls::{MeshTls, SessionLimits, TlsDirectionDocument, TlsParameters, TrustSet, Trusts};
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

use crate::support::{
    Ca, Client, HOUR, Issued, Mesh, Met, Spec, T0, TD, bundle, key, leaf_uri, meet, meet_as, root_validity,
};

/// A client of each version that has just resumed a session with `web`.
async fn resuming(mesh: &Mesh, identity: &Issued) -> [Client; 2] {
    let clients = [Client::tls12(identity), Client::tls13(identity)];
    for client in &clients {
        let first = meet(&mesh.acceptor(), client).await;
        assert!(!first.resumed());
        let second = meet(&mesh.acceptor(), client).await;
        assert!(second.resumed());
        let (first, second) = (first.accepted.unwrap(), second.accepted.unwrap());
        assert_eq!(first.peer, second.peer, "a session brings its peer along");
    }
    clients
}

async fn all(mesh: &Mesh, clients: &[Client]) -> Vec<Met> {
    let mut met = Vec::new();
    for client in clients {
        met.push(meet(&mesh.acceptor(), client).await);
    }
    met
}

async fn assert_full_handshakes(mesh: &Mesh, clients: &[Client]) {
    for met in all(mesh, clients).await {
        assert!(!met.resumed(), "{met:?}");
    }
}

async fn assert_refused(mesh: &Mesh, clients: &[Client], reason: &str) {
    for met in all(mesh, clients).await {
        assert_eq!(met.reason(), reason, "{met:?}");
    }
}

#[tokio::test]
async fn nothing_changed() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    // What says the same again changes nothing.
    mesh.trust(&[&root]);
    let published = mesh.store.update(|edit| edit.set_mesh_tls(MeshTls::default())).unwrap();
    assert!(!published.changed);
    for met in all(&mesh, &clients).await {
        assert!(met.resumed());
    }
}

#[tokio::test]
async fn another_leaf() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    mesh.leaf("web", &root.leaf("web"));
    assert_full_handshakes(&mesh, &clients).await;
}

#[tokio::test]
async fn the_leaf_of_another_service_changes_nothing_here() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    mesh.leaf("other", &root.leaf("other"));
    for met in all(&mesh, &clients).await {
        assert!(met.resumed());
    }
}

#[tokio::test]
async fn one_root_more() {
    let (root, new) = (Ca::root("root"), Ca::root("new"));
    let mut mesh = Mesh::new(&[&root]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    mesh.trust(&[&root, &new]);
    assert_full_handshakes(&mesh, &clients).await;
}

#[tokio::test]
async fn row_40_its_root_is_gone() {
    let (root, new) = (Ca::root("root"), Ca::root("new"));
    let mut mesh = Mesh::new(&[&root, &new]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    mesh.trust(&[&new]);
    assert_refused(&mesh, &clients, "unknown_issuer").await;
}

#[tokio::test]
async fn its_root_is_gone_and_the_acceptor_was_taken_before() {
    let (root, new) = (Ca::root("root"), Ca::root("new"));
    let mut mesh = Mesh::new(&[&root, &new]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    let before = mesh.acceptor();
    mesh.trust(&[&new]);
    for client in &clients {
        assert_eq!(meet(&before, client).await.reason(), "unknown_issuer", "resumed");
    }
    let fresh = Client::new(Some(&root.leaf("api")));
    assert_eq!(meet(&before, &fresh).await.reason(), "unknown_issuer", "in full");
    let good = Client::new(Some(&new.leaf("api")));
    assert_eq!(meet(&before, &good).await.reason(), "accepted");
}

#[tokio::test]
async fn another_trust_domain() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    let web = root.issue(&Spec::uri("spiffe://new.consul/ns/default/dc/dc1/svc/web"));
    mesh.trust_set(TrustSet::new(bundle("new.consul", &[&root], mesh.clock.now())));
    assert_eq!(mesh.watch.acceptor(&key("web")).unwrap_err().reason(), "leaf_of_another_trust_domain");
    mesh.leaf("web", &web);
    assert_refused(&mesh, &clients, "foreign_trust_domain").await;
}

#[tokio::test]
async fn another_trust_domain_and_the_acceptor_was_taken_before() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    let before = mesh.acceptor();
    mesh.trust_set(TrustSet::new(bundle("new.consul", &[&root], mesh.clock.now())));
    for client in &clients {
        assert_eq!(meet(&before, client).await.reason(), "foreign_trust_domain");
    }
}

#[tokio::test]
async fn the_certificate_of_the_client_has_ended() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let clients = resuming(&mesh, &root.issue(&Spec::service("api").valid(T0 - 60, T0 + 600))).await;
    mesh.clock.set(T0 + 600);
    for met in all(&mesh, &clients).await {
        assert!(met.resumed(), "its last second counts");
    }
    mesh.clock.set(T0 + 601);
    assert_refused(&mesh, &clients, "certificate_expired").await;
}

#[tokio::test]
async fn a_certificate_that_its_chain_needs_has_ended() {
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    let mesh = Mesh::new(&[&old]);
    let cross = new.cross_signed_by_until(&old, T0 + 600);
    let clients = resuming(&mesh, &new.leaf("api").and(&cross)).await;
    mesh.clock.set(T0 + 601);
    for met in all(&mesh, &clients).await {
        assert!(["certificate_expired", "unknown_issuer"].contains(&met.reason()), "{met:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_its_chain_does_not_need_has_ended() {
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    let mesh = Mesh::new(&[&new]);
    let cross = new.cross_signed_by_until(&old, T0 + 600);
    let clients = resuming(&mesh, &new.leaf("api").and(&cross)).await;
    mesh.clock.set(T0 + 601);
    // For ten years, the active root of Consul lists a cross-signed certificate that lived for a week.
    for met in all(&mesh, &clients).await {
        assert!(met.resumed());
    }
}

#[tokio::test]
async fn its_root_has_ended() {
    let ending = Ca::root_with("ending", root_validity(T0 - HOUR, T0 + 600));
    let good = Ca::root("good");
    let mesh = Mesh::new(&[&good, &ending]);
    let clients = resuming(&mesh, &ending.leaf("api")).await;
    mesh.clock.set(T0 + 601);
    assert_refused(&mesh, &clients, "unknown_issuer").await;
}

#[tokio::test]
async fn it_began_with_another_service() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    mesh.leaf("other", &root.leaf("other"));
    let clients = resuming(&mesh, &root.leaf("api")).await;
    // The client offers it, since it asks for the same name; a real one would have to lie.
    let other = mesh.watch.acceptor(&key("other")).unwrap();
    for client in &clients {
        assert!(!meet(&other, client).await.resumed());
    }
}

#[tokio::test]
async fn it_began_with_another_server_name() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let store = Arc::new(Anything::default());
    let api = root.leaf("api");
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let client = Client::with(Some(&api), versions, |config| {
            config.resumption =
                rustls::client::Resumption::store(Arc::clone(&store) as Arc<dyn ClientSessionStore>);
        });
        assert!(!meet_as(&mesh.acceptor(), &client, "v1.web.test").await.resumed());
        assert!(meet_as(&mesh.acceptor(), &client, "v1.web.test").await.resumed());
        assert!(!meet_as(&mesh.acceptor(), &client, "v2.web.test").await.resumed());
    }
}

#[tokio::test]
async fn only_tls_13_is_allowed_now() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let [tls12, tls13] = resuming(&mesh, &root.leaf("api")).await;
    let document = TlsDirectionDocument { tls_min_version: "TLSv1_3".to_owned(), ..Default::default() };
    let incoming = TlsParameters::from_document(&document).unwrap();
    mesh.store.update(|edit| edit.set_mesh_tls(MeshTls { incoming, ..MeshTls::default() })).unwrap();
    assert_refused(&mesh, &[tls12], "tls_incompatible").await;
    assert_full_handshakes(&mesh, &[tls13]).await;
}

#[tokio::test]
async fn its_cipher_suite_is_not_allowed_any_more() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let [tls12, tls13] = resuming(&mesh, &root.leaf("api")).await;
    let cipher_suites = vec!["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()];
    let incoming =
        TlsParameters::from_document(&TlsDirectionDocument { cipher_suites, ..Default::default() }).unwrap();
    mesh.store.update(|edit| edit.set_mesh_tls(MeshTls { incoming, ..MeshTls::default() })).unwrap();
    assert_refused(&mesh, &[tls12], "tls_incompatible").await;
    assert_full_handshakes(&mesh, &[tls13]).await;
}

#[tokio::test]
async fn peers_are_not_trusted_any_more() {
    let (own, theirs) = (Ca::root("own"), Ca::root("theirs"));
    let mut mesh = Mesh::new(&[&own]);
    let now = mesh.clock.now();
    let peer = bundle("peer.consul", &[&theirs], now);
    let trust = TrustSet::new(bundle(TD, &[&own], now)).with_peer(peer).unwrap();
    mesh.trust_set(trust);
    let web = own.leaf("web");
    mesh.leaf_trusting("web", &web, Trusts::OwnAndPeers);
    let clients =
        resuming(&mesh, &theirs.issue(&Spec::uri("spiffe://peer.consul/ns/default/dc/dc1/svc/api"))).await;
    mesh.leaf_trusting("web", &web, Trusts::OwnOnly);
    assert_refused(&mesh, &clients, "foreign_trust_domain").await;
}

#[tokio::test]
async fn an_hour_is_over() {
    let root = Ca::root("root");
    let longer = SessionLimits { lifetime: Duration::from_secs(24 * HOUR), ..SessionLimits::default() };
    for limits in [SessionLimits::default(), longer] {
        let mut mesh = Mesh::with_sessions(T0, limits);
        mesh.trust(&[&root]);
        mesh.leaf("web", &root.leaf("web"));
        let [tls12, tls13] = resuming(&mesh, &root.leaf("api")).await;
        mesh.clock.set(T0 + HOUR - 1);
        assert!(meet(&mesh.acceptor(), &tls12).await.resumed());
        mesh.clock.set(T0 + HOUR);
        assert_full_handshakes(&mesh, &[tls12, tls13]).await;
    }
}

#[tokio::test]
async fn the_clock_went_back() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let clients = resuming(&mesh, &root.leaf("api")).await;
    mesh.clock.set(T0 - 61);
    for met in all(&mesh, &clients).await {
        assert_eq!(met.reason(), "certificate_not_yet_valid");
    }
}

#[tokio::test]
async fn sessions_may_be_switched_off() {
    let root = Ca::root("root");
    let off = SessionLimits { lifetime: Duration::ZERO, ..SessionLimits::default() };
    let mut mesh = Mesh::with_sessions(T0, off);
    mesh.trust(&[&root]);
    mesh.leaf("web", &root.leaf("web"));
    let api = root.leaf("api");
    for client in [Client::tls12(&api), Client::tls13(&api)] {
        assert!(!meet(&mesh.acceptor(), &client).await.resumed());
        assert!(!meet(&mesh.acceptor(), &client).await.resumed());
    }
}

#[tokio::test]
async fn a_removed_service_is_gone_for_new_connections() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    resuming(&mesh, &root.leaf("api")).await;
    mesh.store.update(|edit| edit.remove_leaf(&key("web"))).unwrap();
    assert_eq!(mesh.watch.acceptor(&key("web")).unwrap_err().reason(), "no_leaf");
    // Linked again, it knows no sessions of before.
    assert_eq!(root.leaf("web").uri, leaf_uri("web"));
}

/// A store of a client that keeps one session for all names.
#[derive(Debug, Default)]
struct Anything {
    tls12: std::sync::Mutex<Option<Tls12ClientSessionValue>>,
    tls13: std::sync::Mutex<Option<Tls13ClientSessionValue>>,
}

impl ClientSessionStore for Anything {
    fn set_kx_hint(&self, _: ServerName<'static>, _: mtls::NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<mtls::NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        *self.tls12.lock().unwrap() = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.tls12.lock().unwrap().clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        *self.tls13.lock().unwrap() = Some(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tls13.lock().unwrap().take()
    }
}
