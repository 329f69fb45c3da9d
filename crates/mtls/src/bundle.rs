//! Trust bundles: the roots of one trust domain.

use std::fmt;

use aws_lc_rs::digest;
use mesh_id::TrustDomain;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;

use crate::anchors::{Anchors, Side};
use crate::certificate::{Parsed, SerialNumber, Validity};
use crate::{Error, Leaf, Material, PeerError, RootsDocument};

/// SHA-256 over certificates: the same content has the same one, whatever its order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) fn of(digest: digest::Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self::of(digest::digest(&digest::SHA256, bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One root, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Its subject, as in `CN=Consul CA Root Cert`.
    pub subject: String,
    /// The number that its CA gave it.
    pub serial: SerialNumber,
    /// From when to when it is trusted.
    pub validity: Validity,
}

impl Anchor {
    pub(crate) fn of(parsed: &Parsed<'_>) -> Self {
        Self { subject: parsed.subject_text(), serial: parsed.serial(), validity: parsed.validity() }
    }
}

/// A root that is not used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Which one.
    pub anchor: Anchor,
    /// Why.
    pub why: WhyLeftOut,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (serial {}) {}", self.anchor.subject, self.anchor.serial, self.why)
    }
}

/// Why a root is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyLeftOut {
    /// It has ended; it stays away for good.
    Expired {
        /// For how long.
        ago: Duration,
    },
    /// It has not begun; it is used from its first second on.
    NotYetValid {
        /// Until then.
        by: Duration,
    },
    /// Its key is on the curve P-224, which no supported library verifies. Give the CA `PrivateKeyBits` 256.
    UnsupportedCurve,
    /// It is not a certificate of a CA.
    NotACa,
}

impl WhyLeftOut {
    pub(crate) fn at(validity: Validity, now: UnixTime) -> Option<Self> {
        if validity.contains(now) {
            None
        } else if validity.begins_in(now) > Duration::ZERO {
            Some(Self::NotYetValid { by: validity.begins_in(now) })
        } else {
            Some(Self::Expired { ago: validity.ended_for(now) })
        }
    }

    /// The word for logs and metric labels.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Expired { .. } => "root_expired",
            Self::NotYetValid { .. } => "root_not_yet_valid",
            Self::UnsupportedCurve => "root_key_p224",
            Self::NotACa => "root_is_no_ca",
        }
    }
}

impl fmt::Display for WhyLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { ago } => write!(f, "ended {} s ago", ago.as_secs()),
            Self::NotYetValid { by } => write!(f, "begins in {} s only", by.as_secs()),
            Self::UnsupportedCurve => f.write_str(
                "has a key on the curve P-224, which is not supported: set PrivateKeyBits of the CA to 256",
            ),
            Self::NotACa => f.write_str("is not a certificate of a CA"),
        }
    }
}

/// The roots of one trust domain, verified: each can be read, at least one can be used now.
///
/// All roots of the list are trusted, active or not: that is what carries a mesh through a rotation. A root is trusted
/// only within its own validity, which is looked at in every handshake. Whoever holds a bundle should build it again at
/// [`TrustBundle::next_change`], because that is cheaper than what each handshake does instead, and to learn of roots
/// that were left out.
#[derive(Debug, Clone)]
pub struct TrustBundle {
    trust_domain: TrustDomain,
    anchors: Anchors,
}

impl TrustBundle {
    /// Reads roots. A text may hold several certificates, may lack its last line break, and two may have been joined
    /// without one. A root that occurs twice counts once.
    ///
    /// # Errors
    ///
    /// A text that is not PEM, has no certificate or something else than certificates in it, a certificate that cannot be
    /// read, or none that can be used now. Then nothing of the new roots should be used and the last good ones kept.
    pub fn build<P: AsRef<[u8]>>(
        trust_domain: TrustDomain,
        pems: impl IntoIterator<Item = P>,
        now: UnixTime,
    ) -> Result<Self, Error> {
        Ok(Self { trust_domain, anchors: Anchors::build(Material::Roots, pems, true, now)? })
    }

    /// Reads Consul's answer.
    ///
    /// # Errors
    ///
    /// As [`TrustBundle::build`]; also when the trust domain is no host name or the list is empty, as while the CA is not
    /// ready ([`Error::NoUsableRoot`]).
    pub fn from_document(document: &RootsDocument, now: UnixTime) -> Result<Self, Error> {
        let trust_domain = TrustDomain::parse(&document.trust_domain)?;
        Self::build(trust_domain, document.roots.iter().map(|root| &root.root_cert), now)
    }

    /// Whose roots these are.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The same roots, of which the same hold, have the same fingerprint, in whatever order.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.anchors.fingerprint()
    }

    /// The roots that are trusted at `now`.
    pub fn anchors(&self, now: UnixTime) -> impl Iterator<Item = &Anchor> {
        self.anchors.at(now)
    }

    /// Roots that were not used when the bundle was built. Log them.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        self.anchors.left_out()
    }

    /// When the next root begins or ends: the first second of the new state. `None` if that never happens.
    #[must_use]
    pub fn next_change(&self, now: UnixTime) -> Option<UnixTime> {
        self.anchors.next_change(now).map(|second| UnixTime::since_unix_epoch(Duration::from_secs(second)))
    }

    /// Whether this mesh would accept the leaf. Right after a rotation a new leaf may come before the new roots do, so
    /// this is news for a log, and no reason to keep an older leaf.
    ///
    /// # Errors
    ///
    /// Why a far end with exactly these roots would refuse it.
    pub fn check_leaf(&self, leaf: &Leaf, now: UnixTime) -> Result<(), PeerError> {
        let (end_entity, chain) = leaf.chain().split_first().ok_or(PeerError::NoCertificate)?;
        self.verify(Side::Client, end_entity, chain, now)
    }

    /// Whether the same roots hold at `now` as when the bundle was built.
    pub(crate) fn is_as_built(&self, now: UnixTime) -> bool {
        self.anchors.is_as_built(now)
    }

    pub(crate) fn verify(
        &self,
        side: Side,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PeerError> {
        self.anchors.verify(side, end_entity, intermediates, now)
    }
}
