//! Sets at random, from few names, so that rules meet each other.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::model::{Header, Permission, Request, Row, Rule};

pub(crate) fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(row(), 0..12)
}

fn one_in(count: u32) -> impl Strategy<Value = bool> {
    (0..count).prop_map(|number| number == 0)
}

fn row() -> impl Strategy<Value = Row> {
    let source = (
        select(vec!["default", "default", "team", "*"]),
        select(vec!["web", "web", "cron", "a.b", "*"]),
        select(vec![None, None, None, Some("default"), Some("part1")]),
        select(vec![None, None, None, Some("peer1"), Some("peer2"), Some("unknown")]),
        one_in(25),
    );
    let destination = (
        select(vec!["default", "default", "default", "team", "*"]),
        select(vec!["api", "api", "*", "other"]),
        select(vec![None, None, Some("default"), Some("part1")]),
    );
    (source, destination, rule(), one_in(12), any::<bool>()).prop_map(
        |((source_ns, source, source_partition, peer, odd_source), destination, rule, jwt, numbered)| {
            let (destination_ns, destination, destination_partition) = destination;
            Row {
                // Consul has no single name in all namespaces.
                source_ns,
                source: if source_ns == "*" { "*" } else { source },
                source_partition: source_partition.filter(|_| peer.is_none()),
                peer,
                destination_ns,
                destination: if destination_ns == "*" { "*" } else { destination },
                destination_partition,
                rule,
                jwt,
                numbered,
                odd_source,
            }
        },
    )
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        4 => Just(Rule::Allow),
        4 => Just(Rule::Deny),
        1 => Just(Rule::Unknown),
        6 => prop::collection::vec(permission(), 1..4).prop_map(Rule::Permissions),
    ]
}

fn permission() -> impl Strategy<Value = Permission> {
    (
        select(vec!["allow", "allow", "allow", "deny", "deny", "audit"]),
        prop::option::of(select(vec![
            ("PathExact", "/a"),
            ("PathExact", "/v1"),
            ("PathPrefix", "/"),
            ("PathPrefix", "/a"),
            ("PathRegex", "/v[12]"),
            ("PathRegex", "/a.*"),
            ("PathRegex", "("),
        ])),
        prop::collection::vec(select(vec!["GET", "POST", "HEAD"]), 0..2),
        prop::collection::vec(header(), 0..2),
        one_in(10),
        one_in(15),
    )
        .prop_map(|(action, path, methods, headers, jwt, odd)| Permission {
            action,
            path,
            methods,
            headers,
            jwt,
            odd,
        })
}

fn header() -> impl Strategy<Value = Header> {
    (
        select(vec!["x-role", "x-debug"]),
        select(vec!["Present", "Exact", "Prefix", "Suffix", "Contains", "Regex"]),
        select(vec!["ops", "Ops", "o", "s", "dev,ops", "p"]),
        select(vec!["o.s", "o.s", "o.s", "("]),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(name, test, value, pattern, ignore_case, invert)| Header {
            name,
            test,
            value: if test == "Regex" { pattern } else { value },
            ignore_case,
            invert,
        })
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let value: Vec<&'static [u8]> =
        vec![b"ops", b"OPS", b" ops\t", b"dev", b"", b"dev,ops", b"\xffops", b"o\xffs", b"p"];
    (
        select(vec!["GET", "POST", "PUT", "get"]),
        select(vec!["/", "/a", "/a/b", "/v1", "/v2", "/v1?/a", "/v3"]),
        prop::collection::vec((select(vec!["x-role", "x-debug"]), select(value)), 0..3),
    )
        .prop_map(|(method, path, headers)| Request { method, path, headers })
}

/// What can be written into a good row so that its rule is not understood.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Nonsense {
    Action,
    ActionBesidePermissions,
    PermissionsOfAnotherType,
    NoPermission,
    Source,
}

pub(crate) fn nonsense() -> impl Strategy<Value = Nonsense> {
    use Nonsense::*;
    select(vec![Action, ActionBesidePermissions, PermissionsOfAnotherType, NoPermission, Source])
}

impl Nonsense {
    pub(crate) fn spoil(self, row: &mut Value) {
        match self {
            Self::Action => {
                row["Action"] = "open".into();
                row["Permissions"] = Value::Null;
            }
            Self::ActionBesidePermissions => {
                row["Action"] = "deny".into();
                row["Permissions"] = json!([{"Action": "allow", "HTTP": {"PathPrefix": "/"}}]);
            }
            Self::PermissionsOfAnotherType => row["Permissions"] = json!({"PathPrefix": "/"}),
            Self::NoPermission => {
                row["Action"] = Value::Null;
                row["Permissions"] = Value::Null;
            }
            Self::Source => row["SourceName"] = json!(["web"]),
        }
    }
}
