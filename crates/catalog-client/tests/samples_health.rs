//! What is decided about rows of the health API: rows that Consul 1.10.1 and 1.21 answered with, and rows made up for a
//! rule.
#![expect(clippy::panic, clippy::expect_used, reason = "helpers of tests: what does not fit fails the test")]

use catalog_client::{
    filter::Filter,
    health::{Address, CheckOf, CheckStatus, HealthEntry, Interner, ServiceKind, Status, Weight},
};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

fn rows(sample: &str) -> Vec<HealthEntry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(sample);
    let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{sample}: {error}"));
    serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{sample}: {error}"))
}

fn row(json: Value) -> HealthEntry {
    serde_json::from_value(json).expect("a row")
}

fn ids(rows: &[HealthEntry]) -> Vec<&str> {
    rows.iter().map(|row| &*row.service.id).collect()
}

fn address(host: &str, port: u16) -> Option<Address<'_>> {
    Some(Address { host, port })
}

#[test]
fn sidecars_and_terminating_gateways_of_1_10() {
    let rows = rows("1.10.1/health-connect-web.json");
    assert_eq!(ids(&rows), ["web-1-sidecar-proxy", "web-2-sidecar-proxy", "terminating-gateway"]);
    assert!(rows.iter().all(HealthEntry::is_mesh_instance));
    assert_eq!(rows[0].destination(), "web");
    assert_eq!(rows[2].destination(), "terminating-gateway");
    assert_eq!(rows[0].status(), Status::Critical, "one of three checks");
    assert_eq!(rows[0].lan(), address("127.0.0.1", 21001));
    assert_eq!((&*rows[0].node.name, &*rows[0].node.datacenter), ("dev1", "dc1"));
    assert_eq!(rows[0].checks[0].of, CheckOf::Node);
    assert_eq!(rows[0].checks[1].of, CheckOf::Service);
    assert_eq!(rows[0].service.modify_index, 34);
}

#[test]
fn native_instances_and_ordinary_ones() {
    let rows = rows("1.10.1/health-connect-api-native.json");
    assert!(rows[0].service.connect_native && rows[0].is_mesh_instance());
    assert_eq!((rows[0].destination(), rows[0].status()), ("api", Status::Passing));
    let rows = self::rows("1.10.1/health-service-web.json");
    assert!(!rows.iter().any(HealthEntry::is_mesh_instance));
    assert_eq!(rows.iter().map(HealthEntry::status).collect::<Vec<_>>(), [Status::Passing, Status::Critical]);
}

#[test]
fn an_instance_whose_node_is_dead_is_dead() {
    let rows = rows("1.10.1/client-killed-health-service.json");
    assert_eq!(rows[0].checks[1].status, CheckStatus::Passing, "its own check");
    assert_eq!(rows[0].status(), Status::Critical, "that of the node");
}

#[test]
fn servers_have_no_address_of_their_own() {
    let rows = rows("1.21/health-service-consul.json");
    assert_eq!(&*rows[0].service.address, "");
    assert_eq!(rows[0].lan().map(|address| address.port), Some(8300));
    assert_eq!(rows[0].lan().map(|address| address.host), Some(&*rows[0].node.address));
    assert!(rows[0].service.meta.get("grpc_tls_port").is_some());
}

#[test]
fn gateways_have_two_addresses() {
    let rows = rows("1.21/health-service-mesh-gateway.json");
    assert_eq!(rows[0].service.kind, ServiceKind::MeshGateway);
    assert_eq!(rows[0].lan(), address("127.0.2.21", 8443));
    assert_eq!(rows[0].best_wan(), address("127.0.2.22", 8444));
}

#[test]
fn imported_instances() {
    let rows = rows("1.21/health-connect-echo-peer.json");
    assert_eq!(
        (&*rows[0].service.peer, &*rows[0].node.peer, rows[0].destination()),
        ("bpeer", "bpeer", "echo")
    );
    assert_eq!(rows[0].best_wan(), address("127.0.2.22", 8444));
    let meta = rows[0].service.peer_meta.as_ref().expect("PeerMeta");
    assert!(meta.sni[0].starts_with("echo.default.default.apeer.external.") && meta.spiffe_id.len() == 2);
    assert_eq!((&*meta.protocol, rows[0].status()), ("tcp", Status::Passing));
    for sample in [
        "1.21/health-connect-echo-peer-gateway-maintenance.json",
        "1.21/health-service-echo-peer-maintenance.json",
    ] {
        let rows = self::rows(sample);
        assert_eq!(rows[0].checks[0].status, CheckStatus::Maintenance);
        assert_eq!(rows[0].status(), Status::Critical, "{sample}: maintenance is no health");
    }
}

