//! Picks the endpoint of a service.
//!
//! A set holds the addresses of one service with their weights and health. [`EndpointSet::pick`]
//! chooses one of them for a new connection and hands out a [`Pick`]: the only key to dialling, and
//! the guard that counts the connection until it ends. What the caller reports through the pick
//! (connected, failed) drives passive ejection.
//!
//! The crate decides and counts, and does nothing else: no sockets, no tasks, no clock, no source of
//! randomness. The caller passes `now` and a random number in, so every decision can be repeated in
//! a test.
//!
//! * [`Balancer`]: weighted round robin, random, least request.
//! * [`Endpoint::healthy`], [`SetPolicy::panic_threshold`], [`AllDown`]: who may be picked at all.
//! * [`Ejection`]: endpoints whose connects fail are left out for a while.
//! * [`Limits`]: connections of the set, exact under concurrency.
//!
//! Many threads share one set. A pick takes no lock and allocates nothing; only
//! [`EndpointSet::update`] and the act of ejecting take a lock, and never make a pick wait.

mod balance;
mod clock;
mod counts;
mod endpoint;
mod members;
mod pick;
mod policy;
mod schedule;
mod set;
mod state;
mod status;

/// The example of the README, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use endpoint::{Endpoint, MAX_WEIGHT};
pub use pick::{EjectionNotice, Pick, Refused};
pub use policy::{AllDown, Balancer, Ejection, Limits, SetPolicy};
pub use set::EndpointSet;
pub use status::{EndpointStatus, SetStatus};
