//! The path that is judged and forwarded: Consul's `HTTP.Incoming.RequestNormalization`.
//!
//! Rules about paths can be dodged when the path that is judged is not the one that the service understands, so one
//! form is made first, and only that form can be judged and sent. The order is: escaped slashes, normalization, merging
//! of slashes; the query is not touched; one pass, so `%252F` stays.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, Method, Uri};

mod steps;
#[cfg(test)]
mod tests;

/// What is done with a request before it is judged. The fields and their defaults are Consul's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Normalization {
    /// Backslashes become slashes, escaped letters, digits and `-._~` are written plainly, `.` and `..` are resolved. The
    /// opposite of `InsecureDisablePathNormalization`. Default: on.
    pub normalize_path: bool,
    /// `//` becomes `/`. Default: off.
    pub merge_slashes: bool,
    /// What is done with `%2F` and `%5C`.
    pub escaped_slashes: EscapedSlashes,
    /// What is done with header names that have an underscore.
    pub headers_with_underscores: HeadersWithUnderscores,
}

/// `PathWithEscapedSlashesAction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EscapedSlashes {
    /// They stay, and are no slashes.
    #[default]
    KeepUnchanged,
    /// The request is refused with 400.
    RejectRequest,
    /// The client is sent to the path without them, with 307.
    UnescapeAndRedirect,
    /// They become slashes.
    UnescapeAndForward,
}

/// `HeadersWithUnderscoresAction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeadersWithUnderscores {
    /// They stay.
    #[default]
    Allow,
    /// The request is refused with 400.
    RejectRequest,
    /// They are removed before the request is judged.
    DropHeader,
}

/// The setting has a value that is not known. Whoever wrote the mesh entry is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is none of {known}")]
pub struct UnknownOption {
    value: Box<str>,
    known: &'static str,
}

/// What comes of a request target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// This is judged and forwarded.
    Path(NormalizedPath),
    /// Answer 307.
    Redirect(Redirect),
    /// Answer 400.
    Reject(Rejection),
}

/// Where the client is sent with status 307.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    location: String,
}

/// Why a request is refused with status 400. The client is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The target is neither a path nor a full URI, nor `*` with OPTIONS.
    #[error("the request target does not start with a slash")]
    Target,
    /// The target has a fragment.
    #[error("the request target has a fragment")]
    Fragment,
    /// The target has a blank or a control character.
    #[error("the request target has a blank or a control character")]
    Character,
    /// The path has an escaped NUL, which services cut paths off at.
    #[error("the path has an escaped NUL")]
    Nul,
    /// The path has an escaped slash, and the setting refuses them.
    #[error("the path has an escaped slash")]
    EscapedSlash,
    /// A header's name has an underscore, and the setting refuses them.
    #[error("a header name has an underscore")]
    Underscore,
}

/// A path that can be judged, and its query: what [`RuleSet::check_request`](crate::RuleSet::check_request) takes and
/// what is forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalizedPath {
    /// Path and query.
    text: Box<str>,
    /// Bytes of the path in `text`.
    path: usize,
    changed: bool,
}

impl Default for Normalization {
    fn default() -> Self {
        Self {
            normalize_path: true,
            merge_slashes: false,
            escaped_slashes: EscapedSlashes::default(),
            headers_with_underscores: HeadersWithUnderscores::default(),
        }
    }
}

