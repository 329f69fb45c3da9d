//! What a proxy's registration says, as far as a filter can select it.

use crate::lenient::or_default;
use serde::Deserialize;

/// `Proxy` of an instance. The free `Config` is not here: neither filters nor routes read it in rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Proxy {
    /// The service that a sidecar stands before.
    #[serde(deserialize_with = "or_default")]
    pub destination_service_name: Box<str>,
    /// The instance that a sidecar stands before; empty for all of its node.
    #[serde(rename = "DestinationServiceID", deserialize_with = "or_default")]
    pub destination_service_id: Box<str>,
    /// Where the sidecar finds it.
    #[serde(deserialize_with = "or_default")]
    pub local_service_address: Box<str>,
    /// Where the sidecar finds it.
    #[serde(deserialize_with = "or_default")]
    pub local_service_port: i64,
    /// Where the sidecar finds it, in place of address and port. From 1.10.
    #[serde(deserialize_with = "or_default")]
    pub local_service_socket_path: Box<str>,
    /// `transparent` or `direct`; empty: `direct`. From 1.10.
    #[serde(deserialize_with = "or_default")]
    pub mode: Box<str>,
    /// What the sidecar dials.
    #[serde(deserialize_with = "or_default")]
    pub upstreams: Box<[Upstream]>,
    /// `MeshGateway.Mode`: `local`, `remote`, `none`; empty: not said.
    #[serde(rename = "MeshGateway", deserialize_with = "mode")]
    pub mesh_gateway: Box<str>,
    /// Paths that bypass the mesh's TLS.
    #[serde(deserialize_with = "or_default")]
    pub expose: Expose,
    /// From 1.10.
    #[serde(deserialize_with = "or_default")]
    pub transparent_proxy: TransparentProxy,
    /// From 1.15; `None` if nothing is set.
    pub access_logs: Option<Box<AccessLogs>>,
    /// From 1.15.
    #[serde(deserialize_with = "or_default")]
    pub envoy_extensions: Box<[EnvoyExtension]>,
}

/// One thing that a sidecar dials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Upstream {
    /// `service` or `prepared_query`.
    #[serde(deserialize_with = "or_default")]
    pub destination_type: Box<str>,
    /// Enterprise.
    #[serde(deserialize_with = "or_default")]
    pub destination_namespace: Box<str>,
    /// Enterprise, from 1.11.
    #[serde(deserialize_with = "or_default")]
    pub destination_partition: Box<str>,
    /// From 1.13.
    #[serde(deserialize_with = "or_default")]
    pub destination_peer: Box<str>,
    /// Name of the service or query.
    #[serde(deserialize_with = "or_default")]
    pub destination_name: Box<str>,
    /// Empty: the sidecar's own.
    #[serde(deserialize_with = "or_default")]
    pub datacenter: Box<str>,
    /// Where the application finds it.
    #[serde(deserialize_with = "or_default")]
    pub local_bind_address: Box<str>,
    /// Where the application finds it.
    #[serde(deserialize_with = "or_default")]
    pub local_bind_port: i64,
    /// Where the application finds it, in place of address and port. From 1.10.
    #[serde(deserialize_with = "or_default")]
    pub local_bind_socket_path: Box<str>,
    /// Rights of that socket, octal.
    #[serde(deserialize_with = "or_default")]
    pub local_bind_socket_mode: Box<str>,
    /// `MeshGateway.Mode`.
    #[serde(rename = "MeshGateway", deserialize_with = "mode")]
    pub mesh_gateway: Box<str>,
}

/// `Expose` of a sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Expose {
    /// Whether paths of HTTP checks are exposed.
    #[serde(deserialize_with = "or_default")]
    pub checks: bool,
    /// Paths that are exposed.
    #[serde(deserialize_with = "or_default")]
    pub paths: Box<[ExposePath]>,
}

/// A path that bypasses the mesh's TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExposePath {
    /// Where the sidecar listens for it.
    #[serde(deserialize_with = "or_default")]
    pub listener_port: i64,
    /// The path.
    #[serde(deserialize_with = "or_default")]
    pub path: Box<str>,
    /// Where the application serves it.
    #[serde(deserialize_with = "or_default")]
    pub local_path_port: i64,
    /// `http` or `http2`.
    #[serde(deserialize_with = "or_default")]
    pub protocol: Box<str>,
    /// Whether it was made from a check.
    #[serde(deserialize_with = "or_default")]
    pub parsed_from_check: bool,
}

/// `TransparentProxy` of a sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TransparentProxy {
    /// Where redirected connections arrive.
    #[serde(deserialize_with = "or_default")]
    pub outbound_listener_port: i64,
    /// Whether single instances may be dialled. From 1.11.
    #[serde(deserialize_with = "or_default")]
    pub dialed_directly: bool,
}

/// `AccessLogs` of a sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AccessLogs {
    /// Whether there are any.
    #[serde(deserialize_with = "or_default")]
    pub enabled: bool,
    /// Whether those of listeners are left out.
    #[serde(deserialize_with = "or_default")]
    pub disable_listener_logs: bool,
    /// `stdout`, `stderr`, `file`.
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub kind: Box<str>,
    /// Of the file.
    #[serde(deserialize_with = "or_default")]
    pub path: Box<str>,
    /// The format, in JSON.
    #[serde(rename = "JSONFormat", deserialize_with = "or_default")]
    pub json_format: Box<str>,
    /// The format, as text.
    #[serde(deserialize_with = "or_default")]
    pub text_format: Box<str>,
}

/// One of `EnvoyExtensions`, without its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EnvoyExtension {
    /// Which one.
    #[serde(deserialize_with = "or_default")]
    pub name: Box<str>,
    /// Whether a proxy must not run without it.
    #[serde(deserialize_with = "or_default")]
    pub required: bool,
    /// Versions of Consul that it is for.
    #[serde(deserialize_with = "or_default")]
    pub consul_version: Box<str>,
    /// Versions of Envoy that it is for.
    #[serde(deserialize_with = "or_default")]
    pub envoy_version: Box<str>,
}

/// `{"Mode":"local"}`.
fn mode<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Box<str>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Gateway {
        #[serde(deserialize_with = "or_default")]
        mode: Box<str>,
    }
    or_default(from).map(|gateway: Gateway| gateway.mode)
}
