//! The sidecar in front of a service instance.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Greeting, tls};
use crate::task::Owned;
use crate::{Leaf, Pki, Place, Trust};

/// What a server sidecar is to be.
#[derive(Debug, Clone)]
pub struct Sidecar {
    /// The service behind it.
    pub service: String,
    /// Which instance of it.
    pub instance: String,
    /// Its datacenter.
    pub datacenter: String,
    /// Where it listens; port 0 lets the kernel choose.
    pub bind: SocketAddr,
    /// Protocols that it offers.
    pub alpn: Vec<&'static str>,
    /// The network that it lives in.
    pub place: Place,
}

impl Sidecar {
    /// An instance on a port of 127.0.0.1 that the kernel chooses, without ALPN.
    pub fn new(service: &str, instance: &str, datacenter: &str) -> Self {
        Sidecar {
            service: service.to_owned(),
            instance: instance.to_owned(),
            datacenter: datacenter.to_owned(),
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            alpn: Vec::new(),
            place: Place::Here,
        }
    }
}

/// A running sidecar; ends, with its connections, when dropped.
#[derive(Debug)]
pub struct ServerSidecar {
    address: SocketAddr,
    identity: String,
    certificate: CertificateDer<'static>,
    counts: Arc<Counts>,
    _listening: Owned,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicUsize,
    served: AtomicUsize,
    refused: AtomicUsize,
}

impl ServerSidecar {
    /// Starts it with a leaf of `pki` for its service.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(pki: &Pki, sidecar: Sidecar) -> Result<Self> {
        let leaf = pki.service(&sidecar.service, &sidecar.datacenter)?;
        Self::start_with(pki, &leaf, sidecar)
    }

    /// Starts it with a given leaf, and the roots that its callers are checked against.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start_with(trust: impl Into<Trust>, leaf: &Leaf, sidecar: Sidecar) -> Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(&trust.into(), leaf, &sidecar.alpn)?));
        let listener = sidecar.place.listen(sidecar.bind);
        let listener = listener.with_context(|| format!("cannot listen on {}", sidecar.bind))?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let listening = Owned::spawn(accept(listener, acceptor, Arc::new(sidecar), counts.clone()));
        Ok(ServerSidecar {
            address,
            identity: leaf.uri.clone(),
            certificate: leaf.cert.clone(),
            counts,
            _listening: listening,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its SPIFFE id.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Its certificate, which no other instance has.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// TCP connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// Connections whose handshake was completed.
    pub fn served(&self) -> usize {
        self.counts.served.load(Ordering::Relaxed)
    }

    /// Connections whose handshake failed.
    pub fn refused(&self) -> usize {
        self.counts.refused.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, sidecar: Arc<Sidecar>, counts: Arc<Counts>) {
    // The set ends its connections when this task is aborted.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, peer)) = accepted else { continue };
                counts.accepted.fetch_add(1, Ordering::Relaxed);
                let (acceptor, sidecar, counts) = (acceptor.clone(), sidecar.clone(), counts.clone());
                connections.spawn(async move {
                    // How a connection ends is the client's to judge; the counts tell what this end saw.
                    let _ = serve(stream, peer, &acceptor, &sidecar, &counts).await;
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
    sidecar: &Sidecar,
    counts: &Counts,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let address = stream.local_addr()?;
    let mut stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(error.into());
        }
    };
    counts.served.fetch_add(1, Ordering::Relaxed);
    let session = stream.get_ref().1;
    let greeting = Greeting {
        service: sidecar.service.clone(),
        instance: sidecar.instance.clone(),
        datacenter: sidecar.datacenter.clone(),
        address,
        peer,
        identity: tls::peer(session.peer_certificates())?,
        sni: session.server_name().map(str::to_owned),
        alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
    };
    let mut line = serde_json::to_vec(&greeting)?;
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
