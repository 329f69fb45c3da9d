//! What a row shows to a filter.

use std::fmt;

/// What a filter can be asked about: a row, or a record inside of one.
pub trait Selector {
    /// The value at a path such as `["Service", "Meta", "version"]`. The empty path is the record
    /// itself.
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a>;
}

/// Answer to a path.
#[derive(Clone, Copy)]
pub enum Selected<'a> {
    /// The value.
    Value(Value<'a>),
    /// The path leads into a map that has no such key. The value is one such as the map would have
    /// there: a comparison must fit its type.
    NoKey(Value<'a>),
    /// The path leads into a list of records, of which any may fit; so many parts of the path, at its
    /// end, are a path in those.
    Each(&'a dyn Records, usize),
    /// Rows of this kind have no such field.
    Unknown,
}

impl<'a> Selected<'a> {
    /// A text, if nothing of the path is left.
    #[must_use]
    pub fn text(text: &'a str, rest: &[Box<str>]) -> Self {
        Self::leaf(Value::Text(text), rest)
    }

    /// A value without fields of its own, if nothing of the path is left.
    #[must_use]
    pub fn leaf(value: Value<'a>, rest: &[Box<str>]) -> Self {
        if rest.is_empty() { Self::Value(value) } else { Self::Unknown }
    }

    /// A list of records, or what the rest of the path selects in each of them.
    #[must_use]
    pub fn each(records: &'a dyn Records, rest: &[Box<str>]) -> Self {
        if rest.is_empty() { Self::Value(Value::Records(records)) } else { Self::Each(records, rest.len()) }
    }
}

/// A value of a row.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// Compared as text; asked with `in`, `contains` (a part of it is equal) and `matches`.
    Text(&'a str),
    /// Compared as a number: the filter's side must be one, written as in Go.
    Int(i64),
    /// Compared as a truth value: `true`, `false` and their usual short forms.
    Bool(bool),
    /// Asked with `in`, `contains` (an element is equal) and `is empty`.
    List(&'a dyn Texts),
    /// Asked with `in`, `contains` (a key is equal) and `is empty`.
    Map(&'a dyn Texts),
    /// Asked with `is empty`; a longer path asks about its elements.
    Records(&'a dyn Records),
    /// A part of the row with fields of its own: it can be walked through, not compared.
    Record,
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::List(_) | Value::Map(_) | Value::Records(_) | Value::Record => f.write_str(self.kind()),
        }
    }
}

impl fmt::Debug for Selected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "Value({value:?})"),
            Self::NoKey(like) => write!(f, "NoKey({like:?})"),
            Self::Each(_, rest) => write!(f, "Each({rest})"),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

impl Value<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Int(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Records(_) => "a list of records",
            Value::Record => "a record",
        }
    }
}

/// Elements of a list of texts, or keys of a map.
pub trait Texts {
    /// Whether one of them is exactly this.
    fn has(&self, text: &str) -> bool;
    /// Whether there is none.
    fn is_empty(&self) -> bool;
}

impl<T: AsRef<str>> Texts for Box<[T]> {
    fn has(&self, text: &str) -> bool {
        self.iter().any(|item| item.as_ref() == text)
    }

    fn is_empty(&self) -> bool {
        <[T]>::is_empty(self)
    }
}

/// Elements of a list of records. A comparison with a field of theirs holds if it holds for any of
/// them: `Checks.Status != passing` asks whether there is a check that does not pass.
pub trait Records {
    /// Whether there is none.
    fn is_empty(&self) -> bool;
    /// Shows each to `ask` until that says `true`, and whether it did.
    fn any(&self, ask: &mut dyn FnMut(&dyn Selector) -> bool) -> bool;
    /// Shows a record such as the list would have, whether it has one or not: for its fields and
    /// their types.
    fn example(&self, ask: &mut dyn FnMut(&dyn Selector));
}

impl<T: Selector + Default> Records for Box<[T]> {
    fn is_empty(&self) -> bool {
        <[T]>::is_empty(self)
    }

    fn any(&self, ask: &mut dyn FnMut(&dyn Selector) -> bool) -> bool {
        self.iter().any(|record| ask(record))
    }

    fn example(&self, ask: &mut dyn FnMut(&dyn Selector)) {
        ask(&T::default());
    }
}
