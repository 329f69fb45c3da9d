//! The name table: looking a name up, and building a snapshot from a file.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]
fn main() {}
