//! TLS towards external services that know nothing of the mesh.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::anchors::{Anchors, Side};
use crate::bundle::LeftOut;
use crate::certificate::Parsed;
use crate::connect::ClientStream;
use crate::names::Wanted;
use crate::tickets::Tickets;
use crate::verifier::signature_checks;
use crate::{BUFFER_LIMIT, Error, HandshakeError, HandshakeFacts, Material, PeerError, SecretPem};
use crate::{TlsParameters, chain, pem};

/// What a link of a terminating gateway says about TLS. The texts are those of the files; nothing is opened here.
#[derive(Clone)]
pub struct OriginationSettings {
    /// `CAFile`: the only certificates that are trusted; the system's never are.
    pub ca_pem: Vec<u8>,
    /// `CertFile` and `KeyFile`: sent if the server asks for a certificate.
    pub client: Option<ClientPem>,
    /// `SNI`. Empty: no name is sent and none is checked, any certificate of these CAs will do.
    pub sni: String,
    /// Protocols to offer, the best first; none for TCP.
    pub alpn: Vec<Vec<u8>>,
    /// The clock. Default: the system's.
    pub time: Arc<dyn TimeProvider>,
}

/// A client certificate with its key.
#[derive(Debug, Clone)]
pub struct ClientPem {
    /// The certificate, then what leads to its CA.
    pub certificate: Vec<u8>,
    /// SEC 1, PKCS #1 or PKCS #8.
    pub key: SecretPem,
}

impl OriginationSettings {
    /// Trusts `ca_pem`, and nothing else is set.
    #[must_use]
    pub fn new(ca_pem: Vec<u8>) -> Self {
        let time = Arc::new(DefaultTimeProvider);
        Self { ca_pem, client: None, sni: String::new(), alpn: Vec::new(), time }
    }
}

/// A connection to an external service.
#[derive(Debug)]
#[non_exhaustive]
pub struct Originated<IO> {
    /// The plain bytes.
    pub stream: ClientStream<IO>,
    /// How the handshake went, for counters.
    pub facts: HandshakeFacts,
}

/// Connects to an external service by TLS 1.2 or 1.3. Sessions are resumed with the same originator only.
#[derive(Clone)]
pub struct Originator {
    config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
    server_name: ServerName<'static>,
    time: Arc<dyn TimeProvider>,
}

impl Originator {
    /// Reads certificates and key.
    ///
    /// # Errors
    ///
    /// Texts that cannot be read, a key that belongs to another certificate, no CA certificate that is valid now. There is
    /// no fallback: without an originator the service must not be dialed.
    pub fn build(settings: &OriginationSettings, now: UnixTime) -> Result<Self, Error> {
        let anchors = Anchors::build(Material::OriginationCa, [&settings.ca_pem], false, now)?;
        let wanted = Wanted::new(&settings.sni);
        let verifier = Arc::new(Verifier { anchors, wanted });
        let sent = verifier.wanted.as_ref().and_then(Wanted::to_send);
        let parameters = TlsParameters::default();
        let tls = |error: rustls::Error| Error::Tls(error.to_string());
        let builder =
            ClientConfig::builder_with_details(Arc::clone(parameters.provider()), Arc::clone(&settings.time))
                .with_protocol_versions(parameters.versions())
                .map_err(tls)?
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>);
        let mut config = match &settings.client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let certified = Arc::new(client_certificate(client)?);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
        };
        config.alpn_protocols.clone_from(&settings.alpn);
        config.enable_sni = sent.is_some();
        config.resumption = Resumption::store(Arc::new(Tickets::new(Arc::clone(&settings.time))));
        // rustls must have a name; an address is never sent.
        let server_name = sent.unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()));
        Ok(Self { config: Arc::new(config), verifier, server_name, time: Arc::clone(&settings.time) })
    }

    /// Takes part in a handshake over `io`.
    ///
    /// There is no time limit inside; dropping the future ends the connection.
    ///
    /// # Errors
    ///
    /// See [`HandshakeError`].
    pub async fn originate<IO>(&self, io: IO) -> Result<Originated<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let prepare = |connection: &mut ClientConnection| connection.set_buffer_limit(Some(BUFFER_LIMIT));
        let stream = TlsConnector::from(Arc::clone(&self.config))
            .connect_with(self.server_name.clone(), io, prepare)
            .await
            .map_err(HandshakeError::from_io)?;
        let (_, connection) = stream.get_ref();
        let facts = HandshakeFacts::of(connection);
        if facts.resumed {
            // The session brought the certificates along, and nobody has looked at them.
            let now =
                self.time.current_time().ok_or_else(|| HandshakeError::Internal("no clock".to_owned()))?;
            let chain = connection.peer_certificates().unwrap_or_default();
            let (end_entity, intermediates) = chain.split_first().ok_or(PeerError::NoCertificate)?;
            self.verifier.verify(end_entity, intermediates, now)?;
        }
        Ok(Originated { stream, facts })
    }

    /// CA certificates that are not used. Log them.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        self.verifier.anchors.left_out()
    }
}

fn client_certificate(client: &ClientPem) -> Result<CertifiedKey, Error> {
    let certificates = pem::certificates(Material::OriginationCertificate, &client.certificate)?;
    let key = pem::private_key(Material::OriginationKey, client.key.expose().as_bytes())?;
    chain::certified(Material::OriginationCertificate, Material::OriginationKey, certificates, key)
}

impl fmt::Debug for Originator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Originator").field("wanted", &self.verifier.wanted).finish_non_exhaustive()
    }
}

impl fmt::Debug for OriginationSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginationSettings")
            .field("client", &self.client.is_some())
            .field("sni", &self.sni)
            .finish_non_exhaustive()
    }
}

/// Verifies an external server.
#[derive(Debug)]
struct Verifier {
    anchors: Anchors,
    /// `None`: any name.
    wanted: Option<Wanted>,
}

impl Verifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PeerError> {
        let parsed = Parsed::new(end_entity)?;
        // A self-signed certificate, as `openssl req -x509` makes it, says of itself that it is a CA, and webpki takes no CA
        // for a server. Whoever put that very certificate into the file trusts its holder.
        if parsed.is_ca() && self.anchors.hold(end_entity, now) {
            parsed.check_may_serve()?;
        } else {
            self.anchors.verify(Side::Server, end_entity, intermediates, now)?;
        }
        match &self.wanted {
            Some(wanted) => wanted.check(&parsed),
            None => Ok(()),
        }
    }
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
        match self.verify(end_entity, intermediates, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(error.into_rustls()),
        }
    }

    signature_checks!();
}