#[test]
fn filters_choose_the_rows_that_consul_chose() {
    for (version, filter) in
        [("1.10.1", "Service.Meta.version == \"1\""), ("1.21", "Service.Meta.version == v2")]
    {
        let filter = Filter::parse(filter).expect("a filter");
        let all = rows(&format!("{version}/health-connect-web.json"));
        let chosen = rows(&format!("{version}/health-connect-web-filter.json"));
        let ours =
            all.iter().filter(|row| filter.matches(*row).expect("it fits")).cloned().collect::<Vec<_>>();
        assert_eq!(ids(&ours), ids(&chosen), "{version}");
        assert!(!ours.is_empty() && ours.len() < all.len());
    }
}

#[test]
fn the_worst_check_counts() {
    let with = |checks: &[(&str, &str)]| {
        let checks: Vec<_> =
            checks.iter().map(|(id, status)| json!({"CheckID": id, "Status": status})).collect();
        row(json!({"Checks": checks})).status()
    };
    assert_eq!(with(&[]), Status::Passing);
    assert_eq!(with(&[("a", "passing"), ("b", "warning"), ("c", "passing")]), Status::Warning);
    assert_eq!(with(&[("a", "warning"), ("b", "critical"), ("c", "warning")]), Status::Critical);
    assert_eq!(with(&[("a", "maintenance")]), Status::Critical);
    assert_eq!(with(&[("a", "unheard of")]), Status::Critical);
    assert_eq!(with(&[("a", "")]), Status::Critical);
    assert_eq!(with(&[("_node_maintenance", "passing")]), Status::Critical);
    assert_eq!(with(&[("_service_maintenance:web-1", "passing")]), Status::Critical);
    assert_eq!(with(&[("service_maintenance:web-1", "passing")]), Status::Passing);
}

#[test]
fn a_check_keeps_what_it_says_of_its_owner() {
    let row = row(json!({
        "Node": {"Node": "n1"},
        "Service": {"ID": "web-1", "Service": "web", "Tags": ["v2"]},
        "Checks": [
            {"CheckID": "of the node", "ServiceID": "", "ServiceTags": []},
            {"CheckID": "of the instance", "ServiceID": "web-1", "ServiceName": "web", "ServiceTags": ["v2"]},
            {"CheckID": "out of date", "ServiceID": "web-1", "ServiceName": "web", "ServiceTags": ["v1"]},
        ],
    }));
    assert_eq!((&row.checks[0].of, &row.checks[1].of), (&CheckOf::Node, &CheckOf::Service));
    let holds = |filter: &str| Filter::parse(filter).expect("a filter").matches(&row);
    assert_eq!(holds("v1 in Checks.ServiceTags"), Ok(true));
    assert_eq!(holds("v2 in Checks.ServiceTags"), Ok(true));
    assert_eq!(holds("Checks.ServiceTags is empty"), Ok(true));
    assert_eq!(holds("Checks.ServiceID == `web-1` and Checks.ServiceName == web"), Ok(true));
    assert_eq!(holds("Checks.ServiceName == ``"), Ok(true));
    assert_eq!(holds("Checks.Node != n1"), Ok(false));
}

#[test]
fn weights_are_of_the_status_and_bounded() {
    let with = |weights: Value, status: &str, only_passing| {
        let row = row(json!({"Service": {"Weights": weights}, "Checks": [{"Status": status}]}));
        let Weight { value, healthy } = row.weight(only_passing);
        (value, healthy)
    };
    let five_two = json!({"Passing": 5, "Warning": 2});
    assert_eq!(with(five_two.clone(), "passing", false), (5, true));
    assert_eq!(with(five_two.clone(), "warning", false), (2, true));
    assert_eq!(with(five_two.clone(), "warning", true), (2, false), "OnlyPassing");
    assert_eq!(with(five_two, "critical", false), (5, false));
    assert_eq!(with(Value::Null, "passing", false), (1, true), "none given");
    assert_eq!(with(json!({"Passing": 1, "Warning": 0}), "warning", false), (1, false), "below 1");
    assert_eq!(with(json!({"Passing": -3}), "passing", false), (1, false));
    assert_eq!(with(json!({"Passing": 128}), "passing", false), (128, true));
    assert_eq!(with(json!({"Passing": 129}), "passing", false), (128, true));
    assert_eq!(with(json!({"Passing": 65535}), "passing", false), (128, true));
}

