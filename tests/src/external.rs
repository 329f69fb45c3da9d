//! An external service that speaks TLS: it has a certificate of a CA outside the mesh, may ask for one of the client, and
//! tells whom it has seen. After the handshake it speaks first, one line of JSON, then echoes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::sidecar::tls::provider;
use crate::task::Owned;
use crate::{Leaf, Pki, Place, Trust};

/// What it saw of one connection, and says in its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSeen {
    /// Its own name.
    pub service: String,
    /// The name in the client's hello.
    pub sni: Option<String>,
    /// The protocol that was chosen.
    pub alpn: Option<String>,
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: String,
    /// The common name in the client's certificate, if it presented one.
    pub client: Option<String>,
    /// Where the client connected from.
    pub peer: SocketAddr,
    /// Why the handshake failed; there is no line then.
    pub failed: Option<String>,
}

/// A running service; ends, with its connections, when dropped.
#[derive(Debug)]
pub struct TlsService {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<TlsSeen>>>,
    _listening: Owned,
}

impl TlsService {
    /// On a port of 127.0.0.1 that the kernel chooses. With `clients` it demands a certificate of that CA.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(service: &str, certificate: &Leaf, clients: Option<&Pki>) -> Result<Self> {
        Self::start_at(&Place::Here, SocketAddr::from(([127, 0, 0, 1], 0)), service, certificate, clients)
    }

    /// Somewhere else.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start_at(
        place: &Place,
        bind: SocketAddr,
        service: &str,
        certificate: &Leaf,
        clients: Option<&Pki>,
    ) -> Result<Self> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match clients {
            Some(ca) => {
                let roots = Arc::new(Trust::from(ca).store()?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(certificate.chain(), certificate.key())?;
        // Chosen only if the client offers it.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = place.listen(bind)?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listening = Owned::spawn(accept(listener, acceptor, service.into(), seen.clone()));
        Ok(TlsService { address, seen, _listening: listening })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All connections so far whose handshake has ended.
    pub fn seen(&self) -> Vec<TlsSeen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    service: Arc<str>,
    seen: Arc<Mutex<Vec<TlsSeen>>>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, peer)) = accepted else { continue };
                let (acceptor, service, seen) = (acceptor.clone(), service.clone(), seen.clone());
                connections.spawn(async move {
                    // How a connection ends is the client's to judge.
                    let _ = serve(stream, peer, &acceptor, &service, &seen).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: &TlsAcceptor,
    service: &str,
    all: &Mutex<Vec<TlsSeen>>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut seen = TlsSeen {
        service: service.to_owned(),
        sni: None,
        alpn: None,
        version: String::new(),
        client: None,
        peer,
        failed: None,
    };
    let note = |seen: &TlsSeen| all.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
    let mut stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            seen.failed = Some(error.to_string());
            note(&seen);
            return Err(error.into());
        }
    };
    let session = stream.get_ref().1;
    seen.sni = session.server_name().map(str::to_owned);
    seen.alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    seen.version = session.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default();
    seen.client = session.peer_certificates().and_then(<[_]>::first).map(|cert| common_name(cert));
    note(&seen);
    let mut line = serde_json::to_vec(&seen)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => break,
            n => stream.write_all(&buffer[..n]).await?,
        }
        stream.flush().await?;
    }
    Ok(stream.shutdown().await?)
}

fn common_name(certificate: &[u8]) -> String {
    let parsed = x509_parser::parse_x509_certificate(certificate).ok();
    let name = parsed.as_ref().and_then(|(_, it)| it.subject().iter_common_name().next());
    name.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}
