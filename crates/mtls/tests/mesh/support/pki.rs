//! Certificate authorities.

use std::time::Duration;

use mesh_id::SpiffeId;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

use super::{HOUR, T0};

/// A moment as rcgen wants it; the type is of a crate that nothing else needs.
macro_rules! time {
    ($second:expr) => {
        date_time_ymd(1970, 1, 1) + Duration::from_secs($second)
    };
}

/// The trust domain of most tests.
pub(crate) const TD: &str = "11111111-2222-3333-4444-555555555555.consul";

pub(crate) fn leaf_uri(service: &str) -> String {
    format!("spiffe://{TD}/ns/default/dc/dc1/svc/{service}")
}

pub(crate) fn id(uri: &str) -> SpiffeId {
    SpiffeId::parse(uri).unwrap()
}

/// What a certificate shall say.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) names: Vec<SanType>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) usages: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) common_name: Option<&'static str>,
    pub(crate) ca: bool,
}

impl Spec {
    /// As Consul makes it: one URI, 72 hours, for both sides, no subject.
    pub(crate) fn uri(uri: &str) -> Self {
        Self::uris(&[uri])
    }

    pub(crate) fn uris(uris: &[&str]) -> Self {
        Self {
            names: uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect(),
            from: T0 - 60,
            to: T0 + 72 * HOUR,
            usages: vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth],
            common_name: None,
            ca: false,
        }
    }

    pub(crate) fn service(service: &str) -> Self {
        Self::uri(&leaf_uri(service))
    }

    pub(crate) fn dns(mut self, name: &str) -> Self {
        self.names.push(SanType::DnsName(name.try_into().unwrap()));
        self
    }

    pub(crate) fn valid(mut self, from: u64, to: u64) -> Self {
        (self.from, self.to) = (from, to);
        self
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = self.common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        (params.not_before, params.not_after) = (time!(self.from), time!(self.to));
        params.subject_alt_names.clone_from(&self.names);
        params.extended_key_usages.clone_from(&self.usages);
        params.serial_number = Some(SerialNumber::from_slice(&[0x1a, 7]));
        params.is_ca = if self.ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement];
        params.use_authority_key_identifier_extension = true;
        params
    }
}

/// A certificate with its key and what leads to its root.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) uri: String,
    pub(crate) chain_pem: String,
    pub(crate) key_pem: String,
}

/// An authority: a root, or an intermediate.
pub(crate) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    params: CertificateParams,
    /// What its leaves bring along.
    pub(crate) chain: String,
}

impl Ca {
    /// A root of the built-in CA.
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    pub(crate) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params.clone(), key).unwrap();
        Self { issuer, params, chain: String::new() }
    }

    /// An authority below this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let mut params = ca_params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(params.clone(), key, &self.issuer).unwrap();
        let chain = format!("{}{}", issuer.pem(), self.chain);
        Self { issuer, params, chain }
    }

    /// The certificate of this root, signed by `old`: what leaves bring along after a rotation.
    pub(crate) fn cross_signed_by(&self, old: &Ca) -> String {
        self.cross_signed_by_until(old, T0 + 7 * 24 * HOUR)
    }

    pub(crate) fn cross_signed_by_until(&self, old: &Ca, end: u64) -> String {
        let mut params = self.params.clone();
        (params.not_before, params.not_after) = (time!(T0 - 60), time!(end));
        params.signed_by(self.issuer.key(), &old.issuer).unwrap().pem()
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn leaf(&self, service: &str) -> Issued {
        self.issue(&Spec::service(service))
    }

    pub(crate) fn issue(&self, spec: &Spec) -> Issued {
        self.issue_with(spec, |_| {})
    }

    pub(crate) fn issue_with(&self, spec: &Spec, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = spec.params();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let uri = spec.names.iter().find_map(|name| match name {
            SanType::URI(uri) => Some(uri.as_str().to_owned()),
            _ => None,
        });
        Issued {
            uri: uri.unwrap_or_default(),
            chain_pem: format!("{}{}", certificate.pem(), self.chain),
            key_pem: key.serialize_pem(),
        }
    }
}

impl Issued {
    /// A certificate that signed itself.
    pub(crate) fn self_signed(spec: &Spec) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = spec.params().self_signed(&key).unwrap();
        Self { uri: String::new(), chain_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    pub(crate) fn and(mut self, more: &str) -> Self {
        self.chain_pem.push_str(more);
        self
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (time!(T0 - 24 * HOUR), time!(T0 + 3650 * 24 * HOUR));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{TD}").try_into().unwrap())];
    params
}

/// When a root shall hold.
pub(crate) fn root_validity(from: u64, to: u64) -> impl FnOnce(&mut CertificateParams) {
    move |params| (params.not_before, params.not_after) = (time!(from), time!(to))
}
