//! One datacenter on a real Consul: what is registered and written there, and what a gateway that runs from it does with
//! calls. The rows of the specification's tables that one datacenter can show; each test has services of its own, and
//! most share one server.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod acl;
mod agentless;
mod calls;
mod command_line;
mod elsewhere;
mod entries;
mod external;
mod health;
mod many;
mod registration;
mod server;
mod world;
