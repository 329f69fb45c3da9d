//! Config entries, as Consul writes them.
//!
//! What a gateway of this crate decides on is decoded strictly. An entry of another kind is some other
//! gateway's business: it must be of a known kind and have its name, no more.

mod defaults;
mod intentions;
mod mesh;
mod proxy;
mod resolver;
mod terminating;

use super::{Document, Place, checked, cx::Cx, fields, node::Node, node::Value};
pub(crate) use defaults::{Destination, ServiceDefaults};
pub(crate) use intentions::Intentions;
pub(crate) use mesh::MeshOptions;
use mesh_id::{Namespace, Partition};
pub(crate) use resolver::{Choice, Resolver, Subset};
use std::{path::Path, sync::Arc};
pub(crate) use terminating::{Link, LinkTls};

/// One config entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: &'static str,
    pub(crate) name: Arc<str>,
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) partition: Option<Arc<str>>,
    pub(crate) body: Body,
    pub(crate) place: Place,
}

/// What an entry says, as far as a gateway listens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Resolver(Arc<Resolver>),
    Defaults(Arc<ServiceDefaults>),
    /// The protocol of services without `service-defaults`.
    Proxy(Option<Arc<str>>),
    Mesh(Arc<MeshOptions>),
    Intentions(Arc<Intentions>),
    /// The services that a terminating gateway stands for.
    Terminating(Box<[Link]>),
    Other,
}

/// Every kind that Consul has.
const KINDS: &[&str] = &[
    "api-gateway",
    "bound-api-gateway",
    "control-plane-request-limit",
    "exported-services",
    "file-system-certificate",
    "http-route",
    "ingress-gateway",
    "inline-certificate",
    "jwt-provider",
    "mesh",
    "proxy-defaults",
    "sameness-group",
    "service-defaults",
    "service-intentions",
    "service-resolver",
    "service-router",
    "service-splitter",
    "tcp-route",
    "terminating-gateway",
];

impl Document for Entry {
    fn name(&self) -> String {
        document_name(self.kind, &self.name, self.namespace.as_deref(), self.partition.as_deref())
    }

    fn place(&self) -> Place {
        self.place
    }

    fn denies(&self) -> bool {
        matches!(&self.body, Body::Intentions(intentions) if intentions.wrong)
    }
}

fn document_name(kind: &str, name: &str, namespace: Option<&str>, partition: Option<&str>) -> String {
    let in_namespace = namespace.filter(|name| *name != Namespace::DEFAULT);
    let in_partition = partition.filter(|name| *name != Partition::DEFAULT);
    let mut text = format!("{kind} {name}");
    for (word, name) in [("namespace", in_namespace), ("partition", in_partition)] {
        if let Some(name) = name {
            text.push_str(&format!(" in {word} {name}"));
        }
    }
    text
}

pub(super) fn decode(
    node: Node<'_>,
    place: Place,
    folder: &Path,
    cx: &mut Cx<'_>,
) -> Result<Entry, Option<String>> {
    let head = head(&node, cx).ok_or(None)?;
    let name = match (head.name.clone(), head.kind) {
        // There is one of these in a partition, and Consul does not print its name.
        (None, "mesh") => "mesh".into(),
        (Some(name), _) => name,
        (None, _) => {
            cx.problem(node.at, "Name", "missing; it must be set");
            return Err(None);
        }
    };
    let fail = document_name(head.kind, &name, head.namespace.as_deref(), head.partition.as_deref());
    let body = match head.kind {
        "service-resolver" => resolver::decode(node, cx).map(|resolver| Body::Resolver(Arc::new(resolver))),
        "service-defaults" => defaults::decode(node, cx).map(|it| Body::Defaults(Arc::new(it))),
        "service-intentions" => Some(Body::Intentions(Arc::new(intentions::decode(&node, &name, &head, cx)))),
        "terminating-gateway" => terminating::decode(node, folder, cx).map(Body::Terminating),
        "mesh" => mesh::decode(node, cx).map(|options| Body::Mesh(Arc::new(options))),
        "proxy-defaults" if &*name != "global" => {
            cx.problem(node.at, "Name", "the name of proxy-defaults is always \"global\"");
            None
        }
        "proxy-defaults" => proxy::decode(node, cx).map(Body::Proxy),
        _ => Some(Body::Other),
    };
    let body = body.ok_or(Some(fail))?;
    Ok(Entry { kind: head.kind, name, namespace: head.namespace, partition: head.partition, body, place })
}

/// The kind that an entry says it is of, known or not.
pub(super) fn kind_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    let Value::Table(pairs) = &node.value else { return None };
    let (_, kind) = pairs.iter().find(|(name, _)| super::same_key("Kind", &name.name))?;
    match &kind.value {
        Value::Text(kind) => Some(kind),
        _ => None,
    }
}

/// What all kinds have.
struct Head {
    kind: &'static str,
    name: Option<Arc<str>>,
    namespace: Option<Arc<str>>,
    partition: Option<Arc<str>>,
}

/// Reads it without taking the entry apart, since what else is in it depends on the kind.
fn head(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Head> {
    let Value::Table(pairs) = &node.value else {
        cx.problem(node.at, "", format!("expected a config entry, found {}", node.value.kind()));
        return None;
    };
    let text = |key: &'static str, cx: &mut Cx<'_>| {
        let (_, node) = pairs.iter().find(|(name, _)| super::same_key(key, &name.name))?;
        match &node.value {
            Value::Text(text) if text.is_empty() => None,
            Value::Text(text) => Some(fields::Located { at: node.at, value: text.clone() }),
            Value::Null => None,
            other => {
                cx.problem(node.at, key, format!("expected text, found {}", other.kind()));
                None
            }
        }
    };
    let before = cx.count();
    let kind = text("Kind", cx);
    let name = text("Name", cx).map(|name| cx.shared(&name.value));
    let namespace = text("Namespace", cx);
    let partition = text("Partition", cx);
    let namespace = checked(namespace, "Namespace", Namespace::parse, cx);
    let partition = checked(partition, "Partition", Partition::parse, cx);
    let Some(kind) = kind else {
        if cx.count() == before {
            cx.problem(node.at, "Kind", "missing; it must be set");
        }
        return None;
    };
    let Some(known) = KINDS.iter().copied().find(|known| *known == kind.value) else {
        let hint = fields::nearest(&kind.value, KINDS.iter().copied()).map(str::to_owned);
        cx.problem_with_hint(kind.at, "Kind", format!("Consul has no kind {:?}", kind.value), hint);
        return None;
    };
    Some(Head { kind: known, name, namespace, partition })
}
