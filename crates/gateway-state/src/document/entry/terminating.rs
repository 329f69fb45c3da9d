//! `terminating-gateway`: the services that it stands for. Its files are on its own disk; whoever is that
//! gateway reads them.

use super::super::{
    checked,
    cx::Cx,
    fields::{Fields, Located},
    mesh::FileRef,
    node::Node,
};
use mesh_id::{Namespace, ServiceName};
use std::{borrow::Cow, collections::HashSet, path::Path, sync::Arc};

/// One linked service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// `*` = every service of the namespace that is neither proxy nor gateway.
    pub(crate) name: Arc<str>,
    /// `None` = the entry's.
    pub(crate) namespace: Option<Arc<str>>,
    /// `None` = its instances are spoken to in clear.
    pub(crate) tls: Option<LinkTls>,
    /// `SNI` is set and without effect, because `CAFile` is not.
    pub(crate) idle_sni: bool,
    pub(crate) host_rewrite: bool,
    pub(crate) line: u32,
    /// `Entry[3].Services[1]`
    pub(crate) path: String,
}

/// TLS towards the instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkTls {
    pub(crate) ca: FileRef,
    /// `CertFile` and `KeyFile`.
    pub(crate) client: Option<(FileRef, FileRef)>,
    pub(crate) sni: Arc<str>,
}

const SERVICE: &[&str] =
    &["Name", "Namespace", "CAFile", "CertFile", "KeyFile", "SNI", "DisableAutoHostRewrite"];

pub(super) fn decode(node: Node<'_>, folder: &Path, cx: &mut Cx<'_>) -> Option<Box<[Link]>> {
    let mut fields = Fields::open_entry(node, &["Services"], cx)?;
    let mut links: Vec<Link> = Vec::new();
    let mut seen = HashSet::new();
    fields.list("Services", cx, |node, cx| {
        let Some(mut fields) = Fields::open(node, SERVICE, cx) else { return };
        let at = fields.at;
        let name = name(&mut fields, cx);
        let text = fields.filled_text("Namespace", cx);
        if let Some(text) = text.as_ref().filter(|text| text.value == "*") {
            cx.problem(
                text.at,
                "Namespace",
                "a namespace that services are linked from must be named, not \"*\"",
            );
            return;
        }
        let namespace = checked(text, "Namespace", Namespace::parse, cx);
        let has_sni = fields.has("SNI");
        let tls = tls(&mut fields, name.as_deref().unwrap_or_default(), folder, cx);
        let host_rewrite = !fields.flag("DisableAutoHostRewrite", cx).unwrap_or(false);
        let Some(name) = name else { return };
        if !seen.insert((name.clone(), namespace.clone())) {
            let message = format!("Service {name:?} was specified more than once within a namespace");
            cx.problem(at, "Name", message);
            return;
        }
        let (line, path) = (cx.line(at), cx.path().to_owned());
        let idle_sni = has_sni && tls.is_none();
        links.push(Link { name, namespace, tls, idle_sni, host_rewrite, line, path });
    });
    Some(links.into())
}

fn name(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Option<Arc<str>> {
    let before = cx.count();
    match fields.text("Name", cx) {
        Some(text) if text.value == "*" => Some(cx.shared("*")),
        Some(text) if text.value.is_empty() => {
            cx.problem(text.at, "Name", "Service name cannot be blank.");
            None
        }
        None if cx.count() == before => {
            fields.missing("Name", cx);
            None
        }
        text => checked(text, "Name", ServiceName::parse, cx),
    }
}

/// `CAFile` switches TLS on; without it the other two are refused and `SNI` is without effect.
fn tls(fields: &mut Fields<'_>, service: &str, folder: &Path, cx: &mut Cx<'_>) -> Option<LinkTls> {
    let ca = fields.filled_text("CAFile", cx);
    let cert = fields.filled_text("CertFile", cx);
    let key = fields.filled_text("KeyFile", cx);
    let sni = fields.filled_text("SNI", cx);
    if (cert.is_some() || key.is_some()) && [&ca, &cert, &key].iter().any(|file| file.is_none()) {
        let at = cert.as_ref().or(key.as_ref()).map_or(fields.at, |text| text.at);
        let message = format!(
            "Service {service:?} must have a CertFile, CAFile, and KeyFile specified for TLS origination"
        );
        cx.problem(at, if cert.is_some() { "CertFile" } else { "KeyFile" }, message);
        return None;
    }
    let ca = ca?;
    let file = |text: &Located<Cow<'_, str>>, key: &str, cx: &mut Cx<'_>| {
        let path = format!("{}.{key}", cx.path());
        FileRef::new(&text.value, text.at, path, folder, cx)
    };
    let ca = file(&ca, "CAFile", cx);
    let client = match (cert, key) {
        (Some(cert), Some(key)) => Some((file(&cert, "CertFile", cx), file(&key, "KeyFile", cx))),
        _ => None,
    };
    let sni = sni.map_or_else(|| Cow::Borrowed(""), |sni| sni.value);
    Some(LinkTls { ca, client, sni: cx.shared(&sni) })
}
