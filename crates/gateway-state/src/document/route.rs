//! `[[Route]]`: a name that is not of Consul's form, and where it leads.

use super::{Document, Place, address, cx::Cx, fields::Fields, node::Node};
use crate::target::Host;
use std::{collections::HashSet, sync::Arc};

#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Lower-cased, with its `*.` if it has one.
    pub(crate) sni: Arc<str>,
    pub(crate) to: Box<[(Host, u16)]>,
    line: u32,
    index: u32,
}

impl Document for Route {
    fn name(&self) -> String {
        format!("Route {}", self.sni)
    }

    fn place(&self) -> Place {
        Place { line: self.line, index: Some(self.index), table: "Route" }
    }
}

pub(super) fn decode(node: Node<'_>, place: Place, cx: &mut Cx<'_>) -> Result<Route, Option<String>> {
    let mut fields = Fields::open(node, &["SNI", "To"], cx).ok_or(None)?;
    let at = fields.at;
    let sni: Option<Arc<str>> = fields.required_text("SNI", cx).and_then(|text| {
        let lower = text.value.to_ascii_lowercase();
        match mesh_id::is_valid_sni_host(lower.strip_prefix("*.").unwrap_or(&lower)) {
            Ok(()) => Some(lower.into()),
            Err(error) => {
                let message = format!("{:?} is no name with at most one leading \"*.\": {error}", text.value);
                cx.problem(text.at, "SNI", message);
                None
            }
        }
    });
    let before = cx.count();
    let mut to: Vec<(Host, u16)> = Vec::new();
    let mut seen = HashSet::new();
    fields.list("To", cx, |node, cx| {
        let read = match &node.value {
            super::node::Value::Text(text) => address::host_port(text, None),
            other => Err(format!("expected text, found {}", other.kind())),
        };
        match read {
            Ok(address) if !seen.insert(address.clone()) => {
                cx.problem(node.at, "", "this address is listed twice");
            }
            Ok(address) => to.push(address),
            Err(message) => cx.problem(node.at, "", message),
        }
    });
    if to.is_empty() && cx.count() == before {
        cx.problem(at, "To", "missing; it must list at least one \"address:port\"");
    }
    let sni = sni.ok_or(None)?;
    Ok(Route { sni, to: to.into(), line: place.line, index: place.index.unwrap_or(0) })
}
