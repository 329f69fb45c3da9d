//! The process around a connection handler: listeners, connections, drain, readiness, admin endpoint, telemetry.
//!
//! A gateway brings its handler, its settings and its pages; everything that each gateway process needs besides is here,
//! so that it is the same everywhere: threads ([`worker`]), listening sockets ([`listener`]), open connections
//! ([`registry`]), shared memory ([`budget`]) and what a worker may have under way ([`gate`]); one list of reasons ([`reason`]), one record per connection
//! ([`record`]) that goes to the metrics ([`metrics`]) and the access log ([`access_log`]); one log ([`telemetry`]), one
//! admin endpoint ([`admin`]), one meaning of ready ([`ready`]) and of draining ([`drain`]), and the rules for signals,
//! exit codes and descriptors ([`process`]).

pub mod access_log;
pub mod admin;
pub mod budget;
pub mod drain;
pub mod gate;
mod line;
pub mod listener;
pub mod metrics;
pub mod process;
pub mod ready;
pub mod reason;
pub mod record;
pub mod registry;
pub mod telemetry;
pub mod worker;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
