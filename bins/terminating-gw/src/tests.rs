//! The flow on real sockets: whoever may not pass never causes a connection to the outside, and
//! everybody else gets through under the rules as they are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its support fails")]

mod changes;
mod clients;
mod outside;
mod refused;
mod world;
