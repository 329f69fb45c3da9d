//! `mesh-gw` as a process: how it is called, how it ends, what it does on signals, and its other commands. Everything
//! is seen from outside: exit codes, what is printed, admin pages.

mod commands;
mod ends;
mod precedence;
mod program;
mod signals;
