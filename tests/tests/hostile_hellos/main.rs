//! What a mesh gateway does with the first bytes of a client: the good ones reach their service bit by bit as they were
//! sent, however they were cut; all others end the connection, with no byte written to the client, no endpoint dialled,
//! and one word in the access log that says why.
//!
//! T20 to T33 are the rows of the specification's table of scenarios.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

mod bounds;
mod carried;
mod injection;
mod refused;
mod world;
