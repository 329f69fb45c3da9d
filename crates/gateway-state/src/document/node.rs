//! One tree for both formats, with the place of every value, so that one decoder reads both.
//!
//! A tree never holds a whole file: the readers make one for each row and drop it after decoding.

use std::borrow::Cow;

/// A value and where it starts.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// Offset in the file, in bytes.
    pub(crate) at: usize,
    pub(crate) value: Value<'a>,
}

/// What TOML and JSON have in common.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// JSON only. As a value of a key it means that the key is absent.
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is no whole one, or too large for one. No document has one.
    OtherNumber,
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Table(Vec<(Key<'a>, Node<'a>)>),
    /// TOML only. No document has one.
    Date,
}

/// A key and where it starts.
#[derive(Debug)]
pub(crate) struct Key<'a> {
    pub(crate) at: usize,
    pub(crate) name: Cow<'a, str>,
}

impl Value<'_> {
    /// What to call it in a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::OtherNumber => "a number that is not whole or too large",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Date => "a date",
        }
    }
}

/// One piece of a file, in the order of the file.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// A key of the top level with its value: `[Mesh]`, or the value of a key that is no list.
    Single(Key<'a>, Node<'a>),
    /// One element of a list of the top level: one `[[Instance]]`.
    Row(Key<'a>, Node<'a>),
    /// The file as a whole is one config entry.
    Entry(Node<'a>),
    /// One of the config entries of a file that is a list of them.
    ListedEntry(Node<'a>),
}

/// Text that is not TOML or not JSON, and where it stops being it.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// Whether two spellings are one key: Consul writes `CAFile` in JSON and takes `ca_file` as well.
pub(crate) fn same_key(a: &str, b: &str) -> bool {
    let letters = |text: &'_ str| -> Vec<u8> {
        text.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase()).collect()
    };
    a == b || letters(a) == letters(b)
}
