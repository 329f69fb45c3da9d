//! The gateway's own registration: what `consul connect envoy -gateway=KIND -register` would have
//! sent, kept in place for as long as the gateway runs.
//!
//! * [`Flags`] -> [`GatewayRegistration`]: the meaning of the command line, without any network.
//! * [`Registrar`]: registers, registers again when the agent forgot, maintenance, the end.
//! * [`OwnService`]: what the agent says about us, [`GatewayProxyConfig`] and [`listeners`] made of it.
//! * [`only_one`]: which service of an agent a gateway is that was told neither name nor id.
//!
//! Bodies hold only fields that the oldest supported Consul (1.8) knows: agents refuse unknown ones.

mod address;
mod agent;
mod body;
mod config;
mod decide;
mod find;
mod flags;
mod gateway;
mod handle;
mod listeners;
mod machine;
mod network;
mod own;
mod proxy_config;
mod registrar;
mod request;
mod status;
mod template;
mod visible;

pub use address::HostPort;
pub use agent::Agent;
pub use config::RegistrarConfig;
pub use decide::{Failure, Verdict, judge, pause};
pub use find::{FindError, gateways_of_kind, only_one};
pub use flags::{FlagError, Flags};
pub use gateway::{Bind, GatewayKind, GatewayRegistration, WAN_FEDERATION};
pub use handle::RegistrarHandle;
pub use listeners::{Listener, Listeners, SkipReason, Skipped, listeners};
pub use network::{HostNetwork, InterfaceAddress};
pub use own::OwnService;
pub use proxy_config::{DnsDiscovery, GatewayProxyConfig, RemoteKeepalive};
pub use registrar::{Refused, Registrar};
pub use request::Place;
pub use status::{Reason, RegistrationCounts, RegistrationStatus, State};
pub use visible::sees_itself;
