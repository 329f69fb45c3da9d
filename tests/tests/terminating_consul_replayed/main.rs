//! Answers that no Consul gives on demand: a terminating gateway's source at an agent that says what a test wants.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod answers;
mod leaves;
mod world;
