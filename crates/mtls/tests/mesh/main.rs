//! The crate from outside: handshakes over in-memory streams, with certificates made for the purpose and real ones.
//!
//! `row_NN` in a test's name is the scenario of that number in the specification of identities.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what does not fit fails the test")]

mod chains;
mod connecting;
mod documents;
mod facts;
mod identities;
mod origination;
mod parameters;
mod rotation;
mod samples;
mod sessions;
mod support;
mod trust;
