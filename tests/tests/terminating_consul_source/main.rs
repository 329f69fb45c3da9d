//! What a terminating gateway reads of a living Consul, and keeps while that is away.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod away;
mod intentions;
mod leaves;
mod links;
mod registration;
mod rights;
mod world;