#[test]
fn addresses_fall_back_from_instance_to_node() {
    let full = json!({
        "Node": {"Address": "10.0.0.1", "TaggedAddresses": {"wan": "192.0.2.1", "lan": "10.9.9.9"}},
        "Service": {"Address": "10.0.0.2", "Port": 8443,
            "TaggedAddresses": {"lan": {"Address": "10.8.8.8", "Port": 1}, "wan": {"Address": "198.51.100.1", "Port": 443}}},
    });
    let without = |fields: &[&str], value: Value| {
        let mut json = full.clone();
        for field in fields {
            *json.pointer_mut(field).expect("a field") = value.clone();
        }
        row(json)
    };
    let all = without(&[], Value::Null);
    // A tagged wan address is for others (T07); the tagged lan address is for nobody.
    assert_eq!(all.lan(), address("10.0.0.2", 8443));
    assert_eq!(all.best_wan(), address("198.51.100.1", 443));
    // No address of its own: that of the node (T06).
    assert_eq!(without(&["/Service/Address"], "".into()).lan(), address("10.0.0.1", 8443));
    // Port 0 of the tagged address: the instance's.
    let row = without(&["/Service/TaggedAddresses/wan/Port"], 0.into());
    assert_eq!(row.best_wan(), address("198.51.100.1", 8443));
    // No tagged wan address: the instance's own.
    let row = without(&["/Service/TaggedAddresses"], Value::Null);
    assert_eq!(row.best_wan(), address("10.0.0.2", 8443));
    // Nor one of its own: the node's for others, then the node's (T09).
    let mut row = without(&["/Service/TaggedAddresses", "/Service/Address"], Value::Null);
    assert_eq!(row.best_wan(), address("192.0.2.1", 8443));
    let node = Arc::make_mut(&mut row.node);
    node.tagged_addresses = Default::default();
    assert_eq!(row.best_wan(), address("10.0.0.1", 8443));
    // Nothing to dial.
    assert_eq!(without(&["/Service/Port"], 0.into()).lan(), None);
    assert_eq!(without(&["/Service/Port"], 65536.into()).lan(), None);
    assert_eq!(without(&["/Service/Port"], (-1).into()).lan(), None);
    assert_eq!(without(&["/Service/Address", "/Node/Address"], "".into()).lan(), None);
}

