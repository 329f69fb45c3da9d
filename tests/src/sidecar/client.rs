//! The sidecar of a calling service: dials a gateway, names the wanted service in the SNI, and accepts only that
//! service's identity at the far end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Greeting, tls};
use crate::{Leaf, Pki, Place, Trust};

/// A service to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub service: String,
    /// Its datacenter.
    pub datacenter: String,
    /// A subset of it.
    pub subset: Option<String>,
}

impl Upstream {
    /// `service` in `datacenter`, no subset.
    pub fn new(service: &str, datacenter: &str) -> Self {
        Upstream { service: service.to_owned(), datacenter: datacenter.to_owned(), subset: None }
    }

    /// The name that a sidecar puts into its hello.
    pub fn sni(&self, trust_domain: &str) -> String {
        let subset = self.subset.as_ref().map(|subset| format!("{subset}.")).unwrap_or_default();
        format!("{subset}{}.default.{}.internal.{trust_domain}", self.service, self.datacenter)
    }
}

/// The gateway that a call enters the mesh by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Mode local: the gateway of the caller's own datacenter.
    Local(SocketAddr),
    /// Mode remote: the gateway of the called service's datacenter.
    Remote(SocketAddr),
    /// No gateway: the server's sidecar itself.
    Direct(SocketAddr),
}

impl Via {
    /// What is dialled.
    pub fn address(self) -> SocketAddr {
        match self {
            Via::Local(address) | Via::Remote(address) | Via::Direct(address) => address,
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Via::Local(_) => "mode local",
            Via::Remote(_) => "mode remote",
            Via::Direct(_) => "direct",
        })
    }
}

/// A calling service with its identity.
pub struct ClientSidecar {
    trust: Trust,
    leaf: Arc<Leaf>,
    alpn: Vec<&'static str>,
    place: Place,
}

impl ClientSidecar {
    /// `service` in `datacenter`, with a leaf of `pki`.
    ///
    /// # Errors
    /// When the leaf cannot be made.
    pub fn new(pki: &Pki, service: &str, datacenter: &str) -> Result<Self> {
        Ok(Self::with(pki, pki.service(service, datacenter)?))
    }

    /// The service that `leaf` is of, with the roots of its mesh: `ClientSidecar::with(&identity.trust, identity.leaf)`
    /// for one of a real Consul.
    pub fn with(trust: impl Into<Trust>, leaf: Leaf) -> Self {
        ClientSidecar { trust: trust.into(), leaf: Arc::new(leaf), alpn: Vec::new(), place: Place::Here }
    }

    /// Offers these protocols.
    #[must_use]
    pub fn alpn(mut self, alpn: &[&'static str]) -> Self {
        self.alpn = alpn.to_vec();
        self
    }

    /// Lives in `place`.
    #[must_use]
    pub fn place(mut self, place: impl Into<Place>) -> Self {
        self.place = place.into();
        self
    }

    /// Trusts other roots, while its own leaf stays what it was.
    #[must_use]
    pub fn trusting(mut self, trust: impl Into<Trust>) -> Self {
        self.trust = trust.into();
        self
    }

    /// The leaf that it presents.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// Calls `upstream` and reads the server's greeting.
    ///
    /// # Errors
    /// When the connection or the handshake fails, or the far end is somebody else.
    pub async fn call(&self, upstream: &Upstream, via: Via) -> Result<Call> {
        let sni = upstream.sni(self.trust.domain());
        self.call_sni(&sni, &self.trust.service_id(&upstream.service, &upstream.datacenter), via).await
    }

    /// The same with any name in the hello and any identity wanted.
    ///
    /// # Errors
    /// When the connection or the handshake fails, or the far end is not `expected`.
    pub async fn call_sni(&self, sni: &str, expected: &str, via: Via) -> Result<Call> {
        let stream = self.handshake(sni, expected, via).await?;
        let local = stream.get_ref().0.local_addr()?;
        let certificates = stream.get_ref().1.peer_certificates();
        let identity = tls::peer(certificates)?;
        let certificate =
            certificates.and_then(<[_]>::first).context("no certificate of the server")?.clone();
        let mut stream = BufStream::new(stream.into());
        let mut line = String::new();
        stream.read_line(&mut line).await.context("no greeting of the server")?;
        let greeting = serde_json::from_str(&line).with_context(|| format!("not a greeting: {line:?}"))?;
        Ok(Call { greeting, identity, certificate, local, stream })
    }

    /// Connects to `upstream` and leaves what is said to the test: for a far end that does not greet.
    ///
    /// # Errors
    /// When the connection or the handshake fails, or the far end is somebody else.
    pub async fn open(&self, upstream: &Upstream, via: Via) -> Result<TlsStream<TcpStream>> {
        let expected = self.trust.service_id(&upstream.service, &upstream.datacenter);
        self.handshake(&upstream.sni(self.trust.domain()), &expected, via).await
    }

    async fn handshake(&self, sni: &str, expected: &str, via: Via) -> Result<TlsStream<TcpStream>> {
        let config = Arc::new(tls::client(&self.trust, &self.leaf, expected, &self.alpn)?);
        let stream = self.place.connect(via.address()).await;
        let stream = stream.with_context(|| format!("cannot connect to {}", via.address()))?;
        let name = ServerName::try_from(sni.to_owned())?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        stream.with_context(|| format!("{sni} through {}", via.address()))
    }
}

/// An open connection to a service.
#[derive(Debug)]
pub struct Call {
    /// What the server said.
    pub greeting: Greeting,
    /// The SPIFFE id that the server proved.
    pub identity: String,
    /// The certificate that it proved it with.
    pub certificate: CertificateDer<'static>,
    /// The client's own address: what the first gateway sees as its peer.
    pub local: SocketAddr,
    stream: BufStream<Box<TlsStream<TcpStream>>>,
}

impl Call {
    /// Sends `bytes` and reads as many back.
    ///
    /// # Errors
    /// When the connection ends, or what comes back is something else.
    pub async fn echo(&mut self, bytes: &[u8]) -> Result<()> {
        let mut back = vec![0; bytes.len()];
        let (mut read, mut write) = tokio::io::split(&mut self.stream);
        // Both at once: neither side's buffers have to hold all of it.
        tokio::try_join!(
            async {
                write.write_all(bytes).await?;
                write.flush().await
            },
            async { read.read_exact(&mut back).await.map(drop) },
        )?;
        ensure!(back == bytes, "the echo differs from what was sent");
        Ok(())
    }

    /// Ends the connection in order: tells the server, and reads to its end.
    ///
    /// # Errors
    /// When the server's end does not come in order too.
    pub async fn close(mut self) -> Result<()> {
        self.stream.shutdown().await?;
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await?;
        ensure!(rest.is_empty(), "{} bytes after the end", rest.len());
        Ok(())
    }

    /// Waits for the other side to end the connection, in order or not; gives what came before.
    pub async fn ended(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A cut connection is an end like any other here.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }
}
