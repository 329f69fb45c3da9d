//! `[[Instance]]`: one row of Consul's health API, in short.

use super::{Document, Place, address, checked, cx::Cx, fields::Fields, node::Node};
use crate::{filter::Texts, snapshot::MeshIdentity, target::Host};
use mesh_id::{Datacenter, Namespace, Partition, PeerName, ServiceName};
use std::sync::Arc;

/// One instance. Ten thousand of them are normal, so what few have is behind one pointer.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// For a sidecar: the service that it serves.
    pub(crate) service: Arc<str>,
    pub(crate) id: Option<Arc<str>>,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) weights: Weights,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    pub(crate) native: bool,
    line: u32,
    index: u32,
    pub(crate) more: Option<Box<More>>,
}

/// What only some instances have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct More {
    pub(crate) node: Option<Arc<str>>,
    pub(crate) datacenter: Option<Arc<str>>,
    pub(crate) partition: Option<Arc<str>>,
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) peer: Option<Arc<str>>,
    /// Where other datacenters reach a gateway.
    pub(crate) wan: Option<(Host, u16)>,
    pub(crate) meta: Meta,
    pub(crate) tags: Box<[Box<str>]>,
}

/// Keys and values, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta(Box<[(Box<str>, Box<str>)]>);

impl Meta {
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value)
    }
}

/// The keys.
impl Texts for Meta {
    fn has(&self, text: &str) -> bool {
        self.value(text).is_some()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weights {
    pub(crate) passing: u16,
    pub(crate) warning: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An application, or an external service.
    Plain,
    ConnectProxy,
    MeshGateway,
    TerminatingGateway,
    IngressGateway,
}

impl Kind {
    const ALL: [Kind; 5] =
        [Kind::Plain, Kind::ConnectProxy, Kind::MeshGateway, Kind::TerminatingGateway, Kind::IngressGateway];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Plain => "",
            Kind::ConnectProxy => "connect-proxy",
            Kind::MeshGateway => "mesh-gateway",
            Kind::TerminatingGateway => "terminating-gateway",
            Kind::IngressGateway => "ingress-gateway",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Passing,
    Warning,
    /// Also an instance in maintenance.
    Critical,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Passing => "passing",
            Status::Warning => "warning",
            Status::Critical => "critical",
        }
    }
}

impl Instance {
    /// Some instance, for what depends on the form of instances only.
    pub(crate) fn any() -> Self {
        Self {
            service: "any".into(),
            id: None,
            host: Host::Ip(std::net::Ipv4Addr::LOCALHOST.into()),
            port: 1,
            weights: Weights { passing: 1, warning: 1 },
            kind: Kind::ConnectProxy,
            status: Status::Passing,
            native: false,
            line: 0,
            index: 0,
            more: None,
        }
    }

    pub(crate) fn datacenter(&self) -> Option<&Arc<str>> {
        self.more.as_ref()?.datacenter.as_ref()
    }

    pub(crate) fn partition(&self) -> Option<&Arc<str>> {
        self.more.as_ref()?.partition.as_ref()
    }

    pub(crate) fn namespace(&self) -> Option<&Arc<str>> {
        self.more.as_ref()?.namespace.as_ref()
    }

    pub(crate) fn peer(&self) -> Option<&Arc<str>> {
        self.more.as_ref()?.peer.as_ref()
    }

    /// Where other datacenters reach it: the WAN address, or else the address.
    pub(crate) fn wan(&self) -> (&Host, u16) {
        match self.more.as_ref().and_then(|more| more.wan.as_ref()) {
            Some((host, port)) => (host, *port),
            None => (&self.host, self.port),
        }
    }

    /// Whether only one of the two may exist: same id on the same node, or same address of the same
    /// service.
    pub(crate) fn same_as(&self, other: &Self, own: &MeshIdentity) -> bool {
        let scope = |it: &Self| {
            let datacenter = it.datacenter().unwrap_or(&own.datacenter).to_ascii_lowercase();
            let partition = it.partition().unwrap_or(&own.partition).to_ascii_lowercase();
            (datacenter, partition, it.peer().cloned())
        };
        let node = |it: &Self| it.more.as_ref().and_then(|more| more.node.clone());
        let address = |it: &Self| {
            let namespace = it.namespace().unwrap_or(&own.namespace).to_ascii_lowercase();
            (it.service.to_ascii_lowercase(), namespace, it.kind, it.host.clone(), it.port)
        };
        let same_id = self.id.is_some() && self.id == other.id && node(self) == node(other);
        (same_id || address(self) == address(other)) && scope(self) == scope(other)
    }
}

impl Document for Instance {
    fn name(&self) -> String {
        let node = self.more.as_ref().and_then(|more| more.node.as_ref());
        name(self.id.as_deref(), &self.service, node.map(|node| &**node), || {
            format!("{}:{}", self.host, self.port)
        })
    }

    fn place(&self) -> Place {
        Place { line: self.line, index: Some(self.index), table: "Instance" }
    }
}

fn name(id: Option<&str>, service: &str, node: Option<&str>, address: impl FnOnce() -> String) -> String {
    match (id, node) {
        (Some(id), Some(node)) => format!("Instance {id} on {node}"),
        (Some(id), None) => format!("Instance {id}"),
        (None, _) => format!("Instance {service} at {}", address()),
    }
}

const KEYS: &[&str] = &[
    "Service",
    "Kind",
    "Address",
    "Port",
    "ID",
    "Node",
    "Status",
    "Weights",
    "Meta",
    "Tags",
    "Native",
    "Datacenter",
    "Locality",
    "Peer",
    "WanAddress",
    "TaggedAddresses",
    "Namespace",
    "Partition",
];

