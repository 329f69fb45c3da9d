//! Other clusters.

use super::{
    Query, decode_json,
    typed::{Brings, typed},
    url::MESH,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// All peerings (`peerings`). From 1.13; before, the endpoint does not exist. Wakes for their state,
/// addresses and CA, not for their streams' news (imported names): wait 30 s at most.
pub struct Peerings<T> {
    document: Brings<T>,
}

typed!(Peerings {});

impl<T> Peerings<T> {
    /// Of the client's own datacenter.
    #[must_use]
    pub fn new() -> Self {
        Self { document: Brings::<T>::default() }
    }
}

impl<T> Default for Peerings<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for Peerings<T> {
    type Document = Vec<T>;

    fn endpoint(&self) -> &'static str {
        "peerings"
    }

    fn path(&self) -> String {
        "/v1/peerings".to_owned()
    }

    fn rule(&self) -> String {
        "peering = \"read\"".to_owned()
    }

    fn decode(&self, body: &Bytes) -> Result<Vec<T>, String> {
        decode_json(body)
    }
}

/// Exported services with who may use them (`exported-services`), wildcards expanded to ordinary
/// services. From 1.17.3; before, the `exported-services` entry says it unexpanded.
pub struct ExportedServices<T> {
    document: Brings<T>,
}

typed!(ExportedServices {});

impl<T> ExportedServices<T> {
    /// Of the client's own datacenter and partition.
    #[must_use]
    pub fn new() -> Self {
        Self { document: Brings::<T>::default() }
    }
}

impl<T> Default for ExportedServices<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for ExportedServices<T> {
    type Document = Vec<T>;

    fn endpoint(&self) -> &'static str {
        "exported-services"
    }

    fn path(&self) -> String {
        "/v1/exported-services".to_owned()
    }

    fn rule(&self) -> String {
        MESH.to_owned()
    }

    fn decode(&self, body: &Bytes) -> Result<Vec<T>, String> {
        decode_json(body)
    }
}
