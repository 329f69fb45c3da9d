//! Leaves: the certificate and key by which a service shows who it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_id::{Namespace, Partition, ServiceName, SpiffeId};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::bundle::Fingerprint;
use crate::certificate::{Parsed, SerialNumber, Validity};
use crate::{Error, IdentityError, LeafDocument, Material, chain, pem};

/// By how much a leaf of our own may begin in the future: clocks differ. Peers get no such tolerance, nor do they give
/// it.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Which leaf: the service whose name it bears.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeafKey {
    /// Admin partition, `default` outside Consul Enterprise.
    pub partition: Partition,
    /// Namespace, `default` outside Consul Enterprise.
    pub namespace: Namespace,
    /// The service.
    pub service: ServiceName,
}

impl LeafKey {
    /// A service in the default partition and namespace.
    #[must_use]
    pub fn new(service: ServiceName) -> Self {
        Self { partition: Partition::default(), namespace: Namespace::default(), service }
    }
}

impl fmt::Display for LeafKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.partition.is_default() {
            write!(f, "{}/", self.partition)?;
        }
        if !(self.partition.is_default() && self.namespace.is_default()) {
            write!(f, "{}/", self.namespace)?;
        }
        write!(f, "{}", self.service)
    }
}

/// What is odd about a leaf that is used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeafWarning {
    /// It begins in the future, by at most [`MAX_CLOCK_SKEW`]: this clock is behind, or the CA's ahead. Log the skew.
    NotYetValidBy(Duration),
}

/// How old a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeafAge {
    /// All is well.
    Fresh,
    /// More than nine tenths of its life are over, and it should have been renewed. Raise an alarm.
    RenewalOverdue,
    /// It has ended: nobody accepts it, and the service accepts nobody.
    Expired,
}

/// A verified leaf: the key belongs to it, it names the wanted service, and it is valid.
#[derive(Clone)]
pub struct Leaf {
    certified: Arc<CertifiedKey>,
    id: SpiffeId,
    serial: SerialNumber,
    validity: Validity,
    fingerprint: Fingerprint,
    warning: Option<LeafWarning>,
}

impl Leaf {
    /// Reads a leaf with its chain, and its key (SEC 1, PKCS #1 or PKCS #8). What is presented later is the leaf, then the
    /// rest without duplicates, each issuer after what it signed; the self-signed root is dropped, a cross-signed one
    /// kept.
    ///
    /// # Errors
    ///
    /// Certificates or key that cannot be read, a key of another certificate, an identity that is not `expected` to the
    /// letter, a leaf that has ended or begins later than [`MAX_CLOCK_SKEW`]. Keep the old leaf then.
    pub fn build(cert_pem: &[u8], key_pem: &[u8], expected: &SpiffeId, now: UnixTime) -> Result<Self, Error> {
        let what = Material::Leaf;
        let key = pem::private_key(Material::LeafKey, key_pem)?;
        let certified = chain::certified(what, Material::LeafKey, pem::certificates(what, cert_pem)?, key)?;
        let first = certified.cert.first().ok_or(Error::NoPem { what, wanted: "CERTIFICATE" })?;
        let named = |identity: IdentityError| Error::Identity { what, identity };
        let parsed = Parsed::new(first).map_err(named)?;
        let (id, uri) = parsed.identity().map_err(named)?;
        if !expected.matches_uri(uri) {
            return Err(Error::WrongIdentity { expected: expected.to_string().into(), found: uri.into() });
        }
        let validity = parsed.validity();
        let warning = check_validity(&id, validity, now)?;
        let serial = parsed.serial();
        let mut all = Vec::new();
        certified.cert.iter().for_each(|der| all.extend_from_slice(der));
        let fingerprint = Fingerprint::of_bytes(&all);
        Ok(Self { certified: Arc::new(certified), id, serial, validity, fingerprint, warning })
    }

    /// Reads Consul's answer.
    ///
    /// # Errors
    ///
    /// As [`Leaf::build`].
    pub fn from_document(document: &LeafDocument, expected: &SpiffeId, now: UnixTime) -> Result<Self, Error> {
        let key = document.private_key_pem.expose();
        Self::build(document.cert_pem.as_bytes(), key.as_bytes(), expected, now)
    }

    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The number that its CA gave it.
    #[must_use]
    pub fn serial(&self) -> &SerialNumber {
        &self.serial
    }

    /// From when to when it holds.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Over the leaf and its chain.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What was odd when it was read.
    #[must_use]
    pub fn warning(&self) -> Option<LeafWarning> {
        self.warning
    }

    /// What is presented: the leaf, then its chain.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// When nine tenths of its life are over. An agent renews long before; from then on something is wrong with it.
    #[must_use]
    pub fn renewal_alarm(&self) -> UnixTime {
        let (from, to) = (self.validity.not_before.as_secs(), self.validity.not_after.as_secs());
        UnixTime::since_unix_epoch(Duration::from_secs(to - to.saturating_sub(from) / 10))
    }

    /// How old it is at `now`.
    #[must_use]
    pub fn age(&self, now: UnixTime) -> LeafAge {
        if now.as_secs() > self.validity.not_after.as_secs() {
            LeafAge::Expired
        } else if now.as_secs() >= self.renewal_alarm().as_secs() {
            LeafAge::RenewalOverdue
        } else {
            LeafAge::Fresh
        }
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

/// Without the key.
impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("id", &self.id.to_string())
            .field("serial", &self.serial)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

fn check_validity(id: &SpiffeId, validity: Validity, now: UnixTime) -> Result<Option<LeafWarning>, Error> {
    let (ago, by) = (validity.ended_for(now), validity.begins_in(now));
    let id = || id.to_string().into();
    if ago > Duration::ZERO {
        Err(Error::Expired { id: id(), ago })
    } else if by > MAX_CLOCK_SKEW {
        Err(Error::NotYetValid { id: id(), by })
    } else {
        Ok((by > Duration::ZERO).then_some(LeafWarning::NotYetValidBy(by)))
    }
}
