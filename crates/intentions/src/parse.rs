//! Documents into intentions.
//!
//! Consul's own decoder treats a missing field, `null` and the zero value alike, and so does this: `""`, `0`, `false`,
//! `[]` and `{}` are as good as absent, also under keys that are not known. Keys are compared as config entries allow it,
//! without case and underscores.
//!
//! What is not understood closes. A row that cannot be read denies what it covers; where it cannot be read whom it
//! covers, it denies everyone, unless it could only have allowed something: taking an allowing row away never opens.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::intention::Intention;
use crate::problem::Problem;

mod entry;
mod fields;
mod header;
mod jwt;
mod permission;
mod row;
mod rule;
#[cfg(test)]
mod tests;

pub use entry::from_config_entry;

/// What a document says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Its intentions, in its order; those that are not understood are among them and deny.
    pub intentions: Vec<Arc<Intention>>,
    /// What is wrong with some of them.
    pub problems: Vec<Problem>,
}

/// The document as a whole is not what it should be. Keep the last good one. Whoever wrote it, or whoever sits between
/// Consul and us, is at fault; a retry helps when the answer was cut off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another shape.
    #[error("{0}")]
    Shape(String),
}

/// One row of an answer of Consul: what `T` of a query may be. Reading it fails only where the row is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The intention; `None`: it is not understood and could only have allowed something.
    pub intention: Option<Arc<Intention>>,
    /// What is wrong with it. [`Problem::place`] names the intention where it can be named, and is empty otherwise.
    pub problems: Vec<Problem>,
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(|value| Self::read(&value))
    }
}

impl Row {
    /// Reads a row in the form of `match`, of the list, and of the legacy API.
    #[must_use]
    pub fn read(row: &Value) -> Self {
        row::read(row)
    }
}

impl Parsed {
    /// Puts rows together; `place` names the list they stand in.
    #[must_use]
    pub fn of_rows(place: &str, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut parsed = Self::default();
        for (index, row) in rows.into_iter().enumerate() {
            parsed.intentions.extend(row.intention);
            parsed.problems.extend(row.problems.into_iter().map(|problem| {
                let place = format!("{place}[{index}] {}", problem.place);
                Problem { place: place.trim_end().to_owned(), ..problem }
            }));
        }
        parsed
    }
}

/// Reads the answer of `GET /v1/connect/intentions/match?by=destination&name=<name>`. `name` is the key, as it was asked.
///
/// # Errors
/// When it is not JSON, or has no list (or `null`) for `name`.
pub fn parse_match(body: &[u8], name: &str) -> Result<Parsed, ParseError> {
    let mut answer: BTreeMap<String, Value> = serde_json::from_slice(body)?;
    match answer.remove(name) {
        Some(rows) => list(name, &rows),
        None => Err(ParseError::Shape(format!("the answer has no list for {name:?}"))),
    }
}

/// Reads the answer of `GET /v1/connect/intentions`: all destinations.
///
/// # Errors
/// When it is not a JSON list (or `null`).
pub fn parse_list(body: &[u8]) -> Result<Parsed, ParseError> {
    list("", &serde_json::from_slice(body)?)
}

fn list(place: &str, rows: &Value) -> Result<Parsed, ParseError> {
    match rows {
        Value::Null => Ok(Parsed::default()),
        Value::Array(rows) => Ok(Parsed::of_rows(place, rows.iter().map(Row::read))),
        _ => Err(ParseError::Shape("the answer is not a list of intentions".to_owned())),
    }
}
