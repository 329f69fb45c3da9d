//! What a gateway knows about its mesh, read from documents and kept as one immutable snapshot.
//!
//! Documents go in at one end (files of a static catalog, see [`FileSource`]), a numbered
//! [`mesh::MeshSnapshot`] comes out at the other. A snapshot is whole and valid or it is not
//! published: a document that cannot be understood keeps its own last good version and is reported
//! in [`mesh::MeshSnapshot::rejected`]; everything else goes live.
//!
//! The layers, each usable alone:
//!
//! * `document`: TOML or JSON text -> checked documents, with all problems of a file at once;
//! * [`filter`]: Consul's filter language, over anything that is a [`filter::Selector`];
//! * `catalog`: documents of many files -> one consistent set;
//! * [`mesh`]: that set -> the name table of a mesh gateway; pure, no clock, no files;
//! * [`FileSource`]: the files, watched; the only part that touches the system.

mod bytes;
mod catalog;
mod changes;
mod compile;
pub mod consul;
mod document;
mod entry_lists;
pub use catalog_client::filter;
pub mod mesh;
mod problem;
mod publish;
mod role;
mod snapshot;
mod source;
mod target;
pub mod terminating;

pub use problem::{Problem, Problems};
pub use publish::{Publisher, Reader};
pub use role::Role;
pub use snapshot::{FileStatus, MeshIdentity, OwnOptions, Rejected, RemoteKeepalive, Snapshot};
pub use source::{FileSource, Loaded, SourceConfig, SourceHandle, SourceStatus};
pub use target::{Host, Rule, Target, TargetEndpoint};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
