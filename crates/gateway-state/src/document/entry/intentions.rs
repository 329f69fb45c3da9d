//! `service-intentions`: read by the crate that judges by them. A row that cannot be understood denies, so
//! such an entry is in use and wrong at the same time.

use super::super::{
    cx::Cx,
    node::{Node, Value},
};
use ::intentions::{Intention, from_config_entry};
use std::sync::Arc;

/// The intentions of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intentions {
    pub(crate) rows: Vec<Arc<Intention>>,
    /// Some of it was not understood and denies.
    pub(crate) wrong: bool,
}

pub(super) fn decode(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Intentions> {
    match from_config_entry(&json(node)) {
        Ok(parsed) => {
            for problem in &parsed.problems {
                let text = problem.to_string();
                let message = text.strip_prefix(&problem.place).unwrap_or(&text).trim_start_matches(": ");
                cx.problem(node.at, &problem.place, message);
            }
            Some(Intentions { rows: parsed.intentions, wrong: !parsed.problems.is_empty() })
        }
        Err(error) => {
            cx.problem(node.at, "", error.to_string());
            None
        }
    }
}

fn json(node: &Node<'_>) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        // No document has one: whoever reads it finds the wrong type, and this says what it was.
        Value::OtherNumber | Value::Date => node.value.kind().into(),
        Value::Text(text) => (&**text).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Table(pairs) => pairs.iter().map(|(key, node)| (key.name.to_string(), json(node))).collect(),
    }
}
