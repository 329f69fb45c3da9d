//! Consul's filter language: `Service.Meta.version == v1 and "blue" not in Service.Tags`.
//!
//! A filter is parsed once, with its regular expressions compiled, and then asked about rows; a row is
//! anything that implements [`Selector`], so the same filter reads documents of files and answers of
//! Consul:
//!
//! ```
//! use catalog_client::{filter::Filter, health::HealthEntry};
//!
//! let row: HealthEntry = serde_json::from_str(r#"{"Service": {"Meta": {"version": "v1"}}}"#)?;
//! let filter = Filter::parse(r#"Service.Meta.version == v1 and Checks.Status != critical"#)?;
//! filter.check(&HealthEntry::default())?; // all of it, once: are there such fields?
//! assert!(!filter.matches(&row)?, "no check, so none with another status");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The language
//!
//! As Consul 1.8.7 and 1.21 evaluate it, which is the same (both have go-bexpr 0.1.2): tests ask both
//! thousands of filters and compare. What it says in full:
//!
//! * `and` binds stronger than `or`, `not` stronger than both; parentheses. White space is needed
//!   around words, not around `==` and `!=`.
//! * `selector == value`, `!=`, `contains`, `not contains`, `matches`, `not matches`;
//!   `value in selector`, `not in`; `selector is empty`, `is not empty`.
//! * A selector is a name and then `.name` or `["any text"]`, case mattering. A value is a number, a
//!   name (also with dots), `"text"` with Go's escapes but without `\"`, or `` `text` `` as it is.
//! * Texts take all but `is empty`; numbers and truth values `==` and `!=`; lists of texts and maps
//!   (of which the keys count) `in`, `contains`, `is empty`. Anything else is refused.
//! * Of a list of records any may fit: `Checks.Status != passing` is true if one does not pass, and
//!   false without checks. `not Checks.Status == passing` is true without checks.
//! * A key that a map does not have is not equal to and not in anything; but `matches` and
//!   `not matches` are both true of it.
//! * Patterns after `matches` are Go's, and match anywhere unless anchored.
//!
//! # Where it differs
//!
//! * Newer versions of Consul have more fields; older ones refuse a filter that names them. Here all
//!   are known, and empty in rows of older versions. `(?<name>...)` in patterns came with Go 1.22.
//! * Newer versions of the library have more (`any`, `all`, JSON pointers); no
//!   Consul up to 1.21 has those, so they are refused here.
//! * Bounds: [`MAX_LENGTH`] bytes, [`MAX_DEPTH`] levels, and a megabyte for a compiled pattern, which
//!   something like `\pL{1000}` exceeds. Consul has no bounds, but needs exponential time for nested
//!   parentheses.
//! * A key in brackets must be UTF-8; Consul takes `["\xff"]`, which no row has.
//!
//! Evaluation takes no memory of its own.

mod eval;
mod literal;
mod number;
mod parse;
#[cfg(test)]
mod tests;
mod value;

pub use value::{Records, Selected, Selector, Texts, Value};

use std::fmt;

/// Longest filter in bytes.
pub const MAX_LENGTH: usize = 8192;

/// Deepest nesting of parentheses and `not`.
pub const MAX_DEPTH: usize = 64;

/// A filter, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// `None` matches every row: Consul takes an empty filter as "no filter".
    expr: Option<Expr>,
}

impl Filter {
    /// Parses a filter. Nothing at all is the filter that matches every row; only white space is none.
    ///
    /// # Errors
    ///
    /// [`FilterError`] says where and why; trying again does not help.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::filter(text).map(|expr| Self { expr })
    }

    /// Whether the row is one of those that the filter describes.
    ///
    /// # Errors
    ///
    /// [`MatchError`] when the filter asks for a field that such rows do not have, or compares it
    /// in a way that its type does not allow. Consul refuses the query then, also where `and` and
    /// `or` need no answer of that part: ask [`Filter::check`] first, once.
    pub fn matches(&self, row: &impl Selector) -> Result<bool, MatchError> {
        self.expr.as_ref().map_or(Ok(true), |expr| eval::expr(expr, row))
    }

    /// Whether the filter is empty, so that every row matches it.
    #[must_use]
    pub fn matches_all(&self) -> bool {
        self.expr.is_none()
    }

    /// Evaluates every part of the filter, without the short cuts of `and` and `or`, to find what
    /// could never be answered about rows of this kind. Any row will do, an empty one as well.
    ///
    /// # Errors
    ///
    /// [`MatchError`], the first one.
    pub fn check(&self, row: &impl Selector) -> Result<(), MatchError> {
        self.expr.as_ref().map_or(Ok(()), |expr| eval::check(expr, row))
    }
}

