//! `[[Leaf]]`, `[[Server]]`, `[[Peer]]`: what other parts of a mesh need. A catalog describes a whole
//! datacenter, so they are checked by their form here and kept by name.

use super::{
    Document, Place, address, checked,
    cx::Cx,
    fields::Fields,
    mesh::{FileRef, file_refs},
    node::Node,
};
use mesh_id::{Datacenter, Partition, PeerName, ServiceName, TrustDomain};
use std::{path::Path, sync::Arc};

/// An identity that some gateway presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) service: Arc<str>,
    pub(crate) cert: FileRef,
    pub(crate) key: FileRef,
    place: Place,
}

/// A Consul server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    name: Arc<str>,
    datacenter: Option<Arc<str>>,
    place: Place,
}

/// A cluster that this one peers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    name: Arc<str>,
    pub(crate) roots: Vec<FileRef>,
    place: Place,
}

impl Document for Leaf {
    fn name(&self) -> String {
        format!("Leaf {}", self.service)
    }

    fn place(&self) -> Place {
        self.place
    }
}

impl Document for Server {
    fn name(&self) -> String {
        match &self.datacenter {
            Some(datacenter) => format!("Server {} in {datacenter}", self.name),
            None => format!("Server {}", self.name),
        }
    }

    fn place(&self) -> Place {
        self.place
    }
}

impl Document for Peer {
    fn name(&self) -> String {
        format!("Peer {}", self.name)
    }

    fn place(&self) -> Place {
        self.place
    }
}

pub(super) fn leaf(
    node: Node<'_>,
    place: Place,
    folder: &Path,
    cx: &mut Cx<'_>,
) -> Result<Leaf, Option<String>> {
    let mut fields = Fields::open(node, &["Service", "CertFile", "KeyFile"], cx).ok_or(None)?;
    let text = fields.required_text("Service", cx);
    let service = checked(text, "Service", ServiceName::parse, cx).ok_or(None)?;
    let mut file = |key: &'static str, cx: &mut Cx<'_>| {
        let text = fields.required_text(key, cx)?;
        Some(FileRef::new(&text.value, text.at, format!("{}.{key}", place.path()), folder, cx))
    };
    let (cert, key) = (file("CertFile", cx), file("KeyFile", cx));
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Leaf { service, cert, key, place }),
        _ => Err(Some(format!("Leaf {service}"))),
    }
}

pub(super) fn server(node: Node<'_>, place: Place, cx: &mut Cx<'_>) -> Result<Server, Option<String>> {
    let keys = &["Name", "Address", "GrpcTLSAddress", "Datacenter"];
    let mut fields = Fields::open(node, keys, cx).ok_or(None)?;
    let name: Option<Arc<str>> = fields.required_text("Name", cx).map(|name| name.value.into());
    for (key, required) in [("Address", true), ("GrpcTLSAddress", false)] {
        let text = if required { fields.required_text(key, cx) } else { fields.filled_text(key, cx) };
        if let Some(text) = text
            && let Err(message) = address::host_port(&text.value, None)
        {
            cx.problem(text.at, key, message);
        }
    }
    let text = fields.filled_text("Datacenter", cx);
    let datacenter = checked(text, "Datacenter", Datacenter::parse, cx);
    Ok(Server { name: name.ok_or(None)?, datacenter, place })
}

pub(super) fn peer(
    node: Node<'_>,
    place: Place,
    folder: &Path,
    cx: &mut Cx<'_>,
) -> Result<Peer, Option<String>> {
    let keys = &["Name", "TrustDomain", "Roots", "PartitionOfPeer", "ServerName", "ServerAddresses"];
    let mut fields = Fields::open(node, keys, cx).ok_or(None)?;
    let text = fields.required_text("Name", cx);
    let name = checked(text, "Name", PeerName::parse, cx);
    let text = fields.required_text("TrustDomain", cx);
    checked(text, "TrustDomain", TrustDomain::parse, cx);
    let text = fields.filled_text("PartitionOfPeer", cx);
    checked(text, "PartitionOfPeer", Partition::parse, cx);
    let text = fields.filled_text("ServerName", cx);
    checked(text, "ServerName", mesh_id::is_valid_sni_host, cx);
    let roots = file_refs(&mut fields, "Roots", &place.path(), folder, cx);
    fields.list("ServerAddresses", cx, |node, cx| {
        let read = match &node.value {
            super::node::Value::Text(text) => address::host_port(text, None).map(drop),
            other => Err(format!("expected text, found {}", other.kind())),
        };
        if let Err(message) = read {
            cx.problem(node.at, "", message);
        }
    });
    Ok(Peer { name: name.ok_or(None)?, roots, place })
}