pub(crate) fn decode(node: Node<'_>, place: Place, cx: &mut Cx<'_>) -> Result<Instance, Option<String>> {
    let mut fields = Fields::open(node, KEYS, cx).ok_or(None)?;
    let name_of_service = fields.required_text("Service", cx);
    let service = checked(name_of_service, "Service", ServiceName::parse, cx);
    let id: Option<Arc<str>> = fields.filled_text("ID", cx).map(|id| id.value.into());
    let on: Option<Arc<str>> = fields.filled_text("Node", cx).map(|node| cx.shared(&node.value));
    let kind = choice(&mut fields, "Kind", Kind::ALL, Kind::as_str, cx).unwrap_or(Kind::Plain);
    let status = status(&mut fields, cx);
    let weights = weights(&mut fields, cx);
    let host = fields.required_text("Address", cx).and_then(|text| {
        address::host(&text.value).map_err(|message| cx.problem(text.at, "Address", message)).ok()
    });
    let port = port(&mut fields, cx);
    let native = fields.flag("Native", cx).unwrap_or(false);
    let wan = wan(&mut fields, port, cx);
    let tags: Vec<Box<str>> = fields.texts("Tags", cx).into_iter().map(|tag| tag.value.into()).collect();
    let mut label = |key, parse: fn(&str) -> Result<(), mesh_id::NameError>, cx: &mut Cx<'_>| {
        let text = fields.filled_text(key, cx);
        checked(text, key, parse, cx)
    };
    let datacenter = label("Datacenter", |text| Datacenter::parse(text).map(drop), cx);
    let partition = label("Partition", |text| Partition::parse(text).map(drop), cx);
    let namespace = label("Namespace", |text| Namespace::parse(text).map(drop), cx);
    let peer = label("Peer", |text| PeerName::parse(text).map(drop), cx);
    let meta = Meta(fields.text_map("Meta", cx));
    fields.known_only("Locality", &["Region", "Zone"], cx);

    let more = More { node: on, datacenter, partition, namespace, peer, wan, meta, tags: tags.into() };
    let (Some(service), Some(host), Some(port)) = (service, host, port) else {
        return Err(id.map(|id| name(Some(&id), "", more.node.as_deref(), String::new)));
    };
    let index = place.index.unwrap_or(0);
    let more = (more != More::default()).then(|| Box::new(more));
    Ok(Instance { service, id, host, port, weights, kind, status, native, line: place.line, index, more })
}

fn choice<T: Copy, const N: usize>(
    fields: &mut Fields<'_>,
    key: &'static str,
    all: [T; N],
    word: fn(T) -> &'static str,
    cx: &mut Cx<'_>,
) -> Option<T> {
    let text = fields.text(key, cx)?;
    let found = all.into_iter().find(|one| word(*one) == text.value);
    if found.is_none() {
        let hint = super::fields::nearest(&text.value, all.into_iter().map(word)).map(str::to_owned);
        let words = all.map(|one| format!("{:?}", word(one))).join(", ");
        cx.problem_with_hint(text.at, key, format!("{:?} is none of {words}", text.value), hint);
    }
    found
}

fn status(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Status {
    // Consul marks imported instances in maintenance by a status of its own.
    let all = [
        ("passing", Status::Passing),
        ("warning", Status::Warning),
        ("critical", Status::Critical),
        ("maintenance", Status::Critical),
    ];
    choice(fields, "Status", all, |(word, _)| word, cx).map_or(Status::Passing, |(_, status)| status)
}

fn weights(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Weights {
    let read = fields.table("Weights", &["Passing", "Warning"], cx, |mut fields, cx| {
        let mut weight = |key| {
            let number = fields.number(key, 0..=65_535, cx)?;
            u16::try_from(number).ok()
        };
        Weights { passing: weight("Passing").unwrap_or(1), warning: weight("Warning").unwrap_or(1) }
    });
    read.unwrap_or(Weights { passing: 1, warning: 1 })
}

fn port(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Option<u16> {
    let before = cx.count();
    let port = fields.number("Port", 1..=65_535, cx).and_then(|port| u16::try_from(port).ok());
    if port.is_none() && cx.count() == before {
        fields.missing("Port", cx);
    }
    port
}

/// `WanAddress`, or what Consul calls the same: `TaggedAddresses.wan`. A port of 0, or none, is the
/// instance's own port.
fn wan(fields: &mut Fields<'_>, port: Option<u16>, cx: &mut Cx<'_>) -> Option<(Host, u16)> {
    // Without a port of its own the row is broken anyway; 1 lets the rest of it be checked.
    let port = port.unwrap_or(1);
    let short = fields.filled_text("WanAddress", cx);
    let at = short.as_ref().map(|text| text.at);
    let short = short.and_then(|text| {
        address::host_port(&text.value, Some(port))
            .map_err(|message| cx.problem(text.at, "WanAddress", message))
            .ok()
    });
    let mut tagged = None;
    fields.map("TaggedAddresses", cx, |tag, node, cx| {
        let Some(mut fields) = Fields::open(node, &["Address", "Port"], cx) else { return };
        let text = fields.required_text("Address", cx);
        let own = fields.number("Port", 0..=65_535, cx).and_then(|port| u16::try_from(port).ok());
        // The other tags are never dialled, and Consul adds some that are no addresses of the host.
        if tag.value != "wan" {
            return;
        }
        let host = text.and_then(|text| {
            address::host(&text.value).map_err(|message| cx.problem(text.at, "Address", message)).ok()
        });
        tagged = host.map(|host| (host, own.filter(|port| *port > 0).unwrap_or(port)));
    });
    if let (Some(at), Some(_)) = (at, &tagged) {
        cx.problem(at, "WanAddress", "TaggedAddresses.wan is set as well: keep one of them");
    }
    short.or(tagged)
}
