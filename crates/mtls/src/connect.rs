//! The client side into the mesh.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use mesh_id::SpiffeId;
use rustls::client::Resumption;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::leaf::{Leaf, LeafAge, LeafKey};
use crate::store::{Generations, Shared, State};
use crate::tickets::Tickets;
use crate::trust::{Expect, TrustSet};
use crate::verifier::signature_checks;
use crate::{BUFFER_LIMIT, Error, HandshakeError, HandshakeFacts, Peer};

/// A dialed, decrypted stream: tokio's `AsyncRead` and `AsyncWrite`, with vectored writes. Flush what must go out.
pub type ClientStream<IO> = tokio_rustls::client::TlsStream<IO>;

/// Where to connect to.
#[derive(Debug, Clone)]
pub struct ConnectTarget {
    /// Server name to ask for, such as `billing.default.dc1.internal.<trust domain>`.
    pub server_name: String,
    /// Who may answer; at least one. With failover there are several.
    pub expected: Vec<SpiffeId>,
    /// Protocols to offer, the best first; none for TCP.
    pub alpn: Vec<Vec<u8>>,
}

/// A connection into the mesh.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connected<IO> {
    /// The plain bytes.
    pub stream: ClientStream<IO>,
    /// Who answered: one of those expected.
    pub peer: Peer,
    /// How the handshake went, for counters.
    pub facts: HandshakeFacts,
    /// What it was dialed with: part of the key of a connection pool.
    pub generations: Generations,
}

/// Connects to one target with one identity. Follows every change of leaf, roots and parameters; sessions are resumed only
/// with the same target, leaf, roots and parameters.
pub struct Connector {
    shared: Arc<Shared>,
    key: LeafKey,
    server_name: ServerName<'static>,
    expect: Expect,
    alpn: Vec<Vec<u8>>,
    built: ArcSwapOption<Built>,
}

struct Built {
    config: Arc<ClientConfig>,
    trust: Arc<TrustSet>,
    leaf: Arc<Leaf>,
    generations: Generations,
}

impl Connector {
    pub(crate) fn new(shared: Arc<Shared>, key: LeafKey, target: ConnectTarget) -> Result<Self, Error> {
        if target.expected.is_empty() {
            return Err(Error::NothingExpected);
        }
        let ConnectTarget { server_name, expected, alpn } = target;
        let unusable = |name: &str| Error::ServerName(name.into());
        let server_name =
            ServerName::try_from(server_name.as_str()).map_err(|_| unusable(&server_name))?.to_owned();
        let expect = Expect::OneOf(expected.iter().map(SpiffeId::to_string).collect());
        Ok(Self { shared, key, server_name, expect, alpn, built: ArcSwapOption::empty() })
    }

    /// Takes part in a handshake over `io`, and makes sure who answers.
    ///
    /// There is no time limit inside; dropping the future ends the connection.
    ///
    /// # Errors
    ///
    /// See [`HandshakeError`].
    pub async fn connect<IO>(&self, io: IO) -> Result<Connected<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let built = self.current()?;
        if built.leaf.age(self.shared.common.now()?) == LeafAge::Expired {
            return Err(HandshakeError::OwnCertificateExpired(self.key.clone()));
        }
        let prepare = |connection: &mut ClientConnection| connection.set_buffer_limit(Some(BUFFER_LIMIT));
        let stream = TlsConnector::from(Arc::clone(&built.config))
            .connect_with(self.server_name.clone(), io, prepare)
            .await
            .map_err(HandshakeError::from_io)?;
        let (_, connection) = stream.get_ref();
        let peer = self.admit(&built, connection)?;
        let facts = HandshakeFacts::of(connection);
        Ok(Connected { stream, peer, facts, generations: built.generations })
    }

    /// What the next connection is dialed with; another value than before means that pooled connections are old.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::NotReady`] while a leaf or roots are missing.
    pub fn generations(&self) -> Result<Generations, HandshakeError> {
        self.generations_in(&self.shared.state.load())
    }

    fn generations_in(&self, state: &State) -> Result<Generations, HandshakeError> {
        let (trust, leaf) = state.identity(&self.key).map_err(|why| self.not_ready(why))?;
        Ok(Generations { leaf: leaf.generation, trust: trust.generation, parameters: state.tls.generation })
    }

    fn not_ready(&self, why: crate::NotReady) -> HandshakeError {
        HandshakeError::NotReady { key: self.key.clone(), why }
    }

    /// The configuration for the state that is in use.
    fn current(&self) -> Result<Arc<Built>, HandshakeError> {
        let state = self.shared.state.load();
        let generations = self.generations_in(&state)?;
        if let Some(built) = self.built.load_full().filter(|built| built.generations == generations) {
            return Ok(built);
        }
        // Two tasks may build it at the same time; each works, and the later one stays.
        let built = Arc::new(self.build(&state, generations)?);
        self.built.store(Some(Arc::clone(&built)));
        Ok(built)
    }

    fn build(&self, state: &State, generations: Generations) -> Result<Built, HandshakeError> {
        let (trust, leaf) = state.identity(&self.key).map_err(|why| self.not_ready(why))?;
        let parameters = &state.tls.value.outgoing;
        let verifier = Verifier { trust: Arc::clone(&trust.value), expect: self.expect.clone() };
        let (provider, time) = (Arc::clone(parameters.provider()), Arc::clone(&self.shared.common.time));
        let mut config = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(parameters.versions())
            .map_err(|error| HandshakeError::Internal(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(leaf.value.certified()))));
        config.alpn_protocols.clone_from(&self.alpn);
        // Envoy selects what its own list says, or nothing; neither changes how we speak.
        config.check_selected_alpn = false;
        config.resumption = Resumption::store(Arc::new(Tickets::new(Arc::clone(&self.shared.common.time))));
        Ok(Built {
            config: Arc::new(config),
            trust: Arc::clone(&trust.value),
            leaf: Arc::clone(&leaf.value),
            generations,
        })
    }

    fn admit(&self, built: &Built, connection: &ClientConnection) -> Result<Peer, HandshakeError> {
        let chain = connection.peer_certificates().unwrap_or_default();
        let common = &self.shared.common;
        let now = common.now()?;
        let peer = built.trust.verify_again(&self.expect, chain, now)?;
        Ok(common.verify_if_changed(built.generations.trust, &self.expect, chain, now)?.unwrap_or(peer))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("key", &self.key)
            .field("server_name", &self.server_name)
            .field("expect", &self.expect)
            .finish_non_exhaustive()
    }
}

/// Verifies servers of the mesh. The name that was asked for is not looked at: identities are URIs.
#[derive(Debug)]
struct Verifier {
    trust: Arc<TrustSet>,
    expect: Expect,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.trust.verify_parts(&self.expect, end_entity, intermediates, now) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(error.into_rustls()),
        }
    }

    signature_checks!();
}
