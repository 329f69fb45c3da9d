//! A table being decoded: each key is known or a problem, each value is of its type or a problem.
//!
//! Nothing stops at the first mistake. A getter that finds one reports it and answers as if the key
//! were absent; whoever decodes a document looks at the count of problems in the end.

use super::{
    cx::Cx,
    node::{Node, Value, same_key},
};
use catalog_client::duration;
use std::{borrow::Cow, collections::HashSet, ops::RangeInclusive, time::Duration};

/// Keys that Consul itself writes into every config entry, and fields that all kinds have.
pub(super) const OF_EVERY_ENTRY: &[&str] = &[
    "Kind",
    "Name",
    "Namespace",
    "Partition",
    "Meta",
    "CreateIndex",
    "ModifyIndex",
    "Hash",
    "EnterpriseMeta",
];

/// A table, key by key.
pub(crate) struct Fields<'a> {
    /// Where the table starts.
    pub(crate) at: usize,
    entries: Vec<(&'static str, Node<'a>)>,
    /// Keys that unknown ones were probably meant to be.
    meant: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Takes a table apart. `None`, and a problem, if it is something else.
    pub(crate) fn open(node: Node<'a>, known: &'static [&'static str], cx: &mut Cx<'_>) -> Option<Self> {
        Self::open_with(node, known, &[], cx)
    }

    /// As [`Self::open`], for a config entry.
    pub(crate) fn open_entry(
        node: Node<'a>,
        known: &'static [&'static str],
        cx: &mut Cx<'_>,
    ) -> Option<Self> {
        Self::open_with(node, known, OF_EVERY_ENTRY, cx)
    }

    fn open_with(
        node: Node<'a>,
        known: &'static [&'static str],
        more: &'static [&'static str],
        cx: &mut Cx<'_>,
    ) -> Option<Self> {
        let Value::Table(pairs) = node.value else {
            cx.problem(node.at, "", format!("expected a table, found {}", node.value.kind()));
            return None;
        };
        let mut entries: Vec<(&'static str, Node<'a>)> = Vec::with_capacity(pairs.len());
        let mut meant = Vec::new();
        for (key, value) in pairs {
            let all = || known.iter().chain(more).copied();
            let Some(name) =
                all().find(|name| *name == key.name).or_else(|| all().find(|name| same_key(name, &key.name)))
            else {
                if cx.lenient {
                    continue;
                }
                let hint = nearest(&key.name, all());
                meant.extend(hint);
                cx.problem_with_hint(key.at, &key.name, "unknown key", hint.map(str::to_owned));
                continue;
            };
            if entries.iter().any(|(known, _)| *known == name) {
                cx.problem(key.at, name, "this key is already set");
            } else if !matches!(value.value, Value::Null) {
                entries.push((name, value));
            }
        }
        Some(Self { at: node.at, entries, meant })
    }

    /// The value of a key, if it is set.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        let position = self.entries.iter().position(|(name, _)| *name == key)?;
        Some(self.entries.swap_remove(position).1)
    }

    /// Whether a key is set and not empty.
    pub(crate) fn has(&self, key: &str) -> bool {
        let is_empty = |node: &Node<'_>| matches!(&node.value, Value::Text(text) if text.is_empty());
        self.entries.iter().any(|(name, node)| *name == key && !is_empty(node))
    }

    pub(crate) fn text(&mut self, key: &'static str, cx: &mut Cx<'_>) -> Option<Located<Cow<'a, str>>> {
        let node = self.take(key)?;
        match node.value {
            Value::Text(value) => Some(Located { at: node.at, value }),
            other => wrong_type(node.at, key, "text", &other, cx),
        }
    }

    /// Text that must be there and not be empty.
    pub(crate) fn required_text(
        &mut self,
        key: &'static str,
        cx: &mut Cx<'_>,
    ) -> Option<Located<Cow<'a, str>>> {
        let before = cx.count();
        match self.text(key, cx) {
            Some(text) if text.value.is_empty() => cx.problem(text.at, key, "must not be empty"),
            Some(text) => return Some(text),
            None if cx.count() == before => self.missing(key, cx),
            None => {}
        }
        None
    }

    /// Reports that a key must be set, unless it was meant by one that is mistyped.
    pub(crate) fn missing(&self, key: &'static str, cx: &mut Cx<'_>) {
        if !self.meant.contains(&key) {
            cx.problem(self.at, key, "missing; it must be set");
        }
    }

    /// Text that means the same as no text when it is empty, as in everything Consul writes.
    pub(crate) fn filled_text(
        &mut self,
        key: &'static str,
        cx: &mut Cx<'_>,
    ) -> Option<Located<Cow<'a, str>>> {
        self.text(key, cx).filter(|text| !text.value.is_empty())
    }

    pub(crate) fn flag(&mut self, key: &'static str, cx: &mut Cx<'_>) -> Option<bool> {
        let node = self.take(key)?;
        match node.value {
            Value::Bool(flag) => Some(flag),
            other => wrong_type(node.at, key, "true or false", &other, cx),
        }
    }

    pub(crate) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
        cx: &mut Cx<'_>,
    ) -> Option<i64> {
        let node = self.take(key)?;
        match node.value {
            Value::Int(number) if range.contains(&number) => Some(number),
            Value::Int(number) => {
                let (low, high) = (range.start(), range.end());
                cx.problem(node.at, key, format!("{number} is not between {low} and {high}"));
                None
            }
            other => wrong_type(node.at, key, "a whole number", &other, cx),
        }
    }

    /// A duration that is not negative.
    pub(crate) fn duration(&mut self, key: &'static str, cx: &mut Cx<'_>) -> Option<Duration> {
        let node = self.take(key)?;
        let read = match &node.value {
            Value::Text(text) => duration::parse(text),
            Value::Int(nanos) => u64::try_from(*nanos).map(Duration::from_nanos).ok(),
            other => return wrong_type(node.at, key, "a duration such as \"1m30s\"", other, cx),
        };
        if read.is_none() {
            cx.problem(node.at, key, "expected a duration such as \"5s\" or \"1m30s\", not negative");
        }
        read
    }

    /// A table inside; what is wrong in it is reported below `key`.
    pub(crate) fn table<T>(
        &mut self,
        key: &'static str,
        known: &'static [&'static str],
        cx: &mut Cx<'_>,
        inner: impl FnOnce(Fields<'a>, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let node = self.take(key)?;
        cx.below(key, |cx| Some(inner(Fields::open(node, known, cx)?, cx)))
    }

    /// The elements of a list; what is wrong in one is reported below its position.
    pub(crate) fn list(
        &mut self,
        key: &'static str,
        cx: &mut Cx<'_>,
        mut each: impl FnMut(Node<'a>, &mut Cx<'_>),
    ) {
        let Some(node) = self.take(key) else { return };
        match node.value {
            Value::List(items) => cx.below(key, |cx| {
                for (index, item) in items.into_iter().enumerate() {
                    cx.below(index, |cx| each(item, cx));
                }
            }),
            other => {
                wrong_type::<()>(node.at, key, "a list", &other, cx);
            }
        }
    }

    pub(crate) fn texts(&mut self, key: &'static str, cx: &mut Cx<'_>) -> Vec<Located<Cow<'a, str>>> {
        let mut texts = Vec::new();
        self.list(key, cx, |node, cx| match node.value {
            Value::Text(value) => texts.push(Located { at: node.at, value }),
            other => {
                wrong_type::<()>(node.at, "", "text", &other, cx);
            }
        });
        texts
    }

    /// A table whose keys are names that the user chose.
    pub(crate) fn map(
        &mut self,
        key: &'static str,
        cx: &mut Cx<'_>,
        mut each: impl FnMut(Located<Cow<'a, str>>, Node<'a>, &mut Cx<'_>),
    ) {
        let Some(node) = self.take(key) else { return };
        match node.value {
            Value::Table(pairs) => cx.below(key, |cx| {
                let mut seen = HashSet::new();
                for (key, value) in pairs {
                    if !seen.insert(key.name.clone()) {
                        cx.problem(key.at, &key.name, "this key is already set");
                        continue;
                    }
                    let name = key.name.clone().into_owned();
                    let located = Located { at: key.at, value: key.name };
                    cx.below(name.as_str(), |cx| each(located, value, cx));
                }
            }),
            other => {
                wrong_type::<()>(node.at, key, "a table", &other, cx);
            }
        }
    }

    pub(crate) fn text_map(&mut self, key: &'static str, cx: &mut Cx<'_>) -> Box<[(Box<str>, Box<str>)]> {
        let mut pairs: Vec<(Box<str>, Box<str>)> = Vec::new();
        self.map(key, cx, |name, node, cx| match node.value {
            Value::Text(text) => pairs.push((name.value.into(), text.into())),
            other => {
                wrong_type::<()>(node.at, "", "text", &other, cx);
            }
        });
        pairs.sort();
        pairs.into()
    }

    /// A table of which only the keys are looked at.
    pub(crate) fn known_only(&mut self, key: &'static str, known: &'static [&'static str], cx: &mut Cx<'_>) {
        self.table(key, known, cx, |_, _| ());
    }
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) at: usize,
    pub(crate) value: T,
}

fn wrong_type<T>(at: usize, key: &str, expected: &str, found: &Value<'_>, cx: &mut Cx<'_>) -> Option<T> {
    cx.problem(at, key, format!("expected {expected}, found {}", found.kind()));
    None
}

/// The known word that was probably meant: few letters differ, in proportion to the length.
pub(crate) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // Words of that length are no typing mistakes, and comparing costs the square of it.
    if word.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
    let word = plain(word);
    known
        .map(|name| (strsim::damerau_levenshtein(&word, &plain(name)), name))
        .filter(|(distance, name)| *distance <= (name.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
