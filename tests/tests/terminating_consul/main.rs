//! terminating-gw from a real Consul: calls of the mesh to services outside of it, with leaves that Consul signed, while
//! intentions, links, the CA and Consul itself change.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod away;
mod calls;
mod envoys;
mod intentions;
mod origination;
mod rotation;
mod world;
