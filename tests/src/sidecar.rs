//! The two ends of a mesh connection, as a service's sidecars: mutual TLS with mesh identities, and at the server's
//! end a first line that tells who was seen, through what.
//!
//! Protocol after the handshake: the server sends one JSON line ([`Greeting`]), then echoes until the client ends.

mod client;
mod server;
pub(crate) mod tls;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use client::{Call, ClientSidecar, Upstream, Via};
pub use server::{ServerSidecar, Sidecar};

/// What the server says about itself and about the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The service behind the sidecar.
    pub service: String,
    /// Which instance of it.
    pub instance: String,
    /// Its datacenter.
    pub datacenter: String,
    /// The server's own address of this connection.
    pub address: SocketAddr,
    /// The address that the connection came from: the last gateway.
    pub peer: SocketAddr,
    /// The SPIFFE id in the client's certificate.
    pub identity: String,
    /// The server name in the client's hello.
    pub sni: Option<String>,
    /// The protocol agreed on.
    pub alpn: Option<String>,
}
