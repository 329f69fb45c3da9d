//! The JSON pages of the admin endpoint: what the gateway knows, where its endpoints stand, what is
//! open.
//!
//! Each page is a function from values to a value. Lists are bounded and say how long they would be;
//! `?limit=` asks for more, up to [`MOST_ROWS`].

pub use connections::{ConnRow, connections};
pub use consul::consul;
pub use endpoints::endpoints;
pub use gateway::GatewayPages;
pub use query::Query;
pub(crate) use snapshot::list;
pub use snapshot::snapshot;

mod connections;
mod consul;
mod endpoints;
mod gateway;
mod query;
mod snapshot;
#[cfg(test)]
mod tests;

/// Rows of a list that does not say otherwise.
pub const USUAL_ROWS: usize = 100;
/// Rows of a list at most.
pub const MOST_ROWS: usize = 10_000;
