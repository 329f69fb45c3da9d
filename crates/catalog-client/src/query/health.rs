//! Instances of a service with their health, and what is critical anywhere.

use super::{
    Query, decode_json,
    typed::{Brings, typed},
    url::{ALL_NODES, ALL_SERVICES, Url, rule},
};
use crate::{health::HealthEntry, lenient::or_default};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};

/// What can speak the mesh's TLS for a service: sidecars, native instances, and every terminating
/// gateway that is linked to it, unhealthy ones included (`health/connect/<service>`). From 1.2.
///
/// With a peer: one row for each gateway of the peer, whose health is the gateway's. From 1.13; older
/// versions ignore the peer and answer with own instances, so ask for the version first.
pub struct HealthConnect<R = HealthEntry> {
    service: Box<str>,
    dc: Option<Box<str>>,
    peer: Option<Box<str>>,
    filter: Option<Box<str>>,
    document: Brings<R>,
}

/// Instances of a service by its own name, unhealthy ones included (`health/service/<service>`).
///
/// With a peer: the peer's ordinary instances. From 1.13, as for [`HealthConnect`].
pub struct HealthService<R = HealthEntry> {
    service: Box<str>,
    dc: Option<Box<str>>,
    peer: Option<Box<str>>,
    filter: Option<Box<str>>,
    document: Brings<R>,
}

macro_rules! health_query {
    ($name:ident, $endpoint:literal, $resource:literal) => {
        typed!($name { service, dc, peer, filter });

        impl<R> $name<R> {
            /// Of a service in the client's own datacenter.
            #[must_use]
            pub fn new(service: &str) -> Self {
                Self {
                    service: service.into(),
                    dc: None,
                    peer: None,
                    filter: None,
                    document: Brings::<R>::default(),
                }
            }

            /// In another datacenter.
            #[must_use]
            pub fn dc(self, dc: &str) -> Self {
                Self { dc: Some(dc.into()), ..self }
            }

            /// As a peer exports it.
            #[must_use]
            pub fn peer(self, peer: &str) -> Self {
                Self { peer: Some(peer.into()), ..self }
            }

            /// Only rows that fit a filter of Consul's language. It makes bodies smaller; the watch
            /// wakes for all rows.
            #[must_use]
            pub fn filter(self, filter: &str) -> Self {
                Self { filter: Some(filter.into()), ..self }
            }

            /// The name that is asked for.
            #[must_use]
            pub fn service(&self) -> &str {
                &self.service
            }
        }

        impl<R: DeserializeOwned + Send + Sync + 'static> Query for $name<R> {
            type Document = Vec<R>;

            fn endpoint(&self) -> &'static str {
                $endpoint
            }

            fn path(&self) -> String {
                Url::new(concat!("/v1/", $endpoint))
                    .segment(&self.service)
                    .optional("dc", self.dc.as_deref())
                    .optional("peer", self.peer.as_deref())
                    .optional("filter", self.filter.as_deref())
                    .finish()
            }

            fn rule(&self) -> String {
                format!("{} and {ALL_NODES}", rule($resource, &self.service, "read"))
            }

            fn decode(&self, body: &Bytes) -> Result<Vec<R>, String> {
                decode_json(body)
            }
        }
    };
}

// Rows of sidecars are filtered by the sidecar's name, which begins with that of the service.
health_query!(HealthConnect, "health/connect", "service_prefix");
health_query!(HealthService, "health/service", "service");

/// All critical checks of the datacenter (`health/state/critical`): one watch that tells which service
/// to read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CriticalChecks;

/// A critical check: whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CriticalCheck {
    /// The node that it is on.
    #[serde(deserialize_with = "or_default")]
    pub node: Box<str>,
    /// Unique on its node.
    #[serde(rename = "CheckID", deserialize_with = "or_default")]
    pub id: Box<str>,
    /// The instance; empty for a check of the node, which concerns all its instances.
    #[serde(rename = "ServiceID", deserialize_with = "or_default")]
    pub service_id: Box<str>,
    /// The instance's service; for a sidecar its own name.
    #[serde(deserialize_with = "or_default")]
    pub service_name: Box<str>,
    /// The peer it was imported from.
    #[serde(rename = "PeerName", deserialize_with = "or_default")]
    pub peer: Box<str>,
}

impl Query for CriticalChecks {
    type Document = Vec<CriticalCheck>;

    fn endpoint(&self) -> &'static str {
        "health/state/critical"
    }

    fn path(&self) -> String {
        "/v1/health/state/critical".to_owned()
    }

    fn large(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        format!("{ALL_SERVICES} and {ALL_NODES}")
    }

    fn decode(&self, body: &Bytes) -> Result<Vec<CriticalCheck>, String> {
        decode_json(body)
    }
}
