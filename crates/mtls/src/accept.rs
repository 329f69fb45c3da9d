//! The server side: connections that arrive with a mesh identity.

use std::fmt;
use std::sync::Arc;

use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{DistinguishedName, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::leaf::{Leaf, LeafAge, LeafKey};
use crate::sessions::SessionScope;
use crate::store::{Common, Generations, MeshTls, Versioned};
use crate::trust::{Expect, TrustSet, Trusts};
use crate::verifier::signature_checks;
use crate::{BUFFER_LIMIT, Error, HandshakeError, HandshakeFacts, Peer, PeerError};

#[cfg(test)]
mod tests;

/// An accepted, decrypted stream: tokio's `AsyncRead` and `AsyncWrite`, with vectored writes. Flush what must go out.
pub type ServerStream<IO> = tokio_rustls::server::TlsStream<IO>;

/// An accepted connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted<IO> {
    /// The plain bytes.
    pub stream: ServerStream<IO>,
    /// Who is at the far end. Whether it may do what it wants is for the caller to decide, also after a resumed session.
    pub peer: Peer,
    /// How the handshake went, for counters.
    pub facts: HandshakeFacts,
    /// What it was accepted with.
    pub generations: Generations,
}

/// Accepts connections for one service, with one state of its leaf, its roots and its parameters.
///
/// A client certificate is always required. There is no ALPN: a client may offer anything, and nothing is selected; which
/// protocol is spoken shows in the first bytes. There is no early data.
#[derive(Clone)]
pub struct Acceptor(Arc<Inner>);

struct Inner {
    config: Arc<ServerConfig>,
    common: Arc<Common>,
    key: LeafKey,
    leaf: Arc<Leaf>,
    trust: Arc<TrustSet>,
    expect: Expect,
    generations: Generations,
    scope: u64,
    /// Stored in each session and compared when it is resumed.
    tag: Vec<u8>,
}

impl Acceptor {
    pub(crate) fn build(
        common: &Arc<Common>,
        key: &LeafKey,
        leaf: &Versioned<Leaf>,
        trust: &Versioned<TrustSet>,
        tls: &Versioned<MeshTls>,
        trusts: Trusts,
        sessions: Arc<SessionScope>,
    ) -> Result<Self, Error> {
        let parameters = &tls.value.incoming;
        let expect = Expect::AnyService(trusts);
        let verifier = Verifier { trust: Arc::clone(&trust.value), expect: expect.clone() };
        let (provider, time) = (Arc::clone(parameters.provider()), Arc::clone(&common.time));
        let mut config = ServerConfig::builder_with_details(provider, time)
            .with_protocol_versions(parameters.versions())
            .map_err(|error| Error::Tls(error.to_string()))?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(leaf.value.certified()))));
        let scope = sessions.number();
        config.session_storage = sessions;
        // Each costs 6 µs and memory, and a client that wants to come back twice gets a new one the first time.
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        let generations =
            Generations { leaf: leaf.generation, trust: trust.generation, parameters: tls.generation };
        let own = trust.value.own().trust_domain();
        let tag = format!("{own}|{key}|{}|{}", generations.leaf, generations.trust).into_bytes();
        Ok(Self(Arc::new(Inner {
            config: Arc::new(config),
            common: Arc::clone(common),
            key: key.clone(),
            leaf: Arc::clone(&leaf.value),
            trust: Arc::clone(&trust.value),
            expect,
            generations,
            scope,
            tag,
        })))
    }

    /// Takes part in a handshake, and says who is at the far end.
    ///
    /// `io` starts with the first byte of the ClientHello. Whoever read that already to find the server name gives it back
    /// in front of the socket: `sni_peek::Rewind::new(socket, hello)`.
    ///
    /// There is no time limit inside; dropping the future ends the connection.
    ///
    /// # Errors
    ///
    /// See [`HandshakeError`]. The far end got an alert where TLS has one, except for what is found out last: certificates
    /// of a resumed session, or roots that changed while the handshake was under way.
    pub async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let Inner { common, leaf, key, config, tag, generations, .. } = &*self.0;
        if leaf.age(common.now()?) == LeafAge::Expired {
            return Err(HandshakeError::OwnCertificateExpired(key.clone()));
        }
        let prepare = |connection: &mut ServerConnection| {
            connection.set_resumption_data(tag);
            connection.set_buffer_limit(Some(BUFFER_LIMIT));
        };
        let stream = TlsAcceptor::from(Arc::clone(config))
            .accept_with(io, prepare)
            .await
            .map_err(HandshakeError::from_io)?;
        let (_, connection) = stream.get_ref();
        let peer = self.admit(connection)?;
        let facts = HandshakeFacts::of(connection);
        Ok(Accepted { stream, peer, facts, generations: *generations })
    }

    /// Who the far end is. In a full handshake its chain was verified with the roots of this acceptor; in a resumed one
    /// it was copied from the session without a look.
    fn admit(&self, connection: &ServerConnection) -> Result<Peer, HandshakeError> {
        let Inner { common, trust, expect, generations, tag, .. } = &*self.0;
        if connection.received_resumption_data().is_some_and(|received| received != &tag[..]) {
            return Err(PeerError::StaleSession.into());
        }
        let chain = connection.peer_certificates().unwrap_or_default();
        let now = common.now()?;
        let peer = trust.verify_again(expect, chain, now)?;
        Ok(common.verify_if_changed(generations.trust, expect, chain, now)?.unwrap_or(peer))
    }

    /// Which service it accepts for.
    #[must_use]
    pub fn key(&self) -> &LeafKey {
        &self.0.key
    }

    /// The leaf that it presents.
    #[must_use]
    pub fn leaf(&self) -> &Arc<Leaf> {
        &self.0.leaf
    }

    /// What it is made of.
    #[must_use]
    pub fn generations(&self) -> Generations {
        self.0.generations
    }

    pub(crate) fn scope(&self) -> u64 {
        self.0.scope
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("key", &self.0.key)
            .field("generations", &self.0.generations)
            .finish_non_exhaustive()
    }
}

/// Verifies clients.
#[derive(Debug)]
struct Verifier {
    trust: Arc<TrustSet>,
    expect: Expect,
}

impl ClientCertVerifier for Verifier {
    /// None: a client whose chain leads to one of our roots over a cross-signed certificate might find no match for its
    /// own CA among the names, and send no certificate at all.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.trust.verify_parts(&self.expect, end_entity, intermediates, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(error) => Err(error.into_rustls()),
        }
    }

    signature_checks!();
}
