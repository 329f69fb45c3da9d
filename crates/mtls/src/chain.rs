//! The order of the certificates that we present.

use std::sync::Arc;

use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificate::Parsed;
use crate::{Error, Material, provider};

/// Most certificates in a chain.
const MAX_CHAIN: usize = 16;

/// Puts `certificates` in order, the one first that `key` belongs to.
pub(crate) fn certified(
    what: Material,
    what_key: Material,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Error> {
    if certificates.len() > MAX_CHAIN {
        return Err(Error::TooMany { what, count: certificates.len(), limit: MAX_CHAIN });
    }
    let unusable = |why: String| Error::UnusableKey { what: what_key, why };
    let key: Arc<dyn SigningKey> =
        provider::get().key_provider.load_private_key(key).map_err(|error| unusable(error.to_string()))?;
    let public = key.public_key().ok_or_else(|| unusable("its public part is not known".to_owned()))?;
    let parsed = certificates
        .iter()
        .enumerate()
        .map(|(index, der)| {
            Parsed::new(der).map_err(|error| Error::BadCertificate {
                what,
                number: index + 1,
                why: error.to_string(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let leaf = parsed
        .iter()
        .position(|one| one.public_key_info() == &public[..])
        .ok_or(Error::KeyMismatch { what })?;
    let order = order(&certificates, &parsed, leaf);
    drop(parsed);
    let mut slots: Vec<_> = certificates.into_iter().map(Some).collect();
    let chain = order.into_iter().filter_map(|index| slots.get_mut(index).and_then(Option::take)).collect();
    Ok(CertifiedKey::new(chain, key))
}

/// Indices of what is presented: the leaf, what leads from it upwards, then the rest in the given order.
fn order(certificates: &[CertificateDer<'static>], parsed: &[Parsed<'_>], leaf: usize) -> Vec<usize> {
    let mut order = vec![leaf];
    let mut rest: Vec<usize> = Vec::new();
    for (index, one) in parsed.iter().enumerate() {
        let again = index == leaf
            || certificates
                .get(..index)
                .is_some_and(|before| certificates.get(index).is_some_and(|der| before.contains(der)))
            || certificates.get(index) == certificates.get(leaf);
        // Whoever trusts a root has it; a cross-signed one bears another issuer than its subject.
        let root = one.subject() == one.issuer() && !one.subject().is_empty();
        if !again && !root {
            rest.push(index);
        }
    }
    let mut issuer = parsed.get(leaf).map(Parsed::issuer);
    while let Some(at) = rest.iter().position(|&index| parsed.get(index).map(Parsed::subject) == issuer) {
        let index = rest.remove(at);
        issuer = parsed.get(index).map(Parsed::issuer);
        order.push(index);
    }
    order.extend(rest);
    order
}
