//! What holds for every answer: it is read, or refused without showing what is in it.

use bytes::Bytes;
use catalog_client::{
    Query,
    health::{HealthEntry, Pairs},
    lenient::or_default,
    query::{
        AgentSelf, CatalogServices, ConfigList, CriticalChecks, DiscoveryChain, FederationGateways,
        IntentionMatch, TokenSelf,
    },
};
use serde::Deserialize;
use serde_json::Value;

/// A config entry as far as all kinds are alike, and a field of each sort.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    kind: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    meta: Pairs<Box<str>>,
    #[serde(default, deserialize_with = "or_default")]
    hash: u64,
    #[serde(default, deserialize_with = "or_default")]
    subsets: Pairs<Value>,
    #[serde(default, deserialize_with = "or_default")]
    services: Vec<Value>,
}

/// Panics if one of the rules does not hold.
pub(crate) fn check(input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    if let Some(entries) = read(&ConfigList::<Entry>::all(), &body) {
        for Entry { kind, name, meta, hash, subsets, services } in &entries {
            let _ = (kind, name, hash, services);
            assert!(
                meta.iter().len() == meta.len() && subsets.iter().all(|(key, _)| subsets.get(key).is_some())
            );
        }
        // Fields that are not known are skipped, whatever bytes are in them; whoever reads them may refuse.
        if let Some(values) = read(&ConfigList::<Value>::all(), &body) {
            assert_eq!(values.len(), entries.len());
        }
    }
    read(&CatalogServices::new(), &body);
    read(&CriticalChecks, &body);
    read(&FederationGateways::<HealthEntry>::new(), &body);
    read(&IntentionMatch::<Entry>::new(["web"]), &body);
    read(&DiscoveryChain::<Entry>::new("web"), &body);
    read(&AgentSelf, &body);
    read(&TokenSelf, &body);
}

fn read<Q: Query>(query: &Q, body: &Bytes) -> Option<Q::Document> {
    query.decode(body).map_err(|error| assert!(error.len() < 300, "it quotes the body: {error}")).ok()
}