impl NormalizedPath {
    /// Normalizes a request target as it stands in the request line, or in `:path`. A full URI is reduced to its path.
    /// The target of CONNECT has no path.
    pub fn normalize(method: &Method, target: &str, options: &Normalization) -> Outcome {
        if target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Outcome::Reject(Rejection::Character);
        }
        if target.contains('#') {
            return Outcome::Reject(Rejection::Fragment);
        }
        if target.starts_with('/') {
            return steps::outcome(target, options);
        }
        match after_authority(target) {
            Some(rest) if rest.starts_with('/') => steps::outcome(rest, options),
            Some(rest) => steps::outcome(&format!("/{rest}"), options),
            None if *method == Method::CONNECT => Outcome::Path(Self::of("", 0, false)),
            None if *method == Method::OPTIONS && target == "*" => Outcome::Path(Self::of("*", 1, false)),
            None => Outcome::Reject(Rejection::Target),
        }
    }

    /// The same for a target that the `http` crate has read. (It drops a fragment, so that none can be refused.)
    pub fn from_uri(method: &Method, uri: &Uri, options: &Normalization) -> Outcome {
        match uri.path_and_query().map(http::uri::PathAndQuery::as_str) {
            Some(target) if target.starts_with('?') => {
                Self::normalize(method, &format!("/{target}"), options)
            }
            Some(target) => Self::normalize(method, target, options),
            None if *method == Method::CONNECT => Outcome::Path(Self::of("", 0, false)),
            None => Outcome::Reject(Rejection::Target),
        }
    }

    /// The path without query. It starts with a slash, but for `*` and for CONNECT, whose path is empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.get(..self.path).unwrap_or_default()
    }

    /// What follows the question mark; `None` where there is none.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.path + 1..)
    }

    /// Path and query, as they are forwarded.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.text
    }

    /// Whether it differs from the target that came.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    fn of(text: &str, path: usize, changed: bool) -> Self {
        Self { text: text.into(), path, changed }
    }
}

/// What follows `scheme://authority`; `None` where the target does not begin so.
fn after_authority(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    let known = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    (known && end > 0).then(|| rest.get(end..)).flatten()
}

impl Normalization {
    /// Applies `HeadersWithUnderscoresAction`: to be called before the request is judged.
    ///
    /// # Errors
    /// When there is such a header and the setting refuses it.
    pub fn headers(&self, headers: &mut HeaderMap) -> Result<(), Rejection> {
        if self.headers_with_underscores == HeadersWithUnderscores::Allow {
            return Ok(());
        }
        let named: Vec<_> = headers.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
        if !named.is_empty() && self.headers_with_underscores == HeadersWithUnderscores::RejectRequest {
            return Err(Rejection::Underscore);
        }
        for name in named {
            headers.remove(name);
        }
        Ok(())
    }
}

impl Redirect {
    /// Value of the `location` header. It never names another host.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }
}

impl FromStr for EscapedSlashes {
    type Err = UnknownOption;

    /// The empty text and `IMPLEMENTATION_SPECIFIC_DEFAULT` keep them.
    fn from_str(text: &str) -> Result<Self, UnknownOption> {
        match text {
            "" | "IMPLEMENTATION_SPECIFIC_DEFAULT" | "KEEP_UNCHANGED" => Ok(Self::KeepUnchanged),
            "REJECT_REQUEST" => Ok(Self::RejectRequest),
            "UNESCAPE_AND_REDIRECT" => Ok(Self::UnescapeAndRedirect),
            "UNESCAPE_AND_FORWARD" => Ok(Self::UnescapeAndForward),
            _ => Err(UnknownOption {
                value: text.into(),
                known: "IMPLEMENTATION_SPECIFIC_DEFAULT, KEEP_UNCHANGED, REJECT_REQUEST, UNESCAPE_AND_REDIRECT, \
                        UNESCAPE_AND_FORWARD",
            }),
        }
    }
}

impl FromStr for HeadersWithUnderscores {
    type Err = UnknownOption;

    /// The empty text allows them.
    fn from_str(text: &str) -> Result<Self, UnknownOption> {
        match text {
            "" | "ALLOW" => Ok(Self::Allow),
            "REJECT_REQUEST" => Ok(Self::RejectRequest),
            "DROP_HEADER" => Ok(Self::DropHeader),
            _ => Err(UnknownOption { value: text.into(), known: "ALLOW, REJECT_REQUEST, DROP_HEADER" }),
        }
    }
}

impl fmt::Display for NormalizedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
