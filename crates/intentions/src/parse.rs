//! Documents into intentions.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::intention::Intention;
use crate::problem::Problem;

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
    /// What is wrong with it; [`Problem::place`] is empty until the row's place is known.
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
    pub fn read(_row: &Value) -> Self {
        Self { intention: None, problems: Vec::new() }
    }
}

/// Reads the answer of `GET /v1/connect/intentions/match?by=destination&name=<name>`. `name` is the key, as it was asked.
///
/// # Errors
/// When it is not JSON, or has no list (or `null`) for `name`.
pub fn parse_match(_body: &[u8], _name: &str) -> Result<Parsed, ParseError> {
    Ok(Parsed::default())
}

/// Reads the answer of `GET /v1/connect/intentions`: all destinations.
///
/// # Errors
/// When it is not a JSON list (or `null`).
pub fn parse_list(_body: &[u8]) -> Result<Parsed, ParseError> {
    Ok(Parsed::default())
}

/// Reads one `service-intentions` config entry, as the API and `consul config read` write it and as a person may, with
/// keys in CamelCase or snake_case. It has the intentions of one destination; those of wildcard destinations are
/// entries of their own.
///
/// # Errors
/// When it is no object, of another kind, or without a name.
pub fn from_config_entry(_entry: &Value) -> Result<Parsed, ParseError> {
    Ok(Parsed::default())
}
