//! Chains of clients that were verified a short while ago, so that they need not be verified again.
//!
//! What is remembered is only that these certificates lead to one of the anchors. Who the client is, that it holds the
//! key, and what it may do is looked at in every handshake. The rules that make it safe:
//!
//! * There is one memory for one set of anchors, and it dies with it.
//! * Chains are told apart by all their certificates, byte for byte and in order; never by a digest or the first of them.
//! * Only what was accepted is remembered, so a stranger cannot fill it.
//! * A chain is forgotten when the first of its certificates ends, needed or not, and after five minutes.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate::Parsed;

/// Most chains; the oldest go first.
const MOST: usize = 1024;
/// A longer chain is no honest one; it is verified each time.
const MAX_CHAIN_BYTES: usize = 8 * 1024;
/// Seconds for which a chain is remembered.
const LIFETIME: u64 = 300;

/// The chains that one set of anchors has accepted.
#[derive(Default)]
pub(crate) struct VerifiedChains(Mutex<Held>);

#[derive(Default)]
struct Held {
    chains: HashMap<Arc<[u8]>, Span>,
    /// From the oldest on.
    order: VecDeque<Arc<[u8]>>,
}

/// From when to when a chain is remembered, both included, in seconds since 1970.
#[derive(Clone, Copy)]
struct Span(u64, u64);

/// What tells a chain from every other.
pub(crate) struct Chain(Vec<u8>);

impl Chain {
    /// `None`: it is too long to be remembered.
    pub(crate) fn of(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Option<Self> {
        let all = || std::iter::once(end_entity).chain(intermediates);
        let length = all().map(|der| der.len() + size_of::<u64>()).sum();
        if length > MAX_CHAIN_BYTES {
            return None;
        }
        let mut bytes = Vec::with_capacity(length);
        for der in all() {
            bytes.extend_from_slice(&(der.len() as u64).to_be_bytes());
            bytes.extend_from_slice(der);
        }
        Some(Self(bytes))
    }
}

impl VerifiedChains {
    /// Whether the chain was accepted a short while ago, and is good still.
    pub(crate) fn holds(&self, chain: &Chain, now: UnixTime) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.chains.get(&*chain.0).is_some_and(|Span(from, to)| (*from..=*to).contains(&now.as_secs()))
    }

    /// Remembers a chain that was accepted at `now`.
    pub(crate) fn insert(
        &self,
        chain: Chain,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) {
        let Some(span) = span(end_entity, intermediates, now) else { return };
        let key: Arc<[u8]> = chain.0.into();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.chains.insert(Arc::clone(&key), span).is_some() {
            return;
        }
        held.order.push_back(key);
        if held.order.len() > MOST
            && let Some(oldest) = held.order.pop_front()
        {
            held.chains.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(held.chains.len(), held.order.len());
        held.chains.len()
    }
}

/// While all its certificates are valid, those that no path needs as well, and not for long.
fn span(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Option<Span> {
    let now = now.as_secs();
    let mut span = Span(now, now.saturating_add(LIFETIME));
    for der in std::iter::once(end_entity).chain(intermediates) {
        let validity = Parsed::new(der).ok()?.validity();
        span.0 = span.0.max(validity.not_before.as_secs());
        span.1 = span.1.min(validity.not_after.as_secs());
    }
    (span.0 <= now && now <= span.1).then_some(span)
}

impl fmt::Debug for VerifiedChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifiedChains")
    }
}

#[cfg(test)]
mod tests;
