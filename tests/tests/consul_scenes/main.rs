//! Two datacenters on real Consuls, joined over the WAN, with a mesh gateway each: calls from one into the other, and what
//! may happen to gateways and servers on the way.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod both;
mod calls;
mod compatible;
mod replaced;
mod secondary;
