//! Certificates for tests.
#![expect(clippy::expect_used, reason = "a test ends where its help ends")]

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use std::time::Duration;

use crate::support::TD;

/// A moment as rcgen wants it.
macro_rules! time {
    ($second:expr) => {
        date_time_ymd(1970, 1, 1) + Duration::from_secs($second)
    };
}

pub(crate) fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_secs()
}

pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

pub(crate) fn uri(service: &str) -> String {
    format!("spiffe://{TD}/ns/default/dc/fra1/svc/{service}")
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        Self::valid(name, now() - 3_600, now() + 315_360_000)
    }

    pub(crate) fn valid(name: &str, from: u64, to: u64) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (time!(from), time!(to));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{TD}").try_into().expect("a URI"))];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a root"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The leaf of a service, as Consul makes it: 72 hours.
    pub(crate) fn leaf(&self, service: &str) -> Issued {
        self.issue(&[&uri(service)], now() - 60, now() + 72 * 3_600)
    }

    pub(crate) fn issue(&self, uris: &[&str], from: u64, to: u64) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        (params.not_before, params.not_after) = (time!(from), time!(to));
        params.subject_alt_names =
            uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("a URI"))).collect();
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Issued { cert: certificate.pem(), key: key.serialize_pem() }
    }
}
