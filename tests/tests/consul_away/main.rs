//! A Consul that is away, and one that comes back: traffic goes on as it was, everybody can see how old what is known is,
//! and what has changed meanwhile is known soon.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod back;
mod other;
mod start;
mod world;
