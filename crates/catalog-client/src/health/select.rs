//! A row as filters see it: every selector that Consul's own rows have, under Consul's names.

use super::{
    AccessLogs, Check, CheckOf, EnvoyExtension, Expose, ExposePath, HealthEntry, Node, Pairs, Proxy,
    ServiceAddress, ServiceInstance, TransparentProxy, Upstream,
};
use crate::filter::{Records, Selected, Selector, Value};
use std::sync::LazyLock;

impl Selector for HealthEntry {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        match field(path) {
            None => Selected::Value(Value::Record),
            Some(("Node", rest)) => self.node.select(rest),
            Some(("Service", rest)) => self.service.select(rest),
            Some(("Checks", rest)) => Selected::each(self, rest),
            Some(_) => Selected::Unknown,
        }
    }
}

impl Selector for Node {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        let Some((name, rest)) = field(path) else { return Selected::Value(Value::Record) };
        match name {
            "ID" => Selected::text(&self.id, rest),
            "Node" => Selected::text(&self.name, rest),
            "Address" => Selected::text(&self.address, rest),
            "Datacenter" => Selected::text(&self.datacenter, rest),
            "Partition" => Selected::text(&self.partition, rest),
            "PeerName" => Selected::text(&self.peer, rest),
            "TaggedAddresses" => self.tagged_addresses.select(rest),
            "Meta" => self.meta.select(rest),
            _ => Selected::Unknown,
        }
    }
}

impl Selector for ServiceInstance {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        static NO_PROXY: LazyLock<Proxy> = LazyLock::new(Proxy::default);
        let Some((name, rest)) = field(path) else { return Selected::Value(Value::Record) };
        match name {
            "Kind" => Selected::text(self.kind.as_str(), rest),
            "ID" => Selected::text(&self.id, rest),
            "Service" => Selected::text(&self.service, rest),
            "Tags" => Selected::leaf(Value::List(&self.tags), rest),
            "Address" => Selected::text(&self.address, rest),
            "TaggedAddresses" => self.tagged_addresses.select(rest),
            "Meta" => self.meta.select(rest),
            "Port" => Selected::leaf(Value::Int(self.port), rest),
            "SocketPath" => Selected::text(&self.socket_path, rest),
            "Weights" => record(
                &[
                    ("Passing", Value::Int(self.weights.passing)),
                    ("Warning", Value::Int(self.weights.warning)),
                ],
                rest,
            ),
            "EnableTagOverride" => Selected::leaf(Value::Bool(self.enable_tag_override), rest),
            "Proxy" => self.proxy.as_deref().unwrap_or_else(|| &NO_PROXY).select(rest),
            "Connect" => record(&[("Native", Value::Bool(self.connect_native))], rest),
            "PeerName" => Selected::text(&self.peer, rest),
            _ => Selected::Unknown,
        }
    }
}

impl Selector for Proxy {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        static NO_LOGS: LazyLock<AccessLogs> = LazyLock::new(AccessLogs::default);
        let Some((name, rest)) = field(path) else { return Selected::Value(Value::Record) };
        match name {
            "DestinationServiceName" => Selected::text(&self.destination_service_name, rest),
            "DestinationServiceID" => Selected::text(&self.destination_service_id, rest),
            "LocalServiceAddress" => Selected::text(&self.local_service_address, rest),
            "LocalServicePort" => Selected::leaf(Value::Int(self.local_service_port), rest),
            "LocalServiceSocketPath" => Selected::text(&self.local_service_socket_path, rest),
            "Mode" => Selected::text(&self.mode, rest),
            "Upstreams" => Selected::each(&self.upstreams, rest),
            "MeshGateway" => record(&[("Mode", Value::Text(&self.mesh_gateway))], rest),
            "Expose" => self.expose.select(rest),
            "TransparentProxy" => self.transparent_proxy.select(rest),
            "AccessLogs" => self.access_logs.as_deref().unwrap_or_else(|| &NO_LOGS).select(rest),
            "EnvoyExtensions" => Selected::each(&self.envoy_extensions, rest),
            _ => Selected::Unknown,
        }
    }
}

impl Selector for Upstream {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        let Some((name, rest)) = field(path) else { return Selected::Value(Value::Record) };
        match name {
            "DestinationType" => Selected::text(&self.destination_type, rest),
            "DestinationNamespace" => Selected::text(&self.destination_namespace, rest),
            "DestinationPartition" => Selected::text(&self.destination_partition, rest),
            "DestinationPeer" => Selected::text(&self.destination_peer, rest),
            "DestinationName" => Selected::text(&self.destination_name, rest),
            "Datacenter" => Selected::text(&self.datacenter, rest),
            "LocalBindAddress" => Selected::text(&self.local_bind_address, rest),
            "LocalBindPort" => Selected::leaf(Value::Int(self.local_bind_port), rest),
            "LocalBindSocketPath" => Selected::text(&self.local_bind_socket_path, rest),
            "LocalBindSocketMode" => Selected::text(&self.local_bind_socket_mode, rest),
            "MeshGateway" => record(&[("Mode", Value::Text(&self.mesh_gateway))], rest),
            _ => Selected::Unknown,
        }
    }
}

