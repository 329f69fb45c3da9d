//! Which intentions were written, told by the lists that show them all: so that only those are read again.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, hash_map::RandomState},
    hash::BuildHasher,
};

/// What a list says about each destination.
#[derive(Debug, Default)]
pub(super) struct Written {
    hasher: RandomState,
    /// Fingerprints by destination; `None` before the first list.
    known: Option<BTreeMap<Box<str>, u64>>,
}

/// Destinations whose intentions are others than before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// A wildcard is among them.
    All,
    These(BTreeSet<Box<str>>),
}

impl Written {
    /// Takes in a list of config entries (`config/`, `config/service-intentions`).
    pub(super) fn entries(&mut self, body: &[u8]) -> Touched {
        let rows = rows(body);
        self.take(rows.iter().filter(|row| row["Kind"] == "service-intentions"), "Name")
    }

    /// Takes in a list of intentions (`connect/intentions`).
    pub(super) fn intentions(&mut self, rows: &[Value]) -> Touched {
        self.take(rows.iter(), "DestinationName")
    }

    fn take<'a>(&mut self, rows: impl Iterator<Item = &'a Value>, destination: &str) -> Touched {
        let mut texts = BTreeMap::<Box<str>, String>::new();
        for row in rows {
            let name = row[destination].as_str().unwrap_or_default();
            texts.entry(name.into()).or_default().push_str(&row.to_string());
        }
        let now: BTreeMap<_, _> =
            texts.into_iter().map(|(name, text)| (name, self.hasher.hash_one(text))).collect();
        // What was read before the first list may have been written in between.
        let Some(before) = self.known.replace(now) else { return Touched::All };
        let now = self.known.get_or_insert_default();
        let names = before.keys().chain(now.keys());
        let touched: BTreeSet<_> =
            names.filter(|name| before.get(*name) != now.get(*name)).cloned().collect();
        // A name that nobody can read may be a wildcard, too.
        if touched.iter().any(|name| name.is_empty() || &**name == "*") {
            Touched::All
        } else {
            Touched::These(touched)
        }
    }
}

fn rows(body: &[u8]) -> Vec<Value> {
    // Whether it is a list was looked at when it came.
    serde_json::from_slice::<Option<Vec<Value>>>(body).ok().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(names: &[&str]) -> Touched {
        Touched::These(names.iter().map(|name| Box::from(*name)).collect())
    }

    fn entry(name: &str, action: &str) -> String {
        format!(
            r#"{{"Kind":"service-intentions","Name":"{name}","Sources":[{{"Name":"web","Action":"{action}"}}]}}"#
        )
    }

    fn list(entries: &[String]) -> Vec<u8> {
        format!("[{}]", entries.join(",")).into_bytes()
    }

    #[test]
    fn only_what_was_written_is_touched() {
        let mut written = Written::default();
        let (a, b) = (entry("a", "allow"), entry("b", "allow"));
        let other = r#"{"Kind":"service-defaults","Name":"a","Protocol":"http"}"#.to_owned();
        assert_eq!(written.entries(&list(&[a.clone(), b.clone()])), Touched::All, "the first one");
        assert_eq!(written.entries(&list(&[other, b.clone(), a])), these(&[]), "not an intention");
        assert_eq!(written.entries(&list(&[entry("a", "deny"), b.clone()])), these(&["a"]));
        assert_eq!(written.entries(&list(&[b, entry("c", "deny")])), these(&["a", "c"]), "gone and new");
        assert_eq!(written.entries(b"null"), these(&["b", "c"]));
    }

    #[test]
    fn a_wildcard_concerns_everybody() {
        let mut written = Written::default();
        written.entries(b"[]");
        assert_eq!(written.entries(&list(&[entry("*", "deny")])), Touched::All);
        assert_eq!(written.entries(&list(&[entry("*", "deny"), entry("a", "deny")])), these(&["a"]));
        assert_eq!(written.entries(&list(&[entry("a", "deny")])), Touched::All);
        assert_eq!(written.entries(br#"[{"Kind":"service-intentions","Name":7}]"#), Touched::All);
    }

    #[test]
    fn the_flat_list_of_older_versions() {
        let mut written = Written::default();
        let row = |source: &str, destination: &str| serde_json::json!({"SourceName": source, "DestinationName": destination, "Action": "allow"});
        written.intentions(&[row("web", "a"), row("api", "a"), row("web", "b")]);
        assert_eq!(written.intentions(&[row("web", "a"), row("web", "b")]), these(&["a"]));
        assert_eq!(written.intentions(&[row("web", "a"), row("web", "*")]), Touched::All);
    }
}
