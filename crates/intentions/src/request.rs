//! What a check sees of a request.

use http::{HeaderMap, Method};

use crate::path::NormalizedPath;

/// The head of a request, normalized: the one that will be forwarded.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method, in the case of the wire.
    pub method: &'a Method,
    /// The path that will be forwarded.
    pub path: &'a NormalizedPath,
    /// `:authority` of HTTP/2, or the authority of a full URI; `None`: the `Host` header counts.
    pub authority: Option<&'a str>,
    /// `:scheme`; `None`: unknown.
    pub scheme: Option<&'a str>,
    /// The header, after [`Normalization::headers`](crate::Normalization::headers).
    pub headers: &'a HeaderMap,
}
