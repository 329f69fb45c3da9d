//! Starting a replay.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::answer::Shared;
use super::serve::{Orders, Port, run};
use super::state::State;
use super::{Recording, Replay};
use crate::Place;
use crate::consul::ConsulTls;
use crate::task::Owned;

/// How a replay is to be.
#[derive(Debug)]
pub struct ReplayBuilder {
    recording: Recording,
    place: Place,
    bind: SocketAddr,
    https: bool,
    http2: bool,
    jitter: f64,
}

/// Certificates of a replay's HTTPS.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) files: ConsulTls,
    // Goes with them.
    _folder: tempfile::TempDir,
}

impl ReplayBuilder {
    pub(super) fn new(recording: Recording) -> Self {
        let bind = SocketAddr::from(([127, 0, 0, 1], 0));
        ReplayBuilder { recording, place: Place::Here, bind, https: false, http2: true, jitter: 1.0 / 16.0 }
    }

    /// Lives in `place`, at `bind`; port 0 lets the kernel choose.
    #[must_use]
    pub fn place(mut self, place: impl Into<Place>, bind: SocketAddr) -> Self {
        self.place = place.into();
        self.bind = bind;
        self
    }

    /// HTTPS beside plain HTTP, with a CA of its own; offers HTTP/2.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.https = true;
        self
    }

    /// HTTPS that offers HTTP/1.1 only.
    #[must_use]
    pub fn https_without_http2(mut self) -> Self {
        (self.https, self.http2) = (true, false);
        self
    }

    /// Waits are as long as they are asked for; otherwise up to a sixteenth longer.
    #[must_use]
    pub fn without_jitter(mut self) -> Self {
        self.jitter = 0.0;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot listen, or certificates cannot be made.
    pub fn start(self) -> Result<Replay> {
        let mut state = State::new(&self.recording);
        state.jitter = self.jitter;
        let datacenter = state.datacenter.clone();
        let (orders, obeyed) = watch::channel(Orders { listening: true, cut: 0, limit: None });
        let journal = Arc::default();
        let shared = Arc::new(Shared { state: Mutex::new(state), journal, orders: obeyed.clone() });
        let mut listening = Vec::new();
        let mut listen = |acceptor: Option<TlsAcceptor>| -> Result<SocketAddr> {
            let port = Port::new(&self.place, self.bind, acceptor)?;
            let address = port.address;
            let listener =
                self.place.listen(address).with_context(|| format!("cannot listen on {address}"))?;
            listening.push(Owned::spawn(run(port, listener, shared.clone(), obeyed.clone())));
            Ok(address)
        };
        let http = listen(None)?;
        let mut https = None;
        if self.https {
            let folder = tempfile::Builder::new().prefix("replay").tempdir()?;
            let files = ConsulTls::new(folder.path(), &datacenter, self.bind.ip())?;
            let acceptor = acceptor(&files, self.http2)?;
            https = Some((listen(Some(acceptor))?, Tls { files, _folder: folder }));
        }
        Ok(Replay { shared, orders, place: self.place, http, https, _listening: listening })
    }
}

fn acceptor(files: &ConsulTls, http2: bool) -> Result<TlsAcceptor> {
    let (certificate, key) = files.server_files();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)?.collect();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain?, PrivateKeyDer::from_pem_file(key)?)?;
    let offered: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}
