//! What is read from an X.509 certificate besides what rustls checks itself.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use mesh_id::{MAX_SPIFFE_URI, SpiffeId};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, Oid, asn1_rs::oid};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::{IdentityError, PeerError};

/// The curve secp224r1 (RFC 5480, section 2.1.1.1), which no supported library verifies.
const SECP224R1: Oid<'static> = oid!(1.3.132.0.33);
/// Context tag of a URI among general names (RFC 5280, section 4.2.1.6).
const URI_TAG: u32 = 6;

/// Number that a CA gave to a certificate; written like Consul does: `1a:07`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SerialNumber(Box<[u8]>);

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// From when to when a certificate holds, both ends included, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: UnixTime,
    /// Last second.
    pub not_after: UnixTime,
}

impl Validity {
    /// Whether the certificate has begun and not ended.
    #[must_use]
    pub fn contains(&self, now: UnixTime) -> bool {
        self.not_before.as_secs() <= now.as_secs() && now.as_secs() <= self.not_after.as_secs()
    }

    /// For how long it has ended; zero while it has not.
    #[must_use]
    pub fn ended_for(&self, now: UnixTime) -> Duration {
        Duration::from_secs(now.as_secs().saturating_sub(self.not_after.as_secs()))
    }

    /// Until it begins; zero once it has.
    #[must_use]
    pub fn begins_in(&self, now: UnixTime) -> Duration {
        Duration::from_secs(self.not_before.as_secs().saturating_sub(now.as_secs()))
    }
}

/// A parsed certificate.
pub(crate) struct Parsed<'a>(X509Certificate<'a>);

impl<'a> Parsed<'a> {
    pub(crate) fn new(der: &'a CertificateDer<'_>) -> Result<Self, IdentityError> {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(Self(certificate)),
            Ok(_) => Err(IdentityError::Malformed("bytes follow it".to_owned())),
            Err(error) => Err(IdentityError::Malformed(error.to_string())),
        }
    }

    pub(crate) fn validity(&self) -> Validity {
        let validity = self.0.validity();
        Validity { not_before: time(validity.not_before), not_after: time(validity.not_after) }
    }

    pub(crate) fn serial(&self) -> SerialNumber {
        SerialNumber(self.0.raw_serial().into())
    }

    pub(crate) fn subject(&self) -> &'a [u8] {
        self.0.tbs_certificate.subject.as_raw()
    }

    pub(crate) fn issuer(&self) -> &'a [u8] {
        self.0.tbs_certificate.issuer.as_raw()
    }

    pub(crate) fn subject_text(&self) -> String {
        self.0.subject().to_string()
    }

    pub(crate) fn public_key_info(&self) -> &[u8] {
        self.0.public_key().raw
    }

    /// Whether its key is on the curve P-224.
    pub(crate) fn is_p224(&self) -> bool {
        let algorithm = &self.0.public_key().algorithm;
        let curve = algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(SECP224R1)
    }

    /// Whether it may sign certificates.
    pub(crate) fn is_ca(&self) -> bool {
        self.0.is_ca()
    }

    /// Whether it was made for servers, or for anything.
    pub(crate) fn check_may_serve(&self) -> Result<(), PeerError> {
        let usage =
            self.0.extended_key_usage().map_err(|error| IdentityError::Malformed(error.to_string()))?;
        match usage {
            Some(usage) if !(usage.value.server_auth || usage.value.any) => Err(PeerError::WrongPurpose),
            _ => Ok(()),
        }
    }

    /// Every subject alternative name.
    pub(crate) fn names(&self) -> Result<&[GeneralName<'a>], IdentityError> {
        match self.0.subject_alternative_name() {
            Ok(None) => Ok(&[]),
            Ok(Some(extension)) => Ok(&extension.value.general_names),
            Err(error) => Err(IdentityError::Malformed(error.to_string())),
        }
    }

    /// The one identity, which must be written as Consul writes it; with the URI.
    pub(crate) fn identity(&self) -> Result<(SpiffeId, &'a str), IdentityError> {
        let mut uris = Vec::new();
        for name in self.names()? {
            match name {
                GeneralName::URI(uri) => uris.push(Some(*uri)),
                GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => uris.push(None),
                _ => {}
            }
        }
        let uri = match uris.as_slice() {
            [] => return Err(IdentityError::NoUri),
            [Some(uri)] => *uri,
            [None] => return Err(IdentityError::Malformed("its URI is no text".to_owned())),
            several => return Err(IdentityError::SeveralUris(several.len())),
        };
        let id = SpiffeId::parse(uri).map_err(|why| IdentityError::NotSpiffe { uri: short(uri), why })?;
        if id.matches_uri(uri) {
            Ok((id, uri))
        } else {
            Err(IdentityError::NotCanonical { uri: uri.into(), canonical: id.to_string().into() })
        }
    }
}

/// The bytes of an IP name.
pub(crate) fn ip_name(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn time(time: ASN1Time) -> UnixTime {
    // Before 1970 is long ago, too.
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0)))
}

/// A stranger chooses the text, and a log line has to bear it.
fn short(uri: &str) -> Box<str> {
    uri.chars().take(MAX_SPIFFE_URI / 8).collect::<String>().into()
}
