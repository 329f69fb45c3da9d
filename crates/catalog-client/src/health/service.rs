//! A service instance.

use super::{Pairs, Proxy};
use crate::lenient::or_default;
use serde::{Deserialize, Deserializer};

/// An instance of a service, a sidecar or a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceInstance {
    /// What it is.
    pub kind: ServiceKind,
    /// Unique on its node.
    pub id: Box<str>,
    /// The name it is registered under; for a sidecar its own name, not that of the service behind it.
    pub service: Box<str>,
    /// Free words.
    pub tags: Box<[Box<str>]>,
    /// Where it listens; empty: the node's address. May be a host name.
    pub address: Box<str>,
    /// Addresses by tag: `lan`, `wan`, copies of them by family (`lan_ipv4`), and addresses that only
    /// transparent proxies understand (`consul-virtual`).
    pub tagged_addresses: Pairs<ServiceAddress>,
    /// Free keys and values.
    pub meta: Pairs<Box<str>>,
    /// As registered: Consul does not promise that it is a port.
    pub port: i64,
    /// Path of a Unix socket in place of address and port. From 1.10.
    pub socket_path: Box<str>,
    /// How much traffic it wants.
    pub weights: Weights,
    /// Whether other writers may change its tags.
    pub enable_tag_override: bool,
    /// What a proxy stands for; `None` if nothing of it is set.
    pub proxy: Option<Box<Proxy>>,
    /// Whether it speaks the mesh's TLS itself (`Connect.Native`).
    pub connect_native: bool,
    /// How an instance of a peer is reached (`Connect.PeerMeta`). From 1.14.
    pub peer_meta: Option<Box<PeerMeta>>,
    /// The peer it was imported from; empty for own ones. From 1.13.
    pub peer: Box<str>,
    /// The index of its last change, in its own datacenter.
    pub modify_index: u64,
}

/// What an instance is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// An ordinary instance: the empty kind.
    #[default]
    Typical,
    /// `connect-proxy`: a sidecar.
    ConnectProxy,
    /// `mesh-gateway`.
    MeshGateway,
    /// `terminating-gateway`.
    TerminatingGateway,
    /// `ingress-gateway`.
    IngressGateway,
    /// `api-gateway`, from 1.15.
    ApiGateway,
    /// A kind of a newer version: Consul accepts any.
    Other(Box<str>),
}

impl ServiceKind {
    /// As Consul writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Typical => "",
            Self::ConnectProxy => "connect-proxy",
            Self::MeshGateway => "mesh-gateway",
            Self::TerminatingGateway => "terminating-gateway",
            Self::IngressGateway => "ingress-gateway",
            Self::ApiGateway => "api-gateway",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for ServiceKind {
    fn from(text: &str) -> Self {
        match text {
            "" => Self::Typical,
            "connect-proxy" => Self::ConnectProxy,
            "mesh-gateway" => Self::MeshGateway,
            "terminating-gateway" => Self::TerminatingGateway,
            "ingress-gateway" => Self::IngressGateway,
            "api-gateway" => Self::ApiGateway,
            other => Self::Other(other.into()),
        }
    }
}

impl<'de> Deserialize<'de> for ServiceKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<str>::deserialize(from).map(|text| Self::from(&*text))
    }
}

/// An address that a tag stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceAddress {
    /// An IP or a host name.
    #[serde(deserialize_with = "or_default")]
    pub address: Box<str>,
    /// 0: the port of the instance.
    #[serde(deserialize_with = "or_default")]
    pub port: i64,
}

/// Shares of traffic, by health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Weights {
    /// While all checks pass.
    #[serde(default, deserialize_with = "or_default")]
    pub passing: i64,
    /// While one warns.
    #[serde(default, deserialize_with = "or_default")]
    pub warning: i64,
}

impl Default for Weights {
    /// What Consul takes when none are given.
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// How an imported instance is reached (mesh-gateway 3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PeerMeta {
    /// Server names to dial with; the first one is used.
    #[serde(rename = "SNI", deserialize_with = "or_default")]
    pub sni: Box<[Box<str>]>,
    /// Identities that may answer.
    #[serde(rename = "SpiffeID", deserialize_with = "or_default")]
    pub spiffe_id: Box<[Box<str>]>,
    /// `tcp`, `http`, ...
    #[serde(deserialize_with = "or_default")]
    pub protocol: Box<str>,
}

impl<'de> Deserialize<'de> for ServiceInstance {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Raw::deserialize(from).map(Self::from)
    }
}

/// An instance as Consul writes it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Raw {
    #[serde(deserialize_with = "or_default")]
    kind: ServiceKind,
    #[serde(rename = "ID", deserialize_with = "or_default")]
    id: Box<str>,
    #[serde(deserialize_with = "or_default")]
    service: Box<str>,
    #[serde(deserialize_with = "or_default")]
    tags: Box<[Box<str>]>,
    #[serde(deserialize_with = "or_default")]
    address: Box<str>,
    #[serde(deserialize_with = "or_default")]
    tagged_addresses: Pairs<ServiceAddress>,
    #[serde(deserialize_with = "or_default")]
    meta: Pairs<Box<str>>,
    #[serde(deserialize_with = "or_default")]
    port: i64,
    #[serde(deserialize_with = "or_default")]
    socket_path: Box<str>,
    #[serde(deserialize_with = "or_default")]
    weights: Weights,
    #[serde(deserialize_with = "or_default")]
    enable_tag_override: bool,
    #[serde(deserialize_with = "or_default")]
    proxy: Proxy,
    #[serde(deserialize_with = "or_default")]
    connect: Connect,
    #[serde(deserialize_with = "or_default")]
    peer_name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    modify_index: u64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Connect {
    #[serde(deserialize_with = "or_default")]
    native: bool,
    peer_meta: Option<Box<PeerMeta>>,
}

impl From<Raw> for ServiceInstance {
    fn from(raw: Raw) -> Self {
        Self {
            kind: raw.kind,
            id: raw.id,
            service: raw.service,
            tags: raw.tags,
            address: raw.address,
            tagged_addresses: raw.tagged_addresses,
            meta: raw.meta,
            port: raw.port,
            socket_path: raw.socket_path,
            weights: raw.weights,
            enable_tag_override: raw.enable_tag_override,
            proxy: (raw.proxy != Proxy::default()).then(|| Box::new(raw.proxy)),
            connect_native: raw.connect.native,
            peer_meta: raw.connect.peer_meta,
            peer: raw.peer_name,
            modify_index: raw.modify_index,
        }
    }
}
