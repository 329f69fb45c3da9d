//! `Proxy.Config` of a gateway: free JSON, in which Consul has merged `proxy-defaults`.
//!
//! Types are weak, as Consul reads them: `"true"`, `1` and `true` mean the same, `"5000"` is a
//! number. Names are compared without case, and three keys have an older name.

#[cfg(test)]
mod tests;

use super::address::HostPort;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// What of `Proxy.Config` concerns a gateway of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayProxyConfig {
    /// `envoy_gateway_no_default_bind`: do not listen on the service's own address.
    pub no_default_bind: bool,
    /// `envoy_gateway_bind_tagged_addresses`: listen on every tagged address too.
    pub bind_tagged_addresses: bool,
    /// `envoy_gateway_bind_addresses`: listen on these too, by name.
    pub bind_addresses: BTreeMap<String, HostPort>,
    /// `connect_timeout_ms`: time for a TCP connection. `None` for the default (5 s with Envoy), also for
    /// anything below 1 ms.
    pub connect_timeout: Option<Duration>,
    /// `envoy_dns_discovery_type`; `None`: not written, which Consul takes for [`DnsDiscovery::Logical`].
    pub dns_discovery: Option<DnsDiscovery>,
    /// `envoy_gateway_remote_tcp_*`: keepalive towards gateways of other datacenters.
    pub remote_keepalive: Option<RemoteKeepalive>,
    /// `max_inbound_connections`; `None` for no limit.
    pub max_inbound_connections: Option<u32>,
    /// `protocol`, in lower case. Default `tcp`.
    pub protocol: String,
    /// Keys that mean nothing to us: those for Envoy alone, and unknown ones. Sorted.
    pub ignored: Vec<String>,
    /// Keys of ours whose value cannot be meant; they have their default. One sentence each.
    pub problems: Vec<String>,
}

/// How several host names among the addresses of a remote gateway are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsDiscovery {
    /// The first healthy name only (`logical_dns`).
    #[default]
    Logical,
    /// All names with all their addresses (`strict_dns`).
    Strict,
}

/// TCP keepalive; `None` leaves a value to the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteKeepalive {
    /// Silence before the first probe.
    pub time: Option<Duration>,
    /// Between probes.
    pub interval: Option<Duration>,
    /// Unanswered probes before the connection counts as dead.
    pub probes: Option<u32>,
}

impl Default for GatewayProxyConfig {
    fn default() -> Self {
        Self::read(&Map::new())
    }
}

impl GatewayProxyConfig {
    /// Reads the map. Nothing in it is an error: see [`problems`](Self::problems).
    #[must_use]
    pub fn read(map: &Map<String, Value>) -> Self {
        let mut keys = Keys { left: map.iter().collect(), problems: Vec::new() };
        let no_default_bind =
            keys.bool(&["envoy_gateway_no_default_bind", "envoy_mesh_gateway_no_default_bind"]);
        let bind_tagged_addresses =
            keys.bool(&["envoy_gateway_bind_tagged_addresses", "envoy_mesh_gateway_bind_tagged_addresses"]);
        let bind_addresses =
            keys.addresses(&["envoy_gateway_bind_addresses", "envoy_mesh_gateway_bind_addresses"]);
        let connect_timeout = keys.positive("connect_timeout_ms");
        let dns = keys.text("envoy_dns_discovery_type");
        let keepalive = RemoteKeepalive {
            time: keys.seconds("envoy_gateway_remote_tcp_keepalive_time"),
            interval: keys.seconds("envoy_gateway_remote_tcp_keepalive_interval"),
            probes: keys.positive("envoy_gateway_remote_tcp_keepalive_probes"),
        };
        let keepalive_on = keys.bool(&["envoy_gateway_remote_tcp_enable_keepalive"]);
        let max_inbound_connections = keys.positive("max_inbound_connections");
        let protocol = keys.text("protocol").filter(|text| !text.is_empty());
        let mut ignored: Vec<String> = keys.left.into_iter().map(|(key, _)| key.clone()).collect();
        ignored.sort_unstable();
        Self {
            no_default_bind,
            bind_tagged_addresses,
            bind_addresses,
            connect_timeout: connect_timeout.map(|time| Duration::from_millis(time.into())),
            dns_discovery: dns.map(|dns| match dns.to_ascii_lowercase().as_str() {
                "strict_dns" => DnsDiscovery::Strict,
                _ => DnsDiscovery::Logical,
            }),
            remote_keepalive: keepalive_on.then_some(keepalive),
            max_inbound_connections,
            protocol: protocol.map_or_else(|| "tcp".to_owned(), |text| text.to_ascii_lowercase()),
            ignored,
            problems: keys.problems,
        }
    }
}

/// The keys that nobody has asked for yet.
struct Keys<'a> {
    left: Vec<(&'a String, &'a Value)>,
    problems: Vec<String>,
}

impl<'a> Keys<'a> {
    /// The value under the first of the names that is there; the others are used up as well.
    fn take(&mut self, names: &[&str]) -> Option<(&'a String, &'a Value)> {
        let mut found = None;
        for name in names {
            if let Some(at) = self.left.iter().position(|(key, _)| key.eq_ignore_ascii_case(name)) {
                let taken = self.left.remove(at);
                found = found.or(Some(taken));
            }
        }
        found.filter(|(_, value)| !value.is_null())
    }

    fn read<T>(&mut self, names: &[&str], what: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let (key, value) = self.take(names)?;
        let read = read(value);
        if read.is_none() {
            self.problems.push(format!("{key} is {what}, which {value} is not"));
        }
        read
    }

    fn bool(&mut self, names: &[&str]) -> bool {
        self.read(names, "true or false", weak_bool).unwrap_or(false)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.read(&[name], "text", weak_text)
    }

    /// `None` also for 0 and below, which stand for "not set".
    fn positive(&mut self, name: &str) -> Option<u32> {
        let number = self.read(&[name], "a number", weak_number)?;
        u32::try_from(number.max(0)).map_or(Some(u32::MAX), |number| (number > 0).then_some(number))
    }

    fn seconds(&mut self, name: &str) -> Option<Duration> {
        self.positive(name).map(|seconds| Duration::from_secs(seconds.into()))
    }

    fn addresses(&mut self, names: &[&str]) -> BTreeMap<String, HostPort> {
        let Some((key, value)) = self.take(names) else { return BTreeMap::new() };
        let Some(entries) = value.as_object() else {
            self.problems.push(format!("{key} is a map of name to address, which {value} is not"));
            return BTreeMap::new();
        };
        let mut addresses = BTreeMap::new();
        for (name, value) in entries {
            match weak_address(value) {
                Some(address) => drop(addresses.insert(name.clone(), address)),
                None => self.problems.push(format!("{key} {name:?} is no address and port: {value}")),
            }
        }
        addresses
    }
}

fn weak_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_f64()? != 0.0),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
            "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn weak_number(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(flag) => Some((*flag).into()),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a fraction is cut off, too large ends at the limit"
        )]
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        Value::String(text) if text.is_empty() => Some(0),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn weak_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn weak_address(value: &Value) -> Option<HostPort> {
    let mut keys = Keys { left: value.as_object()?.iter().collect(), problems: Vec::new() };
    let address = keys.text("Address").unwrap_or_default();
    let port = u16::try_from(keys.positive("Port")?).ok()?;
    keys.problems.is_empty().then_some(HostPort { address, port })
}
