//! What is registered: sixty instances of one service on six nodes, no two alike.

use serde_json::{Value, json};

/// The service that all of them belong to.
pub(crate) const SERVICE: &str = "web";

/// Texts that are hard to compare: empty, not ASCII, with folds of letters, signs of patterns and lines.
pub(crate) const TEXTS: [&str; 24] = [
    "",
    "v1",
    "v2",
    "V1",
    "1.2.3",
    "10",
    "true",
    "blue",
    "green",
    "grün",
    "GRÜN",
    "KELVIN \u{212a}",
    "\u{17f}et",
    "a.b*c",
    "x\ny",
    "tab\there",
    " lead",
    "٣",
    "Straße",
    "naïve café",
    "a]b[c",
    "{,3}",
    "a\\b",
    "-",
];

pub(crate) const KEYS: [&str; 8] = ["version", "env", "Zone", "a_b", "x-y", "n1", "word", "sign"];

pub(crate) const TAGS: [&str; 8] = ["blue", "green", "v1", "v2", "a b", "grün", "", "x.y"];

/// Bodies of `PUT /v1/catalog/register`.
pub(crate) fn registrations() -> Vec<Value> {
    (0..60).map(registration).collect()
}

fn registration(number: usize) -> Value {
    let node = number % 6;
    json!({
        "Node": format!("n{node}"),
        "ID": format!("00000000-0000-0000-0000-00000000000{node}"),
        "Address": format!("10.0.0.{node}"),
        "TaggedAddresses": if node.is_multiple_of(2) { json!({"lan": "10.0.0.1", "wan": format!("192.0.2.{node}")}) } else { json!(null) },
        "NodeMeta": meta(node * 7, node),
        "Service": service(number),
        "Checks": checks(number, node),
    })
}

fn service(number: usize) -> Value {
    let tags: Vec<&str> = TAGS
        .iter()
        .enumerate()
        .filter(|(bit, _)| number >> (bit % 5) & 1 == 1 && bit % 3 != number % 3)
        .map(|(_, tag)| *tag)
        .collect();
    let mut service = json!({
        "ID": format!("web-{number:02}"),
        "Service": SERVICE,
        "Tags": tags,
        "Port": ([80, 8080, 8443, 0, 65535, 255][number % 6]),
        "Address": (["", "10.1.0.1", "db.example.internal", "fe80::1"][number % 4]),
        "Meta": meta(number, number % 7),
        "EnableTagOverride": number.is_multiple_of(5),
    });
    if number.is_multiple_of(3) {
        service["Weights"] = json!({"Passing": number % 4 + 1, "Warning": number % 2});
    }
    if number % 4 == 1 {
        service["TaggedAddresses"] = json!({"wan": {"Address": "198.51.100.1", "Port": 443}, "lan": {"Address": "10.1.0.1", "Port": number}});
    }
    match number % 8 {
        2 | 5 => {
            service["Kind"] = "connect-proxy".into();
            service["Port"] = 21000.into();
            service["Proxy"] = proxy(number);
        }
        3 => service["Connect"] = json!({"Native": true}),
        7 => service["Kind"] = ["mesh-gateway", "terminating-gateway", "ingress-gateway"][number % 3].into(),
        _ => {}
    }
    let needs_port = service["Kind"].is_string() || service["Connect"].is_object();
    if needs_port && service["Port"] == 0 {
        service["Port"] = 8443.into();
    }
    service
}

fn proxy(number: usize) -> Value {
    let mut proxy = json!({
        "DestinationServiceName": (["web", "billing", "grün"][number % 3]),
        "DestinationServiceID": format!("web-{}", number / 8),
        "LocalServiceAddress": "127.0.0.1",
        "LocalServicePort": 9000 + number % 3,
        "MeshGateway": {"Mode": (["", "local", "remote", "none"][number % 4])},
    });
    let upstream = |name: &str, mode: &str| json!({"DestinationType": "service", "DestinationName": name, "Datacenter": "dc2", "LocalBindPort": 9190 + name.len(), "LocalBindAddress": "127.0.0.1", "MeshGateway": {"Mode": mode}});
    proxy["Upstreams"] = match number % 5 {
        0 => json!([]),
        1 => json!([upstream("db", "local")]),
        _ => json!([upstream("db", ""), upstream("cache", "remote")]),
    };
    if number % 3 == 2 {
        proxy["Expose"] = json!({"Checks": true, "Paths": [
            {"ListenerPort": 21500, "Path": "/healthz", "LocalPathPort": 8080, "Protocol": "http"},
            {"ListenerPort": 21501, "Path": "/metrics", "LocalPathPort": 8081, "Protocol": "http2"}]});
    }
    proxy
}

/// `count` pairs, from one place of the texts on.
fn meta(from: usize, count: usize) -> Value {
    let pair =
        |index: usize| (KEYS[(from + index) % KEYS.len()], TEXTS[(from * 5 + index * 3) % TEXTS.len()]);
    (0..count)
        .map(pair)
        .map(|(key, text)| (key.to_owned(), Value::from(text)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn checks(number: usize, node: usize) -> Value {
    let status = |number: usize| ["passing", "passing", "warning", "critical"][number % 4];
    let id = format!("web-{number:02}");
    let check = |kind: &str, number: usize| {
        json!({"Node": format!("n{node}"), "CheckID": format!("{id}:{kind}"), "Name": format!("a {kind} check"),
            "Status": status(number), "Output": TEXTS[number % TEXTS.len()], "Notes": TEXTS[number * 7 % TEXTS.len()], "ServiceID": id})
    };
    let mut checks = vec![];
    // Not "serfHealth": Consul removes nodes that have it and are no members.
    if number < 6 && node != 3 {
        checks.push(json!({"Node": format!("n{node}"), "CheckID": "disk", "Name": "a disk check", "Status": status(node * 3)}));
    }
    if !number.is_multiple_of(4) {
        checks.push(check("tcp", number / 4));
    }
    if number % 4 > 2 {
        checks.push(check("http", number / 3));
    }
    checks.into()
}
