//! Callers: good ones, and those that should not get in.

use std::sync::Arc;

use mesh_id::{ServiceName, SpiffeId, TrustDomain};
use mtls::{
    CertStore, ConnectTarget, Connected, Connector, Leaf, LeafKey, StoreOptions, TrustBundle, TrustSet,
    Trusts, UnixTime,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::world::{Ca, Issued, TRUST_DOMAIN, World, sni, spiffe};

/// A caller as a sidecar is one: it makes sure that the service itself answers.
pub(crate) struct Sidecar {
    connector: Connector,
    _store: CertStore,
}

impl Sidecar {
    pub(crate) fn new(ca: &Ca, source: &str, destination: &str) -> Self {
        let (mut store, watch) = CertStore::new(StoreOptions::default());
        let now = UnixTime::now();
        let leaf = ca.leaf(source);
        let id = SpiffeId::parse(&spiffe(source)).unwrap();
        let leaf = Leaf::build(leaf.pem.as_bytes(), leaf.key_pem.as_bytes(), &id, now).unwrap();
        let domain = TrustDomain::parse(TRUST_DOMAIN).unwrap();
        let roots = TrustBundle::build(domain, [ca.pem.as_bytes()], now).unwrap();
        let key = LeafKey::new(ServiceName::parse(source).unwrap());
        store
            .update(|edit| {
                edit.set_trust(TrustSet::new(roots));
                edit.set_leaf(key.clone(), leaf, Trusts::OwnOnly);
            })
            .unwrap();
        let target = ConnectTarget {
            server_name: sni(destination),
            expected: vec![SpiffeId::parse(&spiffe(destination)).unwrap()],
            alpn: Vec::new(),
        };
        let connector = watch.connector(key, target).unwrap();
        Self { connector, _store: store }
    }

    pub(crate) async fn connect(&self, world: &World) -> Connected<TcpStream> {
        self.connector.connect(world.connect().await).await.unwrap()
    }
}

/// `web` calls `billing`.
pub(crate) async fn web(world: &World) -> Connected<TcpStream> {
    Sidecar::new(&world.catalog.ca, "web", "billing").connect(world).await
}

/// A caller that verifies nothing and presents anything.
pub(crate) fn anybody(certificate: Option<&Issued>) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider)));
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some(issued) => builder.with_client_auth_cert(vec![issued.der.clone()], issued.key_der()).unwrap(),
    };
    TlsConnector::from(Arc::new(config))
}

pub(crate) fn name(text: &str) -> ServerName<'static> {
    ServerName::try_from(text.to_owned()).unwrap()
}

#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