impl Selector for Expose {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        match field(path) {
            None => Selected::Value(Value::Record),
            Some(("Checks", rest)) => Selected::leaf(Value::Bool(self.checks), rest),
            Some(("Paths", rest)) => Selected::each(&self.paths, rest),
            Some(_) => Selected::Unknown,
        }
    }
}

impl Selector for ExposePath {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        record(
            &[
                ("ListenerPort", Value::Int(self.listener_port)),
                ("Path", Value::Text(&self.path)),
                ("LocalPathPort", Value::Int(self.local_path_port)),
                ("Protocol", Value::Text(&self.protocol)),
                ("ParsedFromCheck", Value::Bool(self.parsed_from_check)),
            ],
            path,
        )
    }
}

impl Selector for TransparentProxy {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        record(
            &[
                ("OutboundListenerPort", Value::Int(self.outbound_listener_port)),
                ("DialedDirectly", Value::Bool(self.dialed_directly)),
            ],
            path,
        )
    }
}

impl Selector for AccessLogs {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        record(
            &[
                ("Enabled", Value::Bool(self.enabled)),
                ("DisableListenerLogs", Value::Bool(self.disable_listener_logs)),
                ("Type", Value::Text(&self.kind)),
                ("Path", Value::Text(&self.path)),
                ("JSONFormat", Value::Text(&self.json_format)),
                ("TextFormat", Value::Text(&self.text_format)),
            ],
            path,
        )
    }
}

impl Selector for EnvoyExtension {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        record(
            &[
                ("Name", Value::Text(&self.name)),
                ("Required", Value::Bool(self.required)),
                ("ConsulVersion", Value::Text(&self.consul_version)),
                ("EnvoyVersion", Value::Text(&self.envoy_version)),
            ],
            path,
        )
    }
}

/// The checks of the row: what a check says of its owner is kept by reference to the row.
impl Records for HealthEntry {
    fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    fn any(&self, ask: &mut dyn FnMut(&dyn Selector) -> bool) -> bool {
        self.checks.iter().any(|check| ask(&CheckRow { check, row: self }))
    }

    fn example(&self, ask: &mut dyn FnMut(&dyn Selector)) {
        ask(&CheckRow { check: &Check::default(), row: self });
    }
}

struct CheckRow<'a> {
    check: &'a Check,
    row: &'a HealthEntry,
}

impl Selector for CheckRow<'_> {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        static NONE: LazyLock<Box<[Box<str>]>> = LazyLock::new(Box::default);
        let Self { check, row } = self;
        let (id, name, tags) = match &check.of {
            CheckOf::Node => ("", "", &*NONE),
            CheckOf::Service => (&*row.service.id, &*row.service.service, &row.service.tags),
            CheckOf::Other(owner) => (&*owner.service_id, &*owner.service_name, &owner.service_tags),
        };
        let Some((field, rest)) = field(path) else { return Selected::Value(Value::Record) };
        match field {
            "Node" => Selected::text(&row.node.name, rest),
            "CheckID" => Selected::text(&check.id, rest),
            "Name" => Selected::text(&check.name, rest),
            "Status" => Selected::text(check.status.as_str(), rest),
            "Notes" => Selected::text(&check.notes, rest),
            "Output" => Selected::text(&check.output, rest),
            "ServiceID" => Selected::text(id, rest),
            "ServiceName" => Selected::text(name, rest),
            "ServiceTags" => Selected::leaf(Value::List(tags), rest),
            "Type" => Selected::text(&check.kind, rest),
            "Interval" => Selected::text(&check.interval, rest),
            "Timeout" => Selected::text(&check.timeout, rest),
            "ExposedPort" => Selected::leaf(Value::Int(check.exposed_port), rest),
            "PeerName" => Selected::text(&check.peer, rest),
            _ => Selected::Unknown,
        }
    }
}

impl Selector for Pairs<Box<str>> {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        match field(path) {
            None => Selected::Value(Value::Map(self)),
            Some((key, [])) => {
                self.get(key).map_or(Selected::NoKey(Value::Text("")), |it| Selected::Value(Value::Text(it)))
            }
            Some(_) => Selected::Unknown,
        }
    }
}

impl Selector for Pairs<ServiceAddress> {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        static ANY: LazyLock<ServiceAddress> = LazyLock::new(ServiceAddress::default);
        let Some((key, rest)) = field(path) else { return Selected::Value(Value::Map(self)) };
        match self.get(key) {
            Some(address) => address.select(rest),
            None => match ANY.select(rest) {
                Selected::Value(like) => Selected::NoKey(like),
                other => other,
            },
        }
    }
}

impl Selector for ServiceAddress {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        record(&[("Address", Value::Text(&self.address)), ("Port", Value::Int(self.port))], path)
    }
}

/// The first part of a path, and the rest.
fn field(path: &[Box<str>]) -> Option<(&str, &[Box<str>])> {
    path.split_first().map(|(first, rest)| (&**first, rest))
}

/// A record of simple fields.
fn record<'a>(fields: &[(&str, Value<'a>)], path: &[Box<str>]) -> Selected<'a> {
    let Some((name, rest)) = field(path) else { return Selected::Value(Value::Record) };
    match fields.iter().find(|(own, _)| *own == name) {
        Some((_, value)) => Selected::leaf(*value, rest),
        None => Selected::Unknown,
    }
}
