//! Bad input, in one place: whatever is wrong gives one message that names the file or the connection, the reason and
//! the way out; at the start the right exit code, in flight the last good state; and nothing else is disturbed.
//!
//! An address in use is in `process/ends.rs`, together with the other ways to end.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod at_start;
mod connections;
mod in_flight;
