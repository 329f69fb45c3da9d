//! `service-intentions`: read by the crate that judges by them. What cannot be understood denies, so such an
//! entry is in use and wrong at the same time.
//!
//! Answers of a newer Consul may have keys that nobody here knows; in files they are mistakes, as everywhere
//! else. Nobody can tell what the writer meant by one, so the row denies, and the whole entry if it is one of the
//! entry's own keys.

use super::{
    super::{
        cx::Cx,
        fields::nearest,
        node::{Node, Value, same_key},
    },
    Head, fields,
};
use intentions::{Intention, IntentionDestination, IntentionSource, Pattern, Rule, from_config_entry};
use mesh_id::Namespace;
use serde_json::Value as Json;
use std::{collections::BTreeSet, sync::Arc};

/// The intentions of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intentions {
    pub(crate) rows: Vec<Arc<Intention>>,
    /// Some of it was not understood and denies.
    pub(crate) wrong: bool,
}

const KEYS: &[&str] = &["Sources", "JWT"];
const SOURCE: &[&str] = &[
    "Name",
    "Namespace",
    "Partition",
    "Peer",
    "SamenessGroup",
    "Action",
    "Permissions",
    "Precedence",
    "Type",
    "Description",
    "LegacyID",
    "LegacyMeta",
    "LegacyCreateTime",
    "LegacyUpdateTime",
];

/// The rule of a row that has a key which is not known: none, so that the row is not understood.
const NO_ACTION: &str = "none: the row has a key that is not known";

pub(super) fn decode(node: &Node<'_>, name: &str, head: &Head, cx: &mut Cx<'_>) -> Intentions {
    let known = fields::OF_EVERY_ENTRY.iter().chain(KEYS);
    let mut unknown = false;
    for (key, _) in pairs(node) {
        if !known.clone().any(|name| same_key(name, &key.name)) {
            let hint = nearest(&key.name, known.clone().copied()).map(str::to_owned);
            let message = "unknown key; until that is mended nobody may call the service";
            cx.problem_with_hint(key.at, &key.name, message, hint);
            unknown = true;
        }
    }
    if unknown {
        return nobody(name, head, "the entry has a key that is not known");
    }
    let mut document = json(node);
    let wrong_rows = unknown_in_rows(node, &mut document, cx);
    match from_config_entry(&document) {
        Ok(parsed) => {
            for problem in &parsed.problems {
                // `Sources[0]`, or with more behind it: `Sources[0] web => billing (precedence 9)`.
                let (place, who) = problem.place.split_once(' ').unwrap_or((&problem.place, ""));
                // What was said already, with the key.
                if wrong_rows.contains(place) {
                    continue;
                }
                let text = problem.to_string();
                let what = text.strip_prefix(&problem.place).unwrap_or(&text).trim_start_matches(": ");
                let colon = if who.is_empty() { "" } else { ": " };
                cx.problem(line_of(node, place), place, format!("{who}{colon}{what}"));
            }
            let wrong = !parsed.problems.is_empty();
            Intentions { rows: parsed.intentions, wrong }
        }
        Err(error) => {
            cx.problem(node.at, "", format!("{error}; until that is mended nobody may call the service"));
            nobody(name, head, &error.to_string())
        }
    }
}

/// One row that covers every caller and denies.
fn nobody(name: &str, head: &Head, why: &str) -> Intentions {
    let destination = IntentionDestination {
        name: Pattern::new(name),
        namespace: Pattern::new(head.namespace.as_deref().unwrap_or(Namespace::DEFAULT)),
        partition: head.partition.as_deref().map(Into::into),
    };
    let row = Intention {
        source: IntentionSource::NotUnderstood,
        precedence: if destination.name == Pattern::Any { 6 } else { 9 },
        destination,
        rule: Rule::NotUnderstood(why.into()),
        jwt: None,
    };
    Intentions { rows: vec![Arc::new(row)], wrong: true }
}

/// Reports keys of rows that are not known, and takes the rule of such rows away. Answers with their places.
fn unknown_in_rows(node: &Node<'_>, document: &mut Json, cx: &mut Cx<'_>) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    for (key, sources) in pairs(node).filter(|(key, _)| same_key("Sources", &key.name)) {
        let Value::List(sources) = &sources.value else { continue };
        for (index, source) in sources.iter().enumerate() {
            let unknown =
                pairs(source).filter(|(key, _)| !SOURCE.iter().any(|name| same_key(name, &key.name)));
            let place = format!("Sources[{index}]");
            for (key, _) in unknown {
                let hint = nearest(&key.name, SOURCE.iter().copied()).map(str::to_owned);
                let at = format!("{place}.{}", key.name);
                cx.problem_with_hint(key.at, &at, "unknown key; what the row covers is denied", hint);
                wrong.insert(place.clone());
            }
            if wrong.contains(&place)
                && let Some(Json::Object(row)) =
                    document.get_mut(&*key.name).and_then(|sources| sources.get_mut(index))
            {
                row.retain(|key, _| !["Action", "Permissions"].iter().any(|name| same_key(name, key)));
                row.insert("Action".to_owned(), NO_ACTION.into());
            }
        }
    }
    wrong
}

/// Where the row of a place such as `Sources[3]` starts; else where the entry does.
fn line_of(entry: &Node<'_>, place: &str) -> usize {
    let index = place.strip_prefix("Sources[").and_then(|rest| rest.split(']').next()?.parse::<usize>().ok());
    let sources = pairs(entry).find(|(key, _)| same_key("Sources", &key.name)).map(|(_, node)| &node.value);
    match (index, sources) {
        (Some(index), Some(Value::List(rows))) => rows.get(index).map_or(entry.at, |row| row.at),
        _ => entry.at,
    }
}

fn pairs<'n, 't>(
    node: &'n Node<'t>,
) -> impl Iterator<Item = (&'n super::super::node::Key<'t>, &'n Node<'t>)> {
    let pairs = match &node.value {
        Value::Table(pairs) => pairs.as_slice(),
        _ => &[],
    };
    pairs.iter().map(|(key, value)| (key, value))
}

fn json(node: &Node<'_>) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        // No document has one: whoever reads it finds the wrong type, and this says what it was.
        Value::OtherNumber | Value::Date => node.value.kind().into(),
        Value::Text(text) => (&**text).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Table(pairs) => pairs.iter().map(|(key, node)| (key.name.to_string(), json(node))).collect(),
    }
}
