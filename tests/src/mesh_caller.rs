//! A caller that ends its own TLS at a gateway: with any certificate or none, any name in the hello, and sessions that it
//! resumes. What honest sidecars do, and what they never do.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pki::uri_of;
use crate::sidecar::tls::{MeshServer, provider};
use crate::{Leaf, Place, Trust};

/// No answer of a gateway takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A caller. Its clones share its sessions.
#[derive(Debug, Clone)]
pub struct MeshCaller {
    config: ClientConfig,
    verifier: Arc<MeshServer>,
    place: Place,
}

impl MeshCaller {
    /// One that presents `leaf` and accepts every service of the mesh at the far end, which the test looks at.
    ///
    /// # Errors
    /// When the roots or the leaf cannot be used.
    pub fn new(trust: impl Into<Trust>, leaf: &Leaf) -> Result<Self> {
        Self::with(&trust.into(), Some(leaf))
    }

    /// One that presents no certificate.
    ///
    /// # Errors
    /// When the roots cannot be used.
    pub fn anonymous(trust: impl Into<Trust>) -> Result<Self> {
        Self::with(&trust.into(), None)
    }

    fn with(trust: &Trust, leaf: Option<&Leaf>) -> Result<Self> {
        let verifier = Arc::new(MeshServer::new(trust, None)?);
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut config = match leaf {
            Some(leaf) => config.with_client_auth_cert(leaf.chain(), leaf.key())?,
            None => config.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(64);
        Ok(MeshCaller { config, verifier, place: Place::Here })
    }

    /// The same, with this one version of TLS.
    ///
    /// # Errors
    /// When the version is neither 1.2 nor 1.3.
    pub fn version(mut self, version: ProtocolVersion) -> Result<Self> {
        let version = match version {
            ProtocolVersion::TLSv1_2 => &rustls::version::TLS12,
            ProtocolVersion::TLSv1_3 => &rustls::version::TLS13,
            other => anyhow::bail!("{other:?}"),
        };
        // There is no way to change the versions of a configuration.
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier.clone())
            .with_client_cert_resolver(self.config.client_auth_cert_resolver.clone());
        config.alpn_protocols = self.config.alpn_protocols.clone();
        config.enable_sni = self.config.enable_sni;
        config.resumption = Resumption::in_memory_sessions(64);
        self.config = config;
        Ok(self)
    }

    /// Offers these protocols.
    #[must_use]
    pub fn alpn(mut self, alpn: &[&str]) -> Self {
        self.config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// Names nobody in its hello.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.config.enable_sni = false;
        self
    }

    /// Resumes nothing, as somebody who has never been here.
    #[must_use]
    pub fn without_sessions(mut self) -> Self {
        self.config.resumption = Resumption::disabled();
        self
    }

    /// Lives in `place`.
    #[must_use]
    pub fn place(mut self, place: impl Into<Place>) -> Self {
        self.place = place.into();
        self
    }

    /// Connects to `gateway` and asks for `sni`. With TLS 1.3 this succeeds before the server has looked at the
    /// certificate; what it thinks of it comes with the first read.
    ///
    /// # Errors
    /// When the connection or the handshake fails.
    pub async fn connect(&self, gateway: SocketAddr, sni: &str) -> Result<MeshConnection> {
        let stream =
            self.place.connect(gateway).await.with_context(|| format!("cannot connect to {gateway}"))?;
        let local = stream.local_addr()?;
        let name = ServerName::try_from(sni.to_owned())?;
        let connecting = TlsConnector::from(Arc::new(self.config.clone())).connect(name, stream);
        let stream = tokio::time::timeout(PATIENCE, connecting).await.context("no end of the handshake")?;
        let stream = stream.with_context(|| NoHandshake { local, sni: sni.to_owned(), gateway })?;
        let session = stream.get_ref().1;
        let certificate =
            session.peer_certificates().and_then(<[_]>::first).context("no certificate")?.clone();
        Ok(MeshConnection {
            local,
            presented: uri_of(&certificate)?,
            certificate,
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            version: session.protocol_version(),
            alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            stream: BufStream::new(stream.into()),
        })
    }
}

/// What [`MeshCaller::connect`] adds to the error of a handshake.
#[derive(Debug)]
pub struct NoHandshake {
    /// The caller's address, by which records name it.
    pub local: SocketAddr,
    sni: String,
    gateway: SocketAddr,
}

impl fmt::Display for NoHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} from {}", self.sni, self.gateway, self.local)
    }
}

/// A connection whose handshake the caller thinks is done.
#[derive(Debug)]
pub struct MeshConnection {
    /// The caller's address, by which records name it.
    pub local: SocketAddr,
    /// The SPIFFE id in the gateway's certificate.
    pub presented: String,
    /// That certificate.
    pub certificate: CertificateDer<'static>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The version of TLS.
    pub version: Option<ProtocolVersion>,
    /// The protocol that the gateway chose.
    pub alpn: Option<String>,
    stream: BufStream<Box<TlsStream<TcpStream>>>,
}

impl MeshConnection {
    /// Sends `bytes` and reads as many back.
    ///
    /// # Errors
    /// When the connection ends, or what comes back is something else.
    pub async fn echo(&mut self, bytes: &[u8]) -> Result<()> {
        let mut back = vec![0; bytes.len()];
        let (mut read, mut write) = tokio::io::split(&mut self.stream);
        let both = async {
            tokio::try_join!(
                async {
                    write.write_all(bytes).await?;
                    write.flush().await
                },
                async { read.read_exact(&mut back).await.map(drop) },
            )
        };
        tokio::time::timeout(PATIENCE, both).await.context("no echo")??;
        ensure!(back == bytes, "the echo differs from what was sent");
        Ok(())
    }

    /// Sends `bytes`.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        tokio::time::timeout(PATIENCE, read).await.context("no line")??;
        ensure!(line.ends_with('\n'), "the connection ended after {line:?}");
        line.pop();
        Ok(line)
    }

    /// Ends its own side and gives what comes until the other side's end, which must be in order.
    ///
    /// # Errors
    /// When it is not.
    pub async fn close(mut self) -> Result<Vec<u8>> {
        self.stream.shutdown().await?;
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.context("no end")??;
        Ok(rest)
    }

    /// Waits for the other side to end the connection; gives what came before, and how it was ended if that was not in
    /// order.
    ///
    /// # Errors
    /// When it stays open.
    pub async fn ended(&mut self) -> Result<(Vec<u8>, Option<std::io::Error>)> {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        let end = end.context("the connection stays open")?;
        Ok((rest, end.err()))
    }
}
