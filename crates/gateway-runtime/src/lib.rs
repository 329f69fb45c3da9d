//! The process around a connection handler.

pub mod metrics;
pub mod reason;
pub mod record;
