//! `proxy-defaults`: the protocol of services that have no `service-defaults`.

use super::super::{
    cx::Cx,
    fields::Fields,
    node::{Node, Value},
};
use std::sync::Arc;

const KEYS: &[&str] = &[
    "Config",
    "Mode",
    "TransparentProxy",
    "MutualTLSMode",
    "MeshGateway",
    "Expose",
    "AccessLogs",
    "EnvoyExtensions",
    "FailoverPolicy",
    "PrioritizeByLocality",
];

/// `Config.protocol`, lower-cased. What else `Config` has is the proxies' own.
pub(super) fn decode(node: Node<'_>, cx: &mut Cx<'_>) -> Option<Option<Arc<str>>> {
    let mut fields = Fields::open_entry(node, KEYS, cx)?;
    let mut protocol = None;
    fields.map("Config", cx, |key, node, cx| {
        if !key.value.eq_ignore_ascii_case("protocol") {
            return;
        }
        match &node.value {
            Value::Text(text) if text.is_empty() => {}
            Value::Text(text) => protocol = Some(cx.shared(&text.to_ascii_lowercase())),
            other => cx.problem(node.at, "", format!("expected text, found {}", other.kind())),
        }
    });
    Some(protocol)
}