#[test]
fn null_and_missing_are_nothing_and_unknown_fields_are_ignored() {
    let nulls = json!({"Node": {"ID": null, "Meta": null, "TaggedAddresses": null}, "Service": {"Tags": null, "Meta": null,
        "Weights": null, "Proxy": null, "Connect": null, "TaggedAddresses": null, "Port": null, "Kind": null}, "Checks": null,
        "Tomorrow": {"x": [1]}});
    assert_eq!(row(nulls), HealthEntry::default());
    assert_eq!(row(json!({})), HealthEntry::default());
    assert_eq!(row(json!({"Node": null, "Service": null})), HealthEntry::default());
    let row = row(
        json!({"Service": {"Kind": "from-tomorrow", "ModifyIndex": u64::MAX, "Connect": {"Native": null}}}),
    );
    assert_eq!(row.service.kind.as_str(), "from-tomorrow");
    assert_eq!(row.service.modify_index, u64::MAX);
    assert!(
        serde_json::from_str::<HealthEntry>(r#"{"Service": {"Port": "80"}}"#).is_err(),
        "a text is no port"
    );
}

#[test]
fn outputs_can_be_forgotten_and_nodes_shared() {
    let mut rows = rows("1.10.1/health-connect-web.json");
    let refused = Filter::parse("Checks.Output contains refused").expect("a filter");
    assert_eq!(refused.matches(&rows[0]), Ok(true));
    for row in &mut rows {
        row.forget_outputs();
    }
    assert_eq!(refused.matches(&rows[0]), Ok(false));
    Interner::new().share(&mut rows);
    assert!(Arc::ptr_eq(&rows[0].node, &rows[2].node));
}

/// All selectors that rows of Consul 1.21 have, by what can be asked of them.
#[test]
fn every_selector_of_consul_is_there_and_no_other() {
    let texts = [
        "Node.ID",
        "Node.Node",
        "Node.Address",
        "Node.Datacenter",
        "Node.Partition",
        "Node.PeerName",
        "Node.TaggedAddresses.wan",
        "Node.Meta.rack",
        "Service.Kind",
        "Service.ID",
        "Service.Service",
        "Service.Address",
        "Service.TaggedAddresses.wan.Address",
        "Service.Meta.version",
        "Service.SocketPath",
        "Service.PeerName",
        "Service.Proxy.DestinationServiceName",
        "Service.Proxy.DestinationServiceID",
        "Service.Proxy.LocalServiceAddress",
        "Service.Proxy.LocalServiceSocketPath",
        "Service.Proxy.Mode",
        "Service.Proxy.MeshGateway.Mode",
        "Service.Proxy.Upstreams.DestinationType",
        "Service.Proxy.Upstreams.DestinationNamespace",
        "Service.Proxy.Upstreams.DestinationPartition",
        "Service.Proxy.Upstreams.DestinationPeer",
        "Service.Proxy.Upstreams.DestinationName",
        "Service.Proxy.Upstreams.Datacenter",
        "Service.Proxy.Upstreams.LocalBindAddress",
        "Service.Proxy.Upstreams.LocalBindSocketPath",
        "Service.Proxy.Upstreams.LocalBindSocketMode",
        "Service.Proxy.Upstreams.MeshGateway.Mode",
        "Service.Proxy.Expose.Paths.Path",
        "Service.Proxy.Expose.Paths.Protocol",
        "Service.Proxy.AccessLogs.Type",
        "Service.Proxy.AccessLogs.Path",
        "Service.Proxy.AccessLogs.JSONFormat",
        "Service.Proxy.AccessLogs.TextFormat",
        "Service.Proxy.EnvoyExtensions.Name",
        "Service.Proxy.EnvoyExtensions.ConsulVersion",
        "Service.Proxy.EnvoyExtensions.EnvoyVersion",
        "Checks.Node",
        "Checks.CheckID",
        "Checks.Name",
        "Checks.Status",
        "Checks.Notes",
        "Checks.Output",
        "Checks.ServiceID",
        "Checks.ServiceName",
        "Checks.Type",
        "Checks.Interval",
        "Checks.Timeout",
        "Checks.PeerName",
    ];
    let numbers = [
        "Service.TaggedAddresses.wan.Port",
        "Service.Port",
        "Service.Weights.Passing",
        "Service.Weights.Warning",
        "Service.Proxy.LocalServicePort",
        "Service.Proxy.Upstreams.LocalBindPort",
        "Service.Proxy.Expose.Paths.ListenerPort",
        "Service.Proxy.Expose.Paths.LocalPathPort",
        "Service.Proxy.TransparentProxy.OutboundListenerPort",
        "Checks.ExposedPort",
    ];
    let flags = [
        "Service.EnableTagOverride",
        "Service.Connect.Native",
        "Service.Proxy.Expose.Checks",
        "Service.Proxy.Expose.Paths.ParsedFromCheck",
        "Service.Proxy.TransparentProxy.DialedDirectly",
        "Service.Proxy.AccessLogs.Enabled",
        "Service.Proxy.AccessLogs.DisableListenerLogs",
        "Service.Proxy.EnvoyExtensions.Required",
    ];
    let words = [
        "Service.Tags",
        "Service.Meta",
        "Service.TaggedAddresses",
        "Node.Meta",
        "Node.TaggedAddresses",
        "Checks.ServiceTags",
    ];
    let records =
        ["Checks", "Service.Proxy.Upstreams", "Service.Proxy.Expose.Paths", "Service.Proxy.EnvoyExtensions"];
    let nothing = [
        "Node",
        "Service",
        "Service.Weights",
        "Service.Proxy",
        "Service.Connect",
        "Service.TaggedAddresses.wan",
        "Service.Proxy.Upstreams.MeshGateway",
        "Service.Proxy.Config",
        "Service.ModifyIndex",
        "Service.Namespace",
        "Service.Partition",
        "Service.Locality",
        "Service.Connect.PeerMeta",
        "Node.Locality",
        "Node.CreateIndex",
        "Checks.Definition",
        "Checks.Namespace",
        "Service.Proxy.Upstreams.Config",
        "Service.Meta.a.b",
        "Service.Port.x",
        "Service.Tags.x",
        "Service.Proxy.EnvoyExtensions.Arguments",
        "Name",
    ];
    // What can be asked: of texts, numbers, flags, lists and maps, lists of records.
    let asks: [(&str, &[&[&str]]); 5] = [
        ("{} matches x", &[&texts]),
        ("{} == x", &[&texts]),
        ("{} == 1", &[&texts, &numbers, &flags]),
        ("x in {}", &[&texts, &words]),
        ("{} is empty", &[&words, &records]),
    ];
    for (ask, fitting) in asks {
        for selector in [&texts[..], &numbers, &flags, &words, &records, &nothing].concat() {
            let filter = Filter::parse(&ask.replace("{}", selector)).expect("a filter");
            let fits = fitting.iter().any(|selectors| selectors.contains(&selector));
            assert_eq!(filter.check(&HealthEntry::default()).is_ok(), fits, "{filter}");
        }
    }
}
