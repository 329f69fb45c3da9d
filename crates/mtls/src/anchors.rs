//! Trusted certificates with a validity of their own.
//!
//! webpki does not look at the dates of a trust anchor, so an ended root would be trusted for ever. Here it is trusted
//! from its first to its last second, whether or not anybody rebuilds anything in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::bundle::{Anchor, LeftOut, WhyLeftOut};
use crate::certificate::Parsed;
use crate::verified::{Chain, VerifiedChains};
use crate::{Error, Fingerprint, Material, PeerError, pem, provider};

/// Most anchors in one bundle; an operating system has about 150.
const MAX_ANCHORS: usize = 4096;

/// Which side of a connection a certificate was presented by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A set of anchors, and what follows from it for a span of time.
#[derive(Debug, Clone)]
pub(crate) struct Anchors {
    /// Every anchor that can ever be used, also one that has not begun; without duplicates.
    all: Vec<(CertificateDer<'static>, Anchor)>,
    /// Holds from `span.0` to `span.1`, both included, in seconds since 1970.
    current: Holding,
    span: (u64, u64),
    /// Clients that `current` has accepted. Clones share it, because they have the same anchors.
    verified: Arc<VerifiedChains>,
    left_out: Vec<LeftOut>,
    fingerprint: Fingerprint,
}

impl Anchors {
    pub(crate) fn build<P: AsRef<[u8]>>(
        what: Material,
        pems: impl IntoIterator<Item = P>,
        must_be_ca: bool,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let mut seen = BTreeSet::new();
        let (mut all, mut left_out) = (Vec::new(), Vec::new());
        let mut number = 0;
        for text in pems {
            for der in pem::certificates(what, text.as_ref())? {
                number += 1;
                if number > MAX_ANCHORS {
                    return Err(Error::TooMany { what, count: number, limit: MAX_ANCHORS });
                }
                let bad = |why: String| Error::BadCertificate { what, number, why };
                let parsed = Parsed::new(&der).map_err(|error| bad(error.to_string()))?;
                let anchor = Anchor::of(&parsed);
                let unusable = if parsed.is_p224() {
                    Some(WhyLeftOut::UnsupportedCurve)
                } else if must_be_ca && !parsed.is_ca() {
                    Some(WhyLeftOut::NotACa)
                } else {
                    None
                };
                if let Some(why) = unusable {
                    left_out.push(LeftOut { anchor, why });
                    continue;
                }
                RootCertStore::empty().add(der.clone()).map_err(|error| bad(error.to_string()))?;
                if seen.insert(der.to_vec()) {
                    if let Some(why) = WhyLeftOut::at(anchor.validity, now) {
                        left_out.push(LeftOut { anchor: anchor.clone(), why });
                    }
                    all.push((der, anchor));
                }
            }
        }
        let fingerprint = fingerprint(&all, now);
        let Some(current) = Holding::at(&all, now) else {
            return Err(Error::NoUsableRoot { what, left_out });
        };
        let span = span_around(&all, now.as_secs());
        Ok(Self { all, current, span, verified: Arc::default(), left_out, fingerprint })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The anchors that hold at `now`.
    pub(crate) fn at(&self, now: UnixTime) -> impl Iterator<Item = &Anchor> {
        self.all.iter().map(|(_, anchor)| anchor).filter(move |anchor| anchor.validity.contains(now))
    }

    /// First second at which the set is another than at `now`.
    pub(crate) fn next_change(&self, now: UnixTime) -> Option<u64> {
        let (_, last) = span_around(&self.all, now.as_secs());
        (last < u64::MAX).then(|| last + 1)
    }

    /// Whether no anchor has begun or ended since the set was built.
    pub(crate) fn is_as_built(&self, now: UnixTime) -> bool {
        (self.span.0..=self.span.1).contains(&now.as_secs())
    }

    /// Whether `der` is an anchor, byte for byte, that holds at `now`.
    pub(crate) fn hold(&self, der: &CertificateDer<'_>, now: UnixTime) -> bool {
        self.all.iter().any(|(one, anchor)| one == der && anchor.validity.contains(now))
    }

    /// Looks for a path from `end_entity` to an anchor that holds at `now`, by the rules of X.509. Names are not looked
    /// at.
    pub(crate) fn verify(
        &self,
        side: Side,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PeerError> {
        // Between the moment when an anchor begins or ends and the next rebuild nothing is remembered.
        if side == Side::Client && self.is_as_built(now) {
            return self.verify_client(end_entity, intermediates, now);
        }
        let holding = if self.is_as_built(now) {
            self.current.clone()
        } else {
            Holding::at(&self.all, now).ok_or(PeerError::RootsExpired)?
        };
        holding.verify(side, end_entity, intermediates, now)
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.verified.len()
    }

    /// The same for a client, by the anchors as they were built: a chain that was accepted a short while ago is
    /// accepted again.
    fn verify_client(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PeerError> {
        let chain = Chain::of(end_entity, intermediates);
        if chain.as_ref().is_some_and(|chain| self.verified.holds(chain, now)) {
            return Ok(());
        }
        self.current.verify(Side::Client, end_entity, intermediates, now)?;
        if let Some(chain) = chain {
            self.verified.insert(chain, end_entity, intermediates, now);
        }
        Ok(())
    }
}

/// What can be verified; the same for chains and for handshakes.
pub(crate) fn algorithms() -> &'static WebPkiSupportedAlgorithms {
    &provider::get().signature_verification_algorithms
}

/// The anchors that hold at one moment; never none.
#[derive(Debug, Clone)]
struct Holding {
    roots: Arc<RootCertStore>,
    /// rustls verifies clients by an object only.
    clients: Arc<dyn ClientCertVerifier>,
}

impl Holding {
    fn at(all: &[(CertificateDer<'static>, Anchor)], now: UnixTime) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for (der, _) in all.iter().filter(|(_, anchor)| anchor.validity.contains(now)) {
            // Each was added to a store before it came into the list.
            roots.add(der.clone()).ok()?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::clone(provider::get());
        // Fails for an empty store, and for nothing else here.
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider).build().ok()?;
        Some(Self { roots, clients })
    }

    fn verify(
        &self,
        side: Side,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PeerError> {
        let verified = match side {
            Side::Server => ParsedCertificate::try_from(end_entity).and_then(|parsed| {
                let (roots, algorithms) = (&self.roots, algorithms().all);
                verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)
            }),
            Side::Client => self.clients.verify_client_cert(end_entity, intermediates, now).map(drop),
        };
        verified.map_err(|error| match error {
            rustls::Error::InvalidCertificate(error) => error.into(),
            other => PeerError::Invalid(rustls::CertificateError::Other(rustls::OtherError(Arc::new(other)))),
        })
    }
}

/// The same for the same anchors, of which the same hold.
fn fingerprint(all: &[(CertificateDer<'static>, Anchor)], now: UnixTime) -> Fingerprint {
    let mut parts: Vec<[u8; 33]> = all
        .iter()
        .map(|(der, anchor)| {
            // The last byte is what the digest leaves of it.
            let mut part = [u8::from(anchor.validity.contains(now)); 33];
            part.iter_mut().zip(Fingerprint::of_bytes(der).as_bytes()).for_each(|(to, from)| *to = *from);
            part
        })
        .collect();
    parts.sort_unstable();
    Fingerprint::of_bytes(parts.as_flattened())
}

/// The longest span around `now` in which no anchor begins or ends.
fn span_around(all: &[(CertificateDer<'static>, Anchor)], now: u64) -> (u64, u64) {
    let (mut first, mut last) = (0, u64::MAX);
    for (_, Anchor { validity, .. }) in all {
        for change in [validity.not_before.as_secs(), validity.not_after.as_secs().saturating_add(1)] {
            if change <= now {
                first = first.max(change);
            } else {
                last = last.min(change - 1);
            }
        }
    }
    (first, last)
}
