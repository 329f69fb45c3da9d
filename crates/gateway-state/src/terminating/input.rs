//! What is put into a [`TerminatingAssembler`](super::TerminatingAssembler).

use super::{LinkKind, ServiceKey};
use crate::bytes::FileBytes;
use std::sync::Arc;

/// A linked service: a row of `/v1/catalog/gateway-services`, or of the gateway's entry with `*` expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkRow {
    pub(crate) key: ServiceKey,
    pub(crate) kind: LinkKind,
    pub(crate) from_wildcard: bool,
    /// Not `DisableAutoHostRewrite` of the entry.
    pub(crate) host_rewrite: bool,
    /// `None`: without `CAFile`.
    pub(crate) tls: Option<LinkFiles>,
}

/// TLS towards the instances of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkFiles {
    pub(crate) ca: NamedFile,
    /// `CertFile` and `KeyFile`.
    pub(crate) client: Option<(NamedFile, NamedFile)>,
    /// Empty: no name is sent, none is checked.
    pub(crate) sni: Arc<str>,
}

/// A file that a link names, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedFile {
    pub(crate) path: Arc<str>,
    /// `Err`: why it cannot be read.
    pub(crate) contents: Result<FileBytes, Arc<str>>,
}

/// The certificate of a linked service, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeafInput {
    /// Not yet.
    Unknown,
    /// Certificate with its chain, and the key; checked here.
    Pem { cert: FileBytes, key: FileBytes },
    /// There is none any more: what was there before is not used.
    Gone(Arc<str>),
    /// It could not be read; what was there before stays.
    Failed(Arc<str>),
}
