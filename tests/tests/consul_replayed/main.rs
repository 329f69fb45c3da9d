//! Gateways that run from recorded Consuls: of three versions, in trouble of every kind, with a thousand services.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test ends where its support fails"
)]

mod answers;
mod denied;
mod faults;
mod runs;
mod scale;
mod start;
mod versions;
mod world;
