//! `terminating-gateway`: the services that it stands for. Its files are on its own disk and are not
//! looked at here.

use super::super::{checked, cx::Cx, fields::Fields, node::Node};
use mesh_id::{Namespace, ServiceName};
use std::{collections::HashSet, sync::Arc};

/// One linked service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    /// `*` = every service of the namespace that is neither proxy nor gateway.
    pub(crate) name: Arc<str>,
    /// `None` = the entry's.
    pub(crate) namespace: Option<Arc<str>>,
}

const SERVICE: &[&str] =
    &["Name", "Namespace", "CAFile", "CertFile", "KeyFile", "SNI", "DisableAutoHostRewrite"];

pub(super) fn decode(node: Node<'_>, cx: &mut Cx<'_>) -> Option<Box<[Link]>> {
    let mut fields = Fields::open_entry(node, &["Services"], cx)?;
    let mut links: Vec<Link> = Vec::new();
    let mut seen = HashSet::new();
    fields.list("Services", cx, |node, cx| {
        let Some(mut fields) = Fields::open(node, SERVICE, cx) else { return };
        let at = fields.at;
        let text = fields.required_text("Name", cx);
        let name = match text {
            Some(text) if text.value == "*" => Some(cx.shared("*")),
            text => checked(text, "Name", ServiceName::parse, cx),
        };
        let text = fields.filled_text("Namespace", cx);
        let namespace = checked(text, "Namespace", Namespace::parse, cx);
        for key in ["CAFile", "CertFile", "KeyFile", "SNI"] {
            fields.text(key, cx);
        }
        fields.flag("DisableAutoHostRewrite", cx);
        let Some(name) = name else { return };
        let link = Link { name, namespace };
        if seen.insert(link.clone()) {
            links.push(link);
        } else {
            cx.problem(at, "Name", format!("service {:?} is linked twice", link.name));
        }
    });
    Some(links.into())
}
