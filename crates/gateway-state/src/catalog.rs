//! Documents of many files -> one consistent set, and what has to be left out of it.
//!
//! Pure. A document that is wrong by itself was sorted out when its file was parsed; here are the
//! mistakes that only show between documents: the same thing twice, a reference to nothing, no
//! `[Mesh]` at all.

mod keep;
mod links;
mod merge;

use crate::{
    bytes::FileBytes,
    document::{Documents, FileRef},
    problem::Problem,
    snapshot::Rejected,
};
pub(crate) use keep::keep_last_good;
pub(crate) use links::{is_local, wildcard};
pub(crate) use merge::{Before, Merged, merge, problem_at};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Files by path, in whose order they count.
pub(crate) type Files = BTreeMap<Arc<Path>, CatalogFile>;

/// One file and what of it is in use.
#[derive(Clone, Debug)]
pub(crate) struct CatalogFile {
    pub(crate) path: Arc<Path>,
    pub(crate) documents: Arc<Documents>,
    /// What of its newest version is not in use.
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) warnings: Vec<Problem>,
}

impl CatalogFile {
    /// A file of which nothing is in use.
    pub(crate) fn empty(path: Arc<Path>) -> Self {
        Self { path, documents: Arc::default(), rejected: Vec::new(), warnings: Vec::new() }
    }
}

/// A document and the file that it is in.
#[derive(Debug)]
pub(crate) struct In<'a, D> {
    pub(crate) file: &'a CatalogFile,
    pub(crate) document: &'a D,
}

impl<D> Clone for In<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for In<'_, D> {}

/// The files that documents name.
pub(crate) trait References {
    /// What is in it; `Err` with what is wrong if it cannot be read.
    fn bytes(&mut self, file: &FileRef) -> Result<FileBytes, String>;

    /// `Err` with what is wrong if it cannot be read or holds no certificate.
    fn certificates(&mut self, file: &FileRef) -> Result<(), String> {
        let bytes = self.bytes(file)?;
        let label = b"-----BEGIN CERTIFICATE-----";
        let has = bytes.expose().windows(label.len()).any(|window| window == label);
        if has { Ok(()) } else { Err(format!("{} holds no PEM CERTIFICATE", file.path.display())) }
    }

    /// What is doubtful about a private key's file, if anything.
    fn key(&mut self, file: &FileRef) -> Option<String>;
}
