//! What a gateway knows about its mesh, read from documents and kept as one immutable snapshot.
//!
//! Documents go in at one end (files of a static catalog), a numbered
//! [`mesh::MeshSnapshot`] comes out at the other. A snapshot is whole and valid or it is not
//! published: a document that cannot be understood keeps its own last good version and is reported
//! in [`mesh::MeshSnapshot::rejected`]; everything else goes live.
//!
//! The layers, each usable alone:
//!
//! * [`mesh`]: documents -> the name table of a mesh gateway; pure, no clock, no files.

mod document;
pub mod filter;
pub mod mesh;
mod problem;

pub use problem::{Problem, Problems};
