//! Trust in exactly the certificates that the operator named.
//!
//! An agent may present a certificate that stands in the CA file itself: a self-signed one, as
//! `openssl req -x509` makes it, says of itself that it is a CA, and webpki takes no CA for a server.
//! Consul's own client (Go's verifier) takes it, because whoever named that very certificate trusts its
//! holder. So does this one, for a certificate that is byte for byte one of those named, is valid now and
//! has the name; the key is proven in the handshake as always.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Verifies against named certificates.
#[derive(Debug)]
pub(super) struct Named {
    inner: Arc<WebPkiServerVerifier>,
    named: HashSet<CertificateDer<'static>>,
}

impl Named {
    pub(super) fn new(
        roots: RootCertStore,
        named: HashSet<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { inner, named })
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match verified {
            // webpki looks at the time before it looks at this, so the time is right; a test holds that.
            Err(error) if is_ca_as_server(&error) && self.named.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// webpki's word for a CA certificate in a server's place; rustls passes it on as it is.
fn is_ca_as_server(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error else { return false };
    other.to_string().contains("CaUsedAsEndEntity")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::crypto::aws_lc_rs;
    use std::time::Duration;

    fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["agent.test".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verify(
        named: &CertificateDer<'static>,
        shown: &CertificateDer<'static>,
        name: &str,
    ) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        roots.add(named.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Named::new(roots, HashSet::from([named.clone()]), provider).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        let verified = verifier.verify_server_cert(shown, &[], &name, &[], now);
        verified.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn the_named_certificate_itself_is_taken() {
        let named = self_signed(|_| {});
        assert_eq!(verify(&named, &named, "agent.test"), Ok(()));
    }

    #[test]
    fn another_one_is_not_nor_one_of_another_name() {
        let (named, other) = (self_signed(|_| {}), self_signed(|_| {}));
        assert!(verify(&named, &other, "agent.test").is_err());
        let error = verify(&named, &named, "other.test").unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
    }

    #[test]
    fn one_that_has_ended_or_not_begun_is_not() {
        let ended = self_signed(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
        assert!(verify(&ended, &ended, "agent.test").is_err());
        let later = self_signed(|params| params.not_before = rcgen::date_time_ymd(2090, 1, 1));
        assert!(verify(&later, &later, "agent.test").is_err());
    }
}
