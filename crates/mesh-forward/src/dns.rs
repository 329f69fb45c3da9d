//! Addresses of endpoints that are named by a host name.
//!
//! [`Names`] keeps the answers fresh in the background, so that a connection never waits for DNS: it
//! uses what is known. The rules:
//!
//! * A name is looked up as long as somebody holds a [`NameWatch`] for it, once for all who do.
//! * An answer lives for its TTL, brought between a floor and a ceiling ([`NamesConfig`]). Consul's
//!   gateways refresh every 10 s; that is the ceiling.
//! * **The last good answer stays** whatever happens afterwards: time-outs, a broken server, NXDOMAIN,
//!   an empty answer. Its age and the error can be read ([`NameState`]).
//! * Failures are retried with growing, jittered pauses.
//! * IPv4 and IPv6 are both used. Where one family fails and the other answers, the failed one keeps
//!   its last addresses.
//! * Order does not matter: answers are sorted and free of duplicates, and [`NameWatch::changed`]
//!   fires only if they differ.
//! * Addresses that names may not stand for are left out, counted and logged ([`AddressGuard`]).
//! * The number of names, of lookups at a time, and of addresses of a name are bounded and counted
//!   ([`NamesCounters`]).
//!
//! getaddrinfo is not used, so that a static binary stays possible: [`SystemLookup`] reads
//! `resolv.conf` and the hosts file itself. A machine without them is no reason to stop: names then
//! carry an error, and work as soon as the files do.

mod config;
mod counters;
mod error;
mod guard;
mod lookup;
mod names;
mod refresh;
mod state;
mod system;
#[cfg(test)]
mod tests;
mod watch;

pub use config::NamesConfig;
pub use counters::NamesCounters;
pub use error::NameError;
pub use guard::{AddressGuard, Guarded};
pub use lookup::{Answer, Lookup, LookupFuture};
pub use names::Names;
pub use state::NameState;
pub use system::SystemLookup;
pub use watch::NameWatch;
