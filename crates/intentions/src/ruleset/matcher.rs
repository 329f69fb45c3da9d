//! The criteria of a permission, ready to be asked.

use regex::Regex;

use super::headers::Header;
use super::patterns::Patterns;
use crate::permission::{HttpMatch, PathMatch};
use crate::request::RequestHead;

#[derive(Debug)]
pub(super) enum Matcher {
    /// What is not understood and could only open.
    Never,
    /// What is not understood and could close.
    Always,
    Criteria {
        path: Option<Path>,
        methods: Box<[Box<str>]>,
        headers: Box<[Header]>,
        /// Whether matching takes something away: then doubt is a match.
        closes: bool,
    },
}

#[derive(Debug)]
pub(super) enum Path {
    Exact(Box<str>),
    Prefix(Box<str>),
    Regex(Regex),
}

/// The first criterion that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    NotUnderstood,
    Path,
    Method,
    /// From 0.
    Header(usize),
}

impl Matcher {
    pub(super) fn compile(http: &HttpMatch, closes: bool, patterns: &mut Patterns) -> Result<Self, String> {
        let path = match &http.path {
            None => None,
            Some(PathMatch::Exact(text)) => Some(Path::Exact(text.clone())),
            Some(PathMatch::Prefix(text)) => Some(Path::Prefix(text.clone())),
            Some(PathMatch::Regex(pattern)) => Some(Path::Regex(patterns.whole(pattern)?)),
        };
        let headers = http.headers.iter().map(|header| Header::compile(header, patterns));
        let headers = headers.collect::<Result<_, _>>()?;
        Ok(Self::Criteria { path, methods: http.methods.clone().into(), headers, closes })
    }

    pub(super) fn not_understood(closes: bool) -> Self {
        if closes { Self::Always } else { Self::Never }
    }

    pub(super) fn check(&self, request: &RequestHead<'_>) -> Result<(), Miss> {
        match self {
            Self::Never => Err(Miss::NotUnderstood),
            Self::Always => Ok(()),
            Self::Criteria { path, methods, headers, closes } => {
                if path.as_ref().is_some_and(|path| !path.holds(request, *closes)) {
                    return Err(Miss::Path);
                }
                if !methods.is_empty() && !methods.iter().any(|method| **method == *request.method.as_str()) {
                    return Err(Miss::Method);
                }
                match headers.iter().position(|header| !header.holds(request, *closes)) {
                    Some(index) => Err(Miss::Header(index)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Path {
    fn holds(&self, request: &RequestHead<'_>, closes: bool) -> bool {
        let path = request.path.as_str();
        // CONNECT names no path; what it reaches may be anything.
        if path.is_empty() {
            return closes;
        }
        match self {
            Self::Exact(text) => **text == *path,
            Self::Prefix(text) => path.starts_with(&**text),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}
