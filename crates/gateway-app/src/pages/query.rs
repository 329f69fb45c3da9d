//! The query of a page: `limit=200&service=billing`.

use super::{MOST_ROWS, USUAL_ROWS};

/// What a page was asked for. What it does not know is ignored, and a limit that is no number is the
/// usual one: a page for looking at a gateway in trouble does not argue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Rows of each list, 0 to [`MOST_ROWS`].
    pub limit: usize,
    /// Only rows with this label.
    pub service: Option<String>,
    /// Only the row of this name of the table.
    pub name: Option<String>,
}

impl Query {
    /// Reads the part of a URL behind its `?`.
    #[must_use]
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&');
        let value = |key: &str| {
            let mut values = pairs.clone().filter_map(|pair| pair.split_once('='));
            values.find(|(name, _)| *name == key).and_then(|(_, value)| decode(value))
        };
        Self {
            limit: value("limit").and_then(|limit| limit.parse().ok()).unwrap_or(USUAL_ROWS).min(MOST_ROWS),
            service: value("service"),
            name: value("name"),
        }
    }
}

/// Percent-encoding undone; `None` for what is not UTF-8 then.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        match (first, after) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                bytes.push(u8::try_from(hex(high)? * 16 + hex(low)?).ok()?);
                rest = after;
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
