//! What the scenario tests and the quickstart are made of: a development CA, sidecars at both ends, gateways and Consul as
//! real processes, hostile clients, and whole datacenters as network namespaces.
//!
//! Rules that hold everywhere in here:
//! - Ports come from the kernel. A port is bound once and kept; nothing asks for a free one and binds it later. A server
//!   that cannot be handed a bound socket has a whole address of its own instead ([`Loopback`]).
//! - Nothing sleeps for luck. A test says which condition it waits for, and until when ([`wait_for`], [`eventually`]).
//! - What can fail gives an [`anyhow::Result`]; a test unwraps it, so that it fails where it stands. [`Lab`] then keeps
//!   the test's folder and prints the end of every log in it.

mod backend;
mod catalog;
mod child;
mod consul;
mod deadline;
mod dns;
mod envoy;
mod external;
mod fetched;
mod gateway;
mod hello;
mod json_lines;
mod lab;
mod loopback;
mod mesh_caller;
mod netns;
mod nginx;
mod pki;
mod place;
mod replay;
mod requires;
mod secret;
mod sidecar;
mod steady;
mod stranger;
mod task;
mod trickle;
mod trust;

pub use backend::{BLACK_HOLE_PROBE, Backend, End, Script, Seen};
pub use catalog::{CatalogDir, Document};
pub use consul::{
    Api, ConnectProxy, Consul, ConsulBuilder, IdentityFiles, Instance, MeshIdentity, Reply, TwoConsuls,
    Version,
};
pub use deadline::{Deadline, Timeout, eventually, wait_for};
pub use dns::{DnsAnswer, DnsServer};
pub use envoy::{Envoy, EnvoyBuilder};
pub use external::{TlsSeen, TlsService};
pub use fetched::Fetched;
pub use gateway::{Admin, Answer, Gateway, GatewayBuilder, Memory, Program, Samples, Signal, gateway_binary};
pub use hello::{Hello, group};
pub use json_lines::JsonLines;
pub use lab::{Lab, target_dir, test_name};
pub use loopback::Loopback;
pub use mesh_caller::{MeshCaller, MeshConnection, NoHandshake};
pub use netns::{Netns, Site, TwoDatacenters, may_use_namespaces};
pub use nginx::Nginx;
pub use pki::{Leaf, LeafFiles, LeafSpec, Pki};
pub use place::Place;
pub use replay::{Asked, Fault, Level, On, Recorded, Recording, Replay, ReplayBuilder};
pub use requires::{Tool, have, in_ci};
pub use sidecar::{Call, ClientSidecar, Greeting, ServerSidecar, Sidecar, Upstream, Via};
pub use steady::Steady;
pub use stranger::Stranger;
pub use trickle::{pause, trickle};
pub use trust::Trust;
