//! Two datacenters on real Consuls, joined over the WAN, with a mesh gateway each: calls from one into the other, and what
//! may happen to gateways and servers on the way.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "this is how a test fails, and what it measured")]

mod both;
mod calls;
mod compatible;
mod replaced;
mod secondary;
