//! Permissions: what a request must look like, and what then.

use crate::intention::Action;

/// One permission of an intention for HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// What is done with a request that matches.
    pub action: Action,
    /// Which requests match.
    pub matches: PermissionMatch,
    /// A token that the request needs as well.
    pub jwt: Option<JwtRequirement>,
}

/// Which requests a permission is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermissionMatch {
    /// Those that meet all criteria; there is at least one.
    Http(HttpMatch),
    /// There is something in it that is not understood, such as a key that is not known. If the permission allows, it
    /// matches nothing; if it denies, everything. The text says what.
    NotUnderstood(Box<str>),
}

/// Criteria of a request; all that are given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpMatch {
    /// The path, without query.
    pub path: Option<PathMatch>,
    /// Methods, in the case of the wire; empty: any.
    pub methods: Vec<Box<str>>,
    /// Headers.
    pub headers: Vec<HeaderMatch>,
}

/// What the whole normalized path must be. Case counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This.
    Exact(Box<str>),
    /// Text that begins with this; `/v1` matches `/v1x`.
    Prefix(Box<str>),
    /// Text that this RE2 expression matches from end to end.
    Regex(Box<str>),
}

/// A criterion of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Which header.
    pub field: HeaderField,
    /// What its value must be.
    pub test: HeaderTest,
    /// The opposite: the header is there, and no line of it passes the test. With [`HeaderTest::Present`]: it is missing.
    pub invert: bool,
}

/// A header field, or one of the parts of a request that have names like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderField {
    /// A header field.
    Named(http::HeaderName),
    /// `:authority`, and `Host`, which is the same.
    Authority,
    /// `:method`.
    Method,
    /// `:path`: path and query.
    Path,
    /// `:scheme`.
    Scheme,
}

/// What is asked of a header value, which is trimmed of blanks first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderTest {
    /// The header is there, also with an empty value.
    Present,
    /// A comparison of text.
    Text {
        /// How.
        test: TextTest,
        /// With what.
        value: Box<str>,
        /// Whether ASCII letters of either case are the same.
        ignore_case: bool,
    },
    /// This RE2 expression matches from end to end.
    Regex(Box<str>),
}

/// How header values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextTest {
    /// Equal.
    Exact,
    /// Begins with it.
    Prefix,
    /// Ends with it.
    Suffix,
    /// Has it somewhere.
    Contains,
}

/// Tokens (JWT) that a request must bring. Until they are verified, a rule that asks for one denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwtRequirement {
    /// A valid token of one of these.
    AnyOf(Vec<JwtProvider>),
    /// The text says what is not understood.
    NotUnderstood(Box<str>),
}

/// A `jwt-provider` config entry, and what its tokens must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtProvider {
    /// Name of the config entry.
    pub name: Box<str>,
    /// All must hold.
    pub claims: Vec<Claim>,
}

/// A claim that a token must make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Keys from the outside in; literal, no dots and no indexes.
    pub path: Vec<Box<str>>,
    /// What stands there, as text.
    pub value: Box<str>,
}
