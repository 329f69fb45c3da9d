//! What is told of a handshake.

use std::sync::Arc;

use mtls::{NamedGroup, ProtocolVersion};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use crate::support::{Ca, Client, Issued, Mesh, meet};

/// A client that offers only these groups.
fn offering(identity: &Issued, groups: &[&'static dyn SupportedKxGroup]) -> Client {
    Client::with_provider(
        Some(identity),
        &[&TLS13, &TLS12],
        CryptoProvider { kx_groups: groups.to_vec(), ..aws_lc_rs::default_provider() },
    )
}

#[tokio::test]
async fn post_quantum_key_exchange_is_used_by_default_and_told() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let api = root.leaf("api");
    let facts = meet(&mesh.acceptor(), &Client::new(Some(&api))).await.accepted.unwrap().facts;
    assert_eq!(facts.group, Some(NamedGroup::X25519MLKEM768));
    assert!(facts.is_post_quantum() && !facts.retried && !facts.resumed);

    let classical = offering(&api, &[aws_lc_rs::kx_group::X25519]);
    let facts = meet(&mesh.acceptor(), &classical).await.accepted.unwrap().facts;
    assert_eq!(facts.group, Some(NamedGroup::X25519));
    assert!(!facts.is_post_quantum());
}

#[tokio::test]
async fn each_group_that_a_client_may_insist_on() {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519};
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    for group in [X25519, SECP256R1, SECP384R1] {
        let client = offering(&root.leaf("api"), &[group]);
        let facts = meet(&mesh.acceptor(), &client).await.accepted.unwrap().facts;
        assert_eq!(facts.group, Some(group.name()));
    }
}

#[tokio::test]
async fn resuming_makes_a_new_key_exchange_with_tls_13_only() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let api = root.leaf("api");
    for (client, version, exchange) in [
        (Client::tls12(&api), ProtocolVersion::TLSv1_2, false),
        (Client::tls13(&api), ProtocolVersion::TLSv1_3, true),
    ] {
        meet(&mesh.acceptor(), &client).await;
        let facts = meet(&mesh.acceptor(), &client).await.accepted.unwrap().facts;
        assert!(facts.resumed);
        assert_eq!((facts.version, facts.group.is_some()), (Some(version), exchange));
    }
}

#[tokio::test]
async fn no_protocol_is_selected_whatever_is_offered() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let client = Client::with(Some(&root.leaf("api")), versions, |config| {
            config.alpn_protocols = vec![b"h2".to_vec(), b"consul~x".to_vec()];
        });
        let met = meet(&mesh.acceptor(), &client).await;
        assert_eq!(met.accepted.unwrap().facts.alpn, None);
        assert_eq!(met.client.unwrap().get_ref().1.alpn_protocol(), None);
    }
}

#[tokio::test]
async fn a_hello_that_was_read_already_is_given_back() {
    use sni_peek::{Limits, peek};
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let (near, far) = tokio::io::duplex(1 << 16);
    let client = Client::new(Some(&root.leaf("api")));
    let name = "web.default.dc1.internal.test".try_into().unwrap();
    let connect = tokio_rustls::TlsConnector::from(client.0).connect(name, far);
    let accept = async {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        let (hello, rewind) = peek(near, &Limits::default(), deadline).await.unwrap();
        assert_eq!(hello.server_name(), Some("web.default.dc1.internal.test"));
        mesh.acceptor().accept(rewind).await.unwrap()
    };
    let (client, accepted) = tokio::join!(connect, accept);
    client.unwrap();
    assert!(accepted.stream.get_ref().0.ahead().is_empty());
    assert_eq!(accepted.stream.get_ref().1.server_name(), Some("web.default.dc1.internal.test"));
}

#[tokio::test]
async fn what_is_no_handshake() {
    use tokio::io::AsyncWriteExt as _;
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    for (bytes, reason) in [
        (&b""[..], "handshake_eof"),
        (&[22, 3, 1][..], "handshake_eof"),
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "tls_protocol_error"),
        (&[22, 3, 1, 0, 4, 2, 0, 0, 0][..], "tls_protocol_error"),
    ] {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(bytes).await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(mesh.acceptor().accept(near).await.unwrap_err().reason(), reason, "{bytes:?}");
    }
}

/// A client that was told the names of authorities might hold back a certificate that a cross-signed one makes good.
#[tokio::test]
async fn no_authority_is_named_to_clients() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let asked = Arc::new(Asked::default());
        let client = Client::with(Some(&root.leaf("api")), versions, |config| {
            let inner = Arc::clone(&config.client_auth_cert_resolver);
            config.client_auth_cert_resolver = Arc::new(Asking { asked: Arc::clone(&asked), inner });
        });
        assert_eq!(meet(&mesh.acceptor(), &client).await.reason(), "accepted");
        assert_eq!(*asked.0.lock().unwrap(), [0]);
    }
}

/// How many names each server gave.
#[derive(Debug, Default)]
struct Asked(std::sync::Mutex<Vec<usize>>);

#[derive(Debug)]
struct Asking {
    asked: Arc<Asked>,
    inner: Arc<dyn ResolvesClientCert>,
}

impl ResolvesClientCert for Asking {
    fn resolve(&self, names: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.0.lock().unwrap().push(names.len());
        self.inner.resolve(names, schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Every connection pays for the largest state of its future.
#[test]
fn the_future_of_a_handshake_stays_small() {
    let root = Ca::root("root");
    let acceptor = Mesh::new(&[&root]).acceptor();
    let size = size_of_val(&acceptor.accept(tokio::io::duplex(1).0));
    assert!(size < 4096, "{size} bytes");
}
