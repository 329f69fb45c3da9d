//! The crate from outside: files in, snapshots out.

mod change;
mod check;
mod names;
mod properties;
mod support;
mod terminating;
