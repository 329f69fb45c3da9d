//! A service that is linked to an ingress or terminating gateway.

use crate::lenient::or_default;
use serde::Deserialize;

/// A row of `catalog/gateway-services/<gateway>`: one service of the gateway, wildcards expanded by Consul.
///
/// An ingress gateway has the service once for each port. The files are paths on the gateway's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct GatewayService {
    /// The gateway's service name.
    #[serde(deserialize_with = "or_default")]
    pub gateway: ServiceRef,
    /// The linked service.
    #[serde(deserialize_with = "or_default")]
    pub service: ServiceRef,
    /// `ingress-gateway` or `terminating-gateway`.
    #[serde(deserialize_with = "or_default")]
    pub gateway_kind: Box<str>,
    /// Ingress: where the service is offered.
    #[serde(deserialize_with = "or_default")]
    pub port: u16,
    /// Ingress: the listener's protocol.
    #[serde(deserialize_with = "or_default")]
    pub protocol: Box<str>,
    /// Ingress: names by which it is asked for; empty: the default ones.
    #[serde(deserialize_with = "or_default")]
    pub hosts: Box<[Box<str>]>,
    /// Terminating: the CA of the service's own TLS; empty: it is spoken to in clear.
    #[serde(rename = "CAFile", deserialize_with = "or_default")]
    pub ca_file: Box<str>,
    /// Terminating: the certificate shown to the service.
    #[serde(deserialize_with = "or_default")]
    pub cert_file: Box<str>,
    /// Terminating: its key.
    #[serde(deserialize_with = "or_default")]
    pub key_file: Box<str>,
    /// Terminating: the name sent to the service, and the one its certificate must have.
    #[serde(rename = "SNI", deserialize_with = "or_default")]
    pub sni: Box<str>,
    /// It is linked by `*`, and its TLS fields are those of the wildcard.
    #[serde(deserialize_with = "or_default")]
    pub from_wildcard: bool,
    /// From 1.13: empty, `service`, or `destination` for a `service-defaults` entry with a `Destination`.
    #[serde(deserialize_with = "or_default")]
    pub service_kind: Box<str>,
    /// From 1.18.2: `Some(true)`; absent both where it is off and in older versions.
    pub auto_host_rewrite: Option<bool>,
}

impl GatewayService {
    /// Whether it stands for a `Destination` and has no instances.
    #[must_use]
    pub fn is_destination(&self) -> bool {
        &*self.service_kind == "destination"
    }
}

/// The name of a service, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceRef {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: Box<str>,
    /// Enterprise: its namespace; empty in the community edition.
    #[serde(deserialize_with = "or_default")]
    pub namespace: Box<str>,
    /// Enterprise: its partition; empty in the community edition.
    #[serde(deserialize_with = "or_default")]
    pub partition: Box<str>,
}