impl fmt::Display for Filter {
    /// The filter in one form, which parses to the same filter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.as_ref().map_or(Ok(()), |expr| expr.fmt(f))
    }
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// Whoever wrote it must correct it.
    #[error("at character {at}: {expected}")]
    Syntax {
        /// Position of the first character that does not fit, from 1.
        at: usize,
        /// What would fit there.
        expected: &'static str,
    },
    /// The regular expression after `matches` is wrong or too large.
    #[error("regular expression {expression:?}: {reason}")]
    Regex {
        /// As written.
        expression: String,
        /// What the regex compiler said.
        reason: String,
    },
    /// More than [`MAX_LENGTH`] bytes.
    #[error("longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// More than [`MAX_DEPTH`] levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Why a filter cannot be answered about a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// Rows of this kind have no such field.
    #[error("selector {selector:?} is not valid: no such field")]
    Unknown {
        /// As dotted path.
        selector: String,
    },
    /// The operator does not fit the field's type.
    #[error("{selector:?} is {kind}: {operator:?} cannot be used")]
    Operator {
        /// As dotted path.
        selector: String,
        /// The field's type.
        kind: &'static str,
        /// As written.
        operator: &'static str,
    },
    /// The value to compare with is not of the field's type.
    #[error("{selector:?} is {kind}, which {value:?} is not")]
    Value {
        /// As dotted path.
        selector: String,
        /// The field's type.
        kind: &'static str,
        /// As written.
        value: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Expr {
    /// At least two, all of which must be true; asked in order, as far as needed.
    And(Vec<Expr>),
    /// At least two, one of which must be true; asked in order, as far as needed.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Match(Match),
}

#[derive(Clone, Debug)]
struct Match {
    selector: Box<[Box<str>]>,
    operator: Operator,
    /// Empty for the operators that take no value. Mostly UTF-8, but the language does not ask for it.
    value: Box<[u8]>,
    /// Present exactly for `Matches`.
    regex: Option<regex::Regex>,
    negated: bool,
}

impl PartialEq for Match {
    fn eq(&self, other: &Self) -> bool {
        // The regex is made from the value and nothing else.
        (&self.selector, self.operator, &self.value, self.negated)
            == (&other.selector, other.operator, &other.value, other.negated)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    In,
    Empty,
    Matches,
}

impl Match {
    fn operator_name(&self) -> &'static str {
        match (self.operator, self.negated) {
            (Operator::Equal, false) => "==",
            (Operator::Equal, true) => "!=",
            (Operator::In, false) => "contains",
            (Operator::In, true) => "not contains",
            (Operator::Empty, false) => "is empty",
            (Operator::Empty, true) => "is not empty",
            (Operator::Matches, false) => "matches",
            (Operator::Matches, true) => "not matches",
        }
    }

    fn dotted(&self) -> String {
        self.selector.join(".")
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[Expr], word: &str| {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                item.grouped(f)?;
            }
            Ok(())
        };
        match self {
            Expr::And(items) => list(f, items, "and"),
            Expr::Or(items) => list(f, items, "or"),
            Expr::Not(inner) => {
                f.write_str("not ")?;
                inner.grouped(f)
            }
            Expr::Match(it) => it.fmt(f),
        }
    }
}

impl Expr {
    fn grouped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::And(_) | Expr::Or(_) => write!(f, "({self})"),
            Expr::Not(_) | Expr::Match(_) => write!(f, "{self}"),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.selector.iter().enumerate() {
            match (index, parse::is_identifier(part)) {
                (0, _) => f.write_str(part)?,
                (_, true) => write!(f, ".{part}")?,
                (_, false) => write!(f, "[{}]", literal::Quoted(part.as_bytes()))?,
            }
        }
        write!(f, " {}", self.operator_name())?;
        match self.operator {
            Operator::Empty => Ok(()),
            Operator::Equal | Operator::In | Operator::Matches => {
                write!(f, " {}", literal::Quoted(&self.value))
            }
        }
    }
}
