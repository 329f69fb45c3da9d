//! Moves the bytes of a mesh connection.
//!
//! The crate knows sockets and endpoints, not names, files or Consul: it dials what a
//! [`mesh_endpoints::Pick`] allows (only the endpoint set of a route can make one), sends the
//! bytes that were read before the decision, and relays both directions until they end.
//!
//! * [`tcp::dial`]: connects, moving on to another endpoint when one refuses or stays silent.
//! * [`tcp::relay`]: both directions in one task; small exchanges are copied through one buffer per
//!   thread, a connection that proves to be bulk moves to `splice(2)`.
//! * [`dns`]: addresses of endpoints that are named by a host name.
//!
//! A relay must be polled on a current-thread runtime, one per worker thread: buffers and the wait
//! for a closing peer are shared by the connections of a thread, and readiness is cleared by hand,
//! which is only sound where no event can be delivered in between.

pub mod dns;
pub mod tcp;
