//! An instance as a row of Consul's health API, for filters.

use crate::{
    document::{Instance, Kind, More},
    filter::{Filter, MatchError, Selected, Selector, Texts, Value},
    snapshot::MeshIdentity,
};
use catalog_client::health::HealthEntry;
use std::sync::LazyLock;

/// One instance with what it leaves to the mesh, and its address written out.
pub(super) struct Row<'a> {
    instance: &'a Instance,
    own: Option<&'a MeshIdentity>,
    address: String,
    wan: Wan,
}

/// Finds what no row could ever answer.
pub(crate) fn check_filter(filter: &Filter) -> Result<(), MatchError> {
    static ANY: LazyLock<Instance> = LazyLock::new(Instance::any);
    filter.check(&Row::new(&ANY, None))
}

/// As [`check_filter`], for rows of Consul's answers.
pub(crate) fn check_filter_of_answers(filter: &Filter) -> Result<(), MatchError> {
    static ANY: LazyLock<HealthEntry> = LazyLock::new(HealthEntry::default);
    filter.check(&WithoutTexts(&ANY))
}

/// A row as it is kept. The free texts of checks are not: they may be kilobytes each, and change with
/// every run of a check. So a filter that asks for them is refused and not answered wrongly.
struct WithoutTexts(&'static HealthEntry);

impl Selector for WithoutTexts {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        match path {
            [checks, text] if **checks == *"Checks" && matches!(&**text, "Output" | "Notes") => {
                Selected::Unknown
            }
            path => self.0.select(path),
        }
    }
}

impl<'a> Row<'a> {
    pub(super) fn new(instance: &'a Instance, own: Option<&'a MeshIdentity>) -> Self {
        let wan = instance.more.as_ref().and_then(|more| more.wan.as_ref());
        let wan = Wan(wan.map(|(host, port)| (host.to_string(), *port)));
        Self { instance, own, address: instance.host.to_string(), wan }
    }

    fn service(&self, path: &[&str]) -> Selected<'_> {
        let it = self.instance;
        Selected::Value(match path {
            [] | ["Proxy" | "Weights" | "Connect"] => Value::Record,
            ["Service"] => Value::Text(&it.service),
            ["ID"] => Value::Text(self.id()),
            ["Kind"] => Value::Text(it.kind.as_str()),
            ["Address"] => Value::Text(&self.address),
            ["Port"] => Value::Int(i64::from(it.port)),
            ["Tags"] => Value::List(self.more().map_or(NONE, |more| &more.tags)),
            ["Meta"] => Value::Map(self.more().map_or(NONE, |more| &more.meta)),
            ["Meta", key] => return self.meta(key),
            ["TaggedAddresses"] => Value::Map(&self.wan),
            ["TaggedAddresses", tag, field] => return self.tagged(tag, field),
            ["Weights", "Passing"] => Value::Int(i64::from(it.weights.passing)),
            ["Weights", "Warning"] => Value::Int(i64::from(it.weights.warning)),
            ["Connect", "Native"] => Value::Bool(it.native),
            ["EnableTagOverride"] => Value::Bool(false),
            ["Proxy", "DestinationServiceName"] if it.kind == Kind::ConnectProxy => Value::Text(&it.service),
            ["Proxy", "DestinationServiceName" | "DestinationServiceID"] => Value::Text(""),
            ["Namespace"] => Value::Text(self.given(|more| &more.namespace, |own| &own.namespace)),
            ["Partition"] => Value::Text(self.given(|more| &more.partition, |own| &own.partition)),
            ["PeerName"] => Value::Text(self.given(|more| &more.peer, |_| "")),
            _ => return Selected::Unknown,
        })
    }

    fn node(&self, path: &[&str]) -> Selected<'_> {
        Selected::Value(match path {
            [] => Value::Record,
            ["Node"] => Value::Text(self.given(|more| &more.node, |_| "")),
            ["Datacenter"] => Value::Text(self.given(|more| &more.datacenter, |own| &own.datacenter)),
            ["Partition"] => Value::Text(self.given(|more| &more.partition, |own| &own.partition)),
            ["PeerName"] => Value::Text(self.given(|more| &more.peer, |_| "")),
            // Consul's nodes have these, rows of a catalog do not: a filter that asks is no mistake.
            ["ID" | "Address"] => Value::Text(""),
            ["Meta" | "TaggedAddresses"] => Value::Map(NONE),
            ["Meta" | "TaggedAddresses", _] => return Selected::NoKey(Value::Text("")),
            _ => return Selected::Unknown,
        })
    }

    fn check(&self, path: &[&str]) -> Selected<'_> {
        Selected::Value(match path {
            [] => Value::Record,
            // A row has one status, that of all its checks together.
            ["Status"] => Value::Text(self.instance.status.as_str()),
            ["ServiceName"] => Value::Text(&self.instance.service),
            ["ServiceID"] => Value::Text(self.id()),
            ["Node"] => Value::Text(self.given(|more| &more.node, |_| "")),
            ["CheckID" | "Name" | "Notes" | "Output"] => Value::Text(""),
            _ => return Selected::Unknown,
        })
    }

    fn meta(&self, key: &str) -> Selected<'_> {
        match self.more().and_then(|more| more.meta.value(key)) {
            Some(value) => Selected::Value(Value::Text(value)),
            None => Selected::NoKey(Value::Text("")),
        }
    }

    fn tagged(&self, tag: &str, field: &str) -> Selected<'_> {
        match (&self.wan.0, field) {
            (Some((address, _)), "Address") if tag == "wan" => Selected::Value(Value::Text(address)),
            (Some((_, port)), "Port") if tag == "wan" => Selected::Value(Value::Int(i64::from(*port))),
            (_, "Address") => Selected::NoKey(Value::Text("")),
            (_, "Port") => Selected::NoKey(Value::Int(0)),
            _ => Selected::Unknown,
        }
    }

    /// Consul gives an instance without an id the name of its service.
    fn id(&self) -> &str {
        self.instance.id.as_deref().unwrap_or(&self.instance.service)
    }

    fn more(&self) -> Option<&More> {
        self.instance.more.as_deref()
    }

    fn given(
        &self,
        field: fn(&More) -> &Option<std::sync::Arc<str>>,
        own: fn(&MeshIdentity) -> &str,
    ) -> &str {
        let given = self.more().and_then(|more| field(more).as_deref());
        given.unwrap_or_else(|| self.own.map_or("", own))
    }
}

impl Selector for Row<'_> {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        let mut parts = [""; 4];
        if path.len() > parts.len() {
            return Selected::Unknown;
        }
        for (part, given) in parts.iter_mut().zip(path) {
            *part = given;
        }
        match parts.get(..path.len()).unwrap_or_default() {
            ["Service", rest @ ..] => self.service(rest),
            ["Node", rest @ ..] => self.node(rest),
            ["Checks", rest @ ..] => self.check(rest),
            _ => Selected::Unknown,
        }
    }
}

const NONE: &dyn Texts = &Wan(None);

/// The tags of addresses: there is one, `wan`.
struct Wan(Option<(String, u16)>);

impl Texts for Wan {
    fn has(&self, text: &str) -> bool {
        self.0.is_some() && text == "wan"
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
