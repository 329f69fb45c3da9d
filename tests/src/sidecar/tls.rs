//! rustls as a mesh identity uses it: the chain is checked against the mesh's roots, and the name that counts is the
//! SPIFFE id, not the server name.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::pki::{Leaf, uri_of};
use crate::trust::Trust;

/// A server that wants a client certificate of the mesh.
pub(super) fn server(trust: &Trust, leaf: &Leaf, alpn: &[&str]) -> Result<ServerConfig> {
    let provider = provider();
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(trust.store()?), provider.clone()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(leaf.chain(), leaf.key())?;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// A client that accepts `expected` at the far end and nobody else.
pub(super) fn client(trust: &Trust, leaf: &Leaf, expected: &str, alpn: &[&str]) -> Result<ClientConfig> {
    let provider = provider();
    let verifier = MeshServer::new(trust, Some(expected))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(leaf.chain(), leaf.key())?;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// The identity of the other end, once the handshake is done.
pub(super) fn peer(certificates: Option<&[CertificateDer<'_>]>) -> Result<String> {
    let certificate =
        certificates.and_then(<[_]>::first).ok_or_else(|| anyhow!("no certificate of the peer"))?;
    uri_of(certificate)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Accepts a server of the mesh.
#[derive(Debug)]
pub(crate) struct MeshServer {
    expected: Option<String>,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl MeshServer {
    /// One that accepts `expected`, or everybody in the mesh.
    pub(crate) fn new(trust: &Trust, expected: Option<&str>) -> Result<Self> {
        Ok(MeshServer { expected: expected.map(str::to_owned), roots: trust.store()?, provider: provider() })
    }
}

impl ServerCertVerifier for MeshServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        match uri_of(end_entity) {
            Ok(id) => match &self.expected {
                Some(expected) if id != *expected => {
                    Err(Error::General(format!("the server is {id}, not {expected}")))
                }
                _ => Ok(ServerCertVerified::assertion()),
            },
            Err(error) => Err(Error::General(error.to_string())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
