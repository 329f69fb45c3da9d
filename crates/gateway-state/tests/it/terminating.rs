//! A terminating gateway from files.

mod bad;
mod change;
mod names;
mod pki;
mod rules;
pub(crate) mod shared;
