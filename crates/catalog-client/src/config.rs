//! How a client of Consul is set up.

/// Settings of a [`Client`](crate::Client).
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {}
