//! Consul's HTTP API, from 1.8 to the newest, as a gateway needs it.
//!
//! * [`config`]: how a client is set up: addresses, TLS, token, the rules of the `CONSUL_*` variables.
//! * [`query`]: one type per endpoint, generic over the documents in its answers.
//! * [`Client`]: sends a query, within the budget of connections.
//! * [`watch`]: one query asked for ever: what changed, never less than what was known.
//! * [`planner`]: many names within the budget: which are watched and which are read in turn.
//! * [`capability`]: what this Consul can do, found by asking.
//! * [`registration`]: the gateway's own registration.
//! * [`health`], [`filter`], [`duration`]: rows of the health API, the filter language, Go's durations.

pub mod capability;
pub mod client;
pub mod config;
pub mod duration;
pub mod error;
pub mod filter;
pub mod health;
pub mod lenient;
pub mod planner;
pub mod query;
pub mod registration;
pub mod watch;

pub use client::Client;
pub use config::ClientConfig;
pub use error::Error;
pub use query::Query;
