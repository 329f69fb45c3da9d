//! What holds for every text that shall be PEM: it is read, or refused, and the same text is read the same wherever it
//! stands.

use std::time::Duration;

use mesh_id::{SpiffeId, TrustDomain};
use mtls::{ClientPem, Leaf, OriginationSettings, Originator, SecretPem, TrustBundle, UnixTime};

/// Panics if one of the rules does not hold.
pub(crate) fn check(input: &[u8]) {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    let Ok(trust_domain) = TrustDomain::parse("x.consul") else { return };
    let bundle = TrustBundle::build(trust_domain.clone(), [input], now);
    if let Ok(bundle) = &bundle {
        let twice = TrustBundle::build(trust_domain, [input, input], now).map(|twice| twice.fingerprint());
        assert_eq!(twice, Ok(bundle.fingerprint()), "roots that occur twice count once");
    }
    let settings = OriginationSettings::new(input.to_vec());
    let originator = Originator::build(&settings, now);
    // An external CA may be less than a root of a mesh.
    assert!(bundle.is_err() || originator.is_ok());
    if let Ok(id) = SpiffeId::parse("spiffe://x.consul/ns/default/dc/d/svc/s") {
        let leaf = Leaf::build(input, input, &id, now);
        assert!(leaf.is_err(), "a text with a key in it is no chain of certificates");
    }
    if let (Ok(_), Ok(key)) = (originator, std::str::from_utf8(input)) {
        let client = Some(ClientPem { certificate: input.to_vec(), key: SecretPem::new(key.to_owned()) });
        assert!(Originator::build(&OriginationSettings { client, ..settings }, now).is_err());
    }
}
