//! What there is: datacenters, names of services, gateways.

use super::{
    Blocking, GatewayService, Query, decode_json,
    typed::{Brings, typed},
    url::{ALL_NODES, ALL_SERVICES, Url, rule},
};
use crate::{
    error::{Cause, Error},
    health::{HealthEntry, Pairs},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Names of all services with their tags (`catalog/services`), those of sidecars, gateways and
/// `consul` included.
///
/// What the token may not read is left out without a word. There is no form of it for a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CatalogServices {
    dc: Option<Box<str>>,
}

impl CatalogServices {
    /// Of the client's own datacenter.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of another datacenter.
    #[must_use]
    pub fn dc(self, dc: &str) -> Self {
        Self { dc: Some(dc.into()) }
    }
}

impl Query for CatalogServices {
    type Document = Pairs<Box<[Box<str>]>>;

    fn endpoint(&self) -> &'static str {
        "catalog/services"
    }

    fn path(&self) -> String {
        Url::new("/v1/catalog/services").optional("dc", self.dc.as_deref()).finish()
    }

    fn large(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        ALL_SERVICES.to_owned()
    }

    fn decode(&self, body: &Bytes) -> Result<Self::Document, String> {
        decode_json(body)
    }
}

/// Names of all datacenters, the nearest first (`catalog/datacenters`). One that is down stays listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CatalogDatacenters;

impl Query for CatalogDatacenters {
    type Document = Vec<Box<str>>;

    fn endpoint(&self) -> &'static str {
        "catalog/datacenters"
    }

    fn path(&self) -> String {
        "/v1/catalog/datacenters".to_owned()
    }

    fn blocking(&self) -> Blocking {
        Blocking::Never
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn decode(&self, body: &Bytes) -> Result<Self::Document, String> {
        decode_json(body)
    }
}

/// Services that are linked to an ingress or terminating gateway, by the gateway's service name
/// (`catalog/gateway-services/<gateway>`). From 1.8. Empty before gateway and entry exist.
pub struct GatewayServices<T = GatewayService> {
    gateway: Box<str>,
    document: Brings<T>,
}

typed!(GatewayServices { gateway });

impl<T> GatewayServices<T> {
    /// Of the gateway with this service name.
    #[must_use]
    pub fn new(gateway: &str) -> Self {
        Self { gateway: gateway.into(), document: Brings::<T>::default() }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for GatewayServices<T> {
    type Document = Vec<T>;

    fn endpoint(&self) -> &'static str {
        "catalog/gateway-services"
    }

    fn path(&self) -> String {
        Url::new("/v1/catalog/gateway-services").segment(&self.gateway).finish()
    }

    fn large(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        format!("{} and {ALL_SERVICES}", rule("service", &self.gateway, "read"))
    }

    fn decode(&self, body: &Bytes) -> Result<Vec<T>, String> {
        decode_json(body)
    }
}

/// All mesh gateways of all datacenters, whatever their service names are and healthy or not
/// (`internal/federation-states/mesh-gateways`). From 1.8; replicated from the primary datacenter.
///
/// A fresh secondary datacenter answers with an error until the primary was reached: see
/// [`FederationGateways::are_disabled`].
pub struct FederationGateways<R = HealthEntry> {
    document: Brings<R>,
}

typed!(FederationGateways {});

impl<R> FederationGateways<R> {
    /// Of all datacenters.
    #[must_use]
    pub fn new() -> Self {
        Self { document: Brings::<R>::default() }
    }

    /// Whether the error says that there are no federation states yet, because this datacenter has
    /// not reached its primary one since it was made. Nothing is known then, and asking again helps.
    #[must_use]
    pub fn are_disabled(error: &Error) -> bool {
        matches!(&error.cause, Cause::Status { status: 500, text, .. }
            if text.contains("Federation states are currently disabled"))
    }
}

impl<R> Default for FederationGateways<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: DeserializeOwned + Send + Sync + 'static> Query for FederationGateways<R> {
    /// Rows by datacenter.
    type Document = BTreeMap<Box<str>, Vec<R>>;

    fn endpoint(&self) -> &'static str {
        "internal/federation-states/mesh-gateways"
    }

    fn path(&self) -> String {
        "/v1/internal/federation-states/mesh-gateways".to_owned()
    }

    fn rule(&self) -> String {
        format!("{ALL_SERVICES} and {ALL_NODES}")
    }

    fn decode(&self, body: &Bytes) -> Result<Self::Document, String> {
        let rows: BTreeMap<Box<str>, Option<Vec<R>>> = decode_json(body)?;
        Ok(rows.into_iter().map(|(dc, rows)| (dc, rows.unwrap_or_default())).collect())
    }
}
