//! What differs between the gateways: what each makes of the same documents.

use crate::{
    catalog::{Merged, References},
    document::MeshDoc,
    problem::Problem,
    snapshot::{Head, MeshIdentity, Rejected, Snapshot},
    source::SourceConfig,
};
use std::{fmt, path::Path, time::SystemTime};

/// A kind of gateway: which snapshot it makes of documents, and what it has to be told besides them.
///
/// The roles are those of this crate; nobody else can implement one.
pub trait Role: fmt::Debug + Sized + 'static {
    /// What this gateway knows at one moment.
    type Snapshot: Snapshot;
    /// Settings of this role that no document has.
    type Options: Clone + fmt::Debug + Default + Send + Sync + 'static;
    #[doc(hidden)]
    type Compiler: Compile<Self>;
}

/// Documents of files -> what is in a snapshot. Keeps what it made, so that the next time only what
/// changed is made anew.
pub trait Compile<R: Role>: fmt::Debug + Send + 'static {
    /// One that has seen no document.
    fn new(config: &SourceConfig<R::Options>) -> Self;

    /// Takes over what the documents say now.
    fn compile(&mut self, input: Input<'_>) -> Outcome;

    /// The snapshot of what was taken over last.
    fn snapshot(&self, head: Head) -> R::Snapshot;

    /// When something becomes different by time alone: a certificate that ends.
    fn next_change(&self) -> Option<SystemTime> {
        None
    }
}

/// What there is to compile.
pub struct Input<'a> {
    pub(crate) merged: &'a Merged<'a>,
    /// `None`: there is no valid `[Mesh]`, so nothing has a name; what can be checked was.
    pub(crate) mesh: Option<&'a MeshDoc>,
    /// The catalog's path.
    pub(crate) root: &'a Path,
    /// It is the first time: what is wrong refuses the catalog.
    pub(crate) first: bool,
    /// The files that documents name.
    pub(crate) references: &'a mut dyn References,
    pub(crate) now: SystemTime,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Whether anything in the snapshot differs.
    pub(crate) changed: bool,
    /// Who and where the gateway is, where that is not what the newest `[Mesh]` says: its roots are wrong.
    pub(crate) identity: Option<MeshIdentity>,
    /// How much was made anew.
    pub(crate) compiled: u64,
    /// Documents that are wrong next to others, or because of the files that they name.
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) warnings: Vec<Problem>,
}
