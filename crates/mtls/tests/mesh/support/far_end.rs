//! Clients and servers of rustls that check nothing and present whatever a test gives them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mtls::{Accepted, Acceptor, CertificateDer, HandshakeError, TimeProvider, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};

use super::{Clock, Issued, T0};

pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// A client whose sessions stay with it.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) Arc<ClientConfig>);

impl Client {
    pub(crate) fn new(identity: Option<&Issued>) -> Self {
        Self::with(identity, BOTH, |_| {})
    }

    pub(crate) fn tls12(identity: &Issued) -> Self {
        Self::with(Some(identity), &[&TLS12], |_| {})
    }

    pub(crate) fn tls13(identity: &Issued) -> Self {
        Self::with(Some(identity), &[&TLS13], |_| {})
    }

    pub(crate) fn with(
        identity: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
        change: impl FnOnce(&mut ClientConfig),
    ) -> Self {
        let Self(config) = Self::with_provider(identity, versions, aws_lc_rs::default_provider());
        let mut config = ClientConfig::clone(&config);
        change(&mut config);
        Self(Arc::new(config))
    }

    pub(crate) fn with_provider(
        identity: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
        provider: CryptoProvider,
    ) -> Self {
        // Its clock does not matter; it verifies nothing.
        let time: Arc<dyn TimeProvider> = Clock::new(T0);
        let builder = ClientConfig::builder_with_details(Arc::new(provider), time)
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone));
        let mut config = builder.with_no_client_auth();
        if let Some(identity) = identity {
            // Neither certificate nor key is looked at.
            let (chain, key) = der(identity);
            let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
            let certified = Arc::new(CertifiedKey::new(chain, key));
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        }
        Self(Arc::new(config))
    }
}

pub(crate) fn der(issued: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes()).map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap())
}

/// What both sides made of each other.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) accepted: Result<Accepted<DuplexStream>, HandshakeError>,
    /// After a byte went each way.
    pub(crate) client: Result<tokio_rustls::client::TlsStream<DuplexStream>, io::Error>,
}

impl Met {
    pub(crate) fn resumed(&self) -> bool {
        self.accepted.as_ref().unwrap().facts.resumed
    }

    pub(crate) fn reason(&self) -> &'static str {
        match &self.accepted {
            Ok(_) => "accepted",
            Err(error) => error.reason(),
        }
    }
}

/// A handshake for the server name `web`, and a byte each way, so that tickets arrive.
pub(crate) async fn meet(acceptor: &Acceptor, client: &Client) -> Met {
    meet_as(acceptor, client, "web.default.dc1.internal.test").await
}

pub(crate) async fn meet_as(acceptor: &Acceptor, client: &Client, server_name: &str) -> Met {
    let (near, far) = duplex(1 << 16);
    let server = async {
        let mut accepted = acceptor.accept(near).await?;
        let _ = exchange(&mut accepted.stream).await;
        Ok(accepted)
    };
    let client = async {
        let name = ServerName::try_from(server_name.to_owned()).unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(Arc::clone(&client.0)).connect(name, far).await?;
        exchange(&mut stream).await?;
        Ok(stream)
    };
    let (accepted, client) = tokio::join!(server, client);
    Met { accepted, client }
}

pub(crate) async fn exchange<S>(stream: &mut S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(b"x").await?;
    stream.flush().await?;
    stream.read_u8().await?;
    Ok(())
}

/// A server that asks for a certificate and takes any.
pub(crate) struct Server(pub(crate) Arc<ServerConfig>);

impl Server {
    pub(crate) fn new(identity: &Issued) -> Self {
        Self::with(identity, BOTH, |_| {})
    }

    pub(crate) fn with(
        identity: &Issued,
        versions: &[&'static SupportedProtocolVersion],
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let time: Arc<dyn TimeProvider> = Clock::new(T0);
        let (chain, key) = der(identity);
        let mut config = ServerConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), time)
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(Arc::new(Anyone))
            .with_single_cert(chain, key)
            .unwrap();
        change(&mut config);
        Self(Arc::new(config))
    }
}

/// What the server saw of a client that `connect` makes over the given stream.
pub(crate) async fn meet_server<T, F>(
    server: &Server,
    connect: impl FnOnce(DuplexStream) -> F,
) -> (F::Output, Result<tokio_rustls::server::TlsStream<DuplexStream>, io::Error>)
where
    F: Future<Output = T>,
{
    let (near, far) = duplex(1 << 16);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&server.0));
    let accept = async {
        let mut stream = acceptor.accept(far).await?;
        let _ = exchange(&mut stream).await;
        Ok(stream)
    };
    tokio::join!(connect(near), accept)
}

/// Believes everybody, but proofs of keys are checked.
#[derive(Debug)]
struct Anyone;

macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for Anyone {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    signatures!();
}

/// A stream that does something before its first byte is read.
pub(crate) struct OnFirstRead<F> {
    io: DuplexStream,
    action: Option<F>,
}

impl<F: FnOnce() + Unpin> OnFirstRead<F> {
    pub(crate) fn new(io: DuplexStream, action: F) -> Self {
        Self { io, action: Some(action) }
    }
}

impl<F: FnOnce() + Unpin> AsyncRead for OnFirstRead<F> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(action) = this.action.take() {
            action();
        }
        Pin::new(&mut this.io).poll_read(cx, buf)
    }
}

impl<F: FnOnce() + Unpin> AsyncWrite for OnFirstRead<F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
