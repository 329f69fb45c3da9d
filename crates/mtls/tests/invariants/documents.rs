//! What holds for every answer about certificates: it is read, or refused without showing a key; and whatever was read is
//! consistent.

use std::time::Duration;

use mesh_id::SpiffeId;
use mtls::{
    Leaf, LeafAge, LeafDocument, RootsDocument, TlsDirectionDocument, TlsParameters, TrustBundle, TrustSet,
    UnixTime,
};

/// Moments at which the samples hold, have ended, or have not begun.
const MOMENTS: [u64; 3] = [1_795_464_000, 4_000_000_000, 1_000_000_000];

/// Panics if one of the rules does not hold.
pub(crate) fn check(input: &[u8]) {
    for second in MOMENTS {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(second));
        if let Ok(document) = serde_json::from_slice::<RootsDocument>(input) {
            roots(&document, now);
        }
        if let Ok(document) = serde_json::from_slice::<LeafDocument>(input) {
            leaf(&document, now);
        }
    }
    if let Ok(document) = serde_json::from_slice::<TlsDirectionDocument>(input) {
        match TlsParameters::from_document(&document) {
            Ok(parameters) => assert!(parameters.warnings().len() <= document.cipher_suites.len() + 1),
            Err(error) => assert!(!error.reason().is_empty()),
        }
    }
}

fn roots(document: &RootsDocument, now: UnixTime) {
    match TrustBundle::from_document(document, now) {
        Ok(bundle) => {
            let holding: Vec<_> = bundle.anchors(now).collect();
            assert!(!holding.is_empty());
            assert!(holding.iter().all(|anchor| anchor.validity.contains(now)));
            if let Some(next) = bundle.next_change(now) {
                assert!(next.as_secs() > now.as_secs());
            }
            let again = TrustBundle::from_document(document, now).map(|bundle| bundle.fingerprint());
            assert_eq!(again, Ok(bundle.fingerprint()));
            assert_eq!(TrustSet::new(bundle.clone()).next_change(now), bundle.next_change(now));
        }
        Err(error) => assert!(!error.reason().is_empty() && !error.to_string().is_empty()),
    }
}

fn leaf(document: &LeafDocument, now: UnixTime) {
    let key = document.private_key_pem.expose();
    let shown = format!("{document:?}");
    assert!(key.len() < 16 || document.cert_pem.contains(key) || !shown.contains(key));
    let expected = SpiffeId::parse(&document.service_uri)
        .or_else(|_| SpiffeId::parse("spiffe://x.consul/ns/default/dc/d/svc/s"));
    let Ok(expected) = expected else { return };
    match Leaf::from_document(document, &expected, now) {
        Ok(leaf) => {
            assert_eq!(leaf.id(), &expected);
            assert!(!leaf.chain().is_empty() && leaf.age(now) != LeafAge::Expired);
            assert!(leaf.renewal_alarm().as_secs() <= leaf.validity().not_after.as_secs());
        }
        Err(error) => {
            assert!(!error.reason().is_empty() && !error.to_string().contains("PRIVATE KEY-----\n"));
        }
    }
}
