//! An object of a document, read key by key.

use serde_json::Value;

use crate::limits::MAX_TEXT;

/// Why a part of a document is not understood.
pub(super) type Reason = String;

/// The fields of an object, by their keys in small letters without underscores. Those that are zero count as absent.
pub(super) struct Fields<'a> {
    set: Vec<Field<'a>>,
    /// Objects that are there and empty.
    empty: Vec<Field<'a>>,
}

/// Key, key as it is written, value.
type Field<'a> = (String, &'a str, &'a Value);

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, Reason> {
        let Value::Object(object) = value else { return Err("it is no object".to_owned()) };
        let fields = object.iter().map(|(key, value)| (plain(key), key.as_str(), value));
        let (empty, set): (Vec<_>, Vec<_>) = fields.partition(|(_, _, value)| is_zero(value));
        let empty = empty.into_iter().filter(|(_, _, value)| value.is_object()).collect();
        Ok(Self { set, empty })
    }

    /// Like [`Fields::get`], for a field where an empty object says something.
    pub(super) fn object(&self, key: &str) -> Result<Option<&'a Value>, Reason> {
        let empty = self.empty.iter().find(|(name, _, _)| name == key).map(|(_, _, value)| *value);
        Ok(self.get(key)?.or(empty))
    }

    /// `key` in small letters, without underscores.
    pub(super) fn get(&self, key: &str) -> Result<Option<&'a Value>, Reason> {
        let mut found = self.set.iter().filter(|(name, _, _)| name == key);
        match (found.next(), found.next()) {
            (Some((_, written, _)), Some(_)) => Err(format!("{written} is there twice")),
            (first, _) => Ok(first.map(|(_, _, value)| *value)),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Reason> {
        let Some(value) = self.get(key)? else { return Ok(None) };
        match value.as_str() {
            Some(text) if text.len() <= MAX_TEXT => Ok(Some(text)),
            Some(_) => Err(format!("{} is longer than {MAX_TEXT} bytes", self.written(key))),
            None => Err(format!("{} is no text", self.written(key))),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, Reason> {
        match self.get(key)? {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("{} is neither true nor false", self.written(key))),
        }
    }

    /// Nothing where it is absent; at most `most` items.
    pub(super) fn list(&self, key: &str, most: usize) -> Result<&'a [Value], Reason> {
        match self.get(key)? {
            None => Ok(&[]),
            Some(Value::Array(items)) if items.len() <= most => Ok(items),
            Some(Value::Array(_)) => Err(format!("{} has more than {most} items", self.written(key))),
            Some(_) => Err(format!("{} is no list", self.written(key))),
        }
    }

    /// A key that is not among these means that we do not know what is asked for.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Reason> {
        match self.set.iter().find(|(key, _, _)| !known.contains(&key.as_str())) {
            Some((_, written, _)) => Err(format!("{written:.100} is not known")),
            None => Ok(()),
        }
    }

    fn written(&self, key: &str) -> &'a str {
        self.set.iter().find(|(name, _, _)| name == key).map_or("?", |(_, written, _)| written)
    }
}

fn plain(key: &str) -> String {
    key.chars().filter(|char| *char != '_').map(|char| char.to_ascii_lowercase()).collect()
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
