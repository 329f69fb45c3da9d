//! JSON text -> pieces.
//!
//! The file is checked as a whole first, without building anything; then each row is made into a
//! tree of its own. Values are found as raw slices of the text, so every one of them knows its place.

use super::node::{Key, Node, Piece, SyntaxError, Value, same_key};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Deepest nesting. Reading a level means to scan it once more, so this bounds the work as well.
const MAX_DEPTH: usize = 32;

/// Hands over the pieces of a file, or says why it is no JSON; then nothing was handed over, except
/// for escapes that only show when a value is read.
pub(crate) fn read<'a>(text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), SyntaxError> {
    let whole: &RawValue = serde_json::from_str(text)
        .map_err(|error| SyntaxError { at: offset(text, &error), message: plain(&error) })?;
    let reader = Reader { text };
    if whole.get().starts_with('[') {
        return reader.rows(whole, &mut |row| {
            sink(Piece::ListedEntry(reader.node(row, 0)?));
            Ok(())
        });
    }
    let pairs = reader.pairs(whole)?;
    if pairs.iter().any(|(key, _)| same_key(&key.name, "Kind")) {
        sink(Piece::Entry(reader.node(whole, 0)?));
        return Ok(());
    }
    for (key, value) in pairs {
        if value.get().starts_with('[') {
            reader.rows(value, &mut |row| {
                let key = Key { at: key.at, name: key.name.clone() };
                sink(Piece::Row(key, reader.node(row, 0)?));
                Ok(())
            })?;
        } else {
            let node = reader.node(value, 0)?;
            sink(Piece::Single(key, node));
        }
    }
    Ok(())
}

struct Reader<'a> {
    text: &'a str,
}

impl<'a> Reader<'a> {
    /// Every raw value is a slice of the text.
    fn at(&self, raw: &RawValue) -> usize {
        (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    fn error(&self, raw: &RawValue, error: &serde_json::Error) -> SyntaxError {
        SyntaxError { at: self.at(raw) + offset(raw.get(), error), message: plain(error) }
    }

    fn node(&self, raw: &'a RawValue, depth: usize) -> Result<Node<'a>, SyntaxError> {
        let at = self.at(raw);
        if depth > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(SyntaxError { at, message });
        }
        let text = raw.get();
        let value = match text.as_bytes().first() {
            Some(b'{') => Value::Table(
                self.pairs(raw)?
                    .into_iter()
                    .map(|(key, value)| Ok((key, self.node(value, depth + 1)?)))
                    .collect::<Result<_, SyntaxError>>()?,
            ),
            Some(b'[') => {
                let mut items = Vec::new();
                self.rows(raw, &mut |row| {
                    items.push(self.node(row, depth + 1)?);
                    Ok(())
                })?;
                Value::List(items)
            }
            Some(b'"') => Value::Text(self.string(raw)?),
            Some(b'n') => Value::Null,
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            _ => text.parse().map_or(Value::OtherNumber, Value::Int),
        };
        Ok(Node { at, value })
    }

    fn string(&self, raw: &'a RawValue) -> Result<Cow<'a, str>, SyntaxError> {
        let text = raw.get();
        match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(inside) if !inside.contains('\\') => Ok(Cow::Borrowed(inside)),
            _ => serde_json::from_str(text).map(Cow::Owned).map_err(|error| self.error(raw, &error)),
        }
    }

    fn pairs(&self, raw: &'a RawValue) -> Result<Vec<(Key<'a>, &'a RawValue)>, SyntaxError> {
        let pairs: Pairs<'a> = decode(raw, PairsSeed).map_err(|error| self.error(raw, &error))?;
        pairs
            .into_iter()
            .map(|(key, value)| Ok((Key { at: self.at(key), name: self.string(key)? }, value)))
            .collect()
    }

    /// Goes through a list without keeping it.
    fn rows(
        &self,
        raw: &'a RawValue,
        each: &mut dyn FnMut(&'a RawValue) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        let mut stopped = None;
        let read = decode(raw, RowsSeed { each, stopped: &mut stopped });
        match stopped {
            Some(error) => Err(error),
            None => read.map_err(|error| self.error(raw, &error)),
        }
    }
}

fn decode<'a, S: DeserializeSeed<'a>>(raw: &'a RawValue, seed: S) -> Result<S::Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(raw.get());
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

type Pairs<'a> = Vec<(&'a RawValue, &'a RawValue)>;

struct PairsSeed;

impl<'a> DeserializeSeed<'a> for PairsSeed {
    type Value = Pairs<'a>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for PairsSeed {
    type Value = Pairs<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

struct RowsSeed<'s, 'a> {
    each: &'s mut dyn FnMut(&'a RawValue) -> Result<(), SyntaxError>,
    stopped: &'s mut Option<SyntaxError>,
}

impl<'a> DeserializeSeed<'a> for RowsSeed<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for RowsSeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(row) = list.next_element()? {
            if let Err(error) = (self.each)(row) {
                *self.stopped = Some(error);
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// Where in `text` serde_json stopped; it counts lines and columns (in bytes) from 1.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let start: usize = lines.map(str::len).sum();
    (start + error.column().saturating_sub(1)).min(text.len())
}

/// The message without the place, which we write ourselves.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}
