//! `mesh-gw` as a process: how it is called, how it ends, what it does on signals, and its other commands. Everything
//! is seen from outside: exit codes, what is printed, admin pages.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod commands;
mod ends;
mod precedence;
mod program;
mod signals;
