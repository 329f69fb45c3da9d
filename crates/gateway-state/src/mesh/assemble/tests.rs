//! Answers as Consul gives them, and the table that they come to (rows of mesh-gateway 9 in brackets).

use super::*;
use crate::mesh::{Host, Rule};
use serde_json::{Value, json};
use std::time::Duration;

const TD: &str = "6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul";

fn identity(datacenter: &str, trust_domain: &str) -> MeshIdentity {
    MeshIdentity {
        datacenter: datacenter.into(),
        trust_domain: trust_domain.into(),
        partition: "default".into(),
        namespace: "default".into(),
        domain: "consul".into(),
    }
}

fn assembler() -> MeshAssembler {
    let mut assembler = MeshAssembler::new("mesh-gateway", SetPolicy::default());
    assembler.set_identity(Some(identity("fra1", TD)));
    assembler
}

/// A sidecar with what `more` says beside or in place of the usual.
fn row(service: &str, id: &str, address: &str, more: Value) -> HealthEntry {
    let mut row = json!({
        "Node": { "ID": "1", "Node": "n1", "Address": "10.10.3.250", "Datacenter": "fra1" },
        "Service": {
            "Kind": "connect-proxy", "ID": id, "Service": format!("{service}-sidecar-proxy"), "Address": address,
            "Port": 21000, "Weights": { "Passing": 1, "Warning": 1 }, "Meta": null,
            "Proxy": { "DestinationServiceName": service },
        },
        "Checks": [{ "Node": "n1", "CheckID": "serfHealth", "Status": "passing" }],
    });
    merge(&mut row, more);
    serde_json::from_value(row).unwrap()
}

fn gateway(datacenter: &str, wan: &str, index: u64) -> HealthEntry {
    let (host, port) = wan.rsplit_once(':').unwrap();
    let wan = json!({ "Address": host, "Port": port.parse::<u16>().unwrap() });
    row(
        "gateway",
        &format!("gw-{host}"),
        "10.20.0.20",
        json!({
            "Node": { "Datacenter": datacenter },
            "Service": { "Kind": "mesh-gateway", "TaggedAddresses": { "wan": wan }, "ModifyIndex": index },
        }),
    )
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

fn status(word: &str) -> Value {
    json!({ "Checks": [{ "CheckID": "serfHealth", "Status": "passing" }, { "CheckID": "own", "Status": word }] })
}

fn entries(assembler: &mut MeshAssembler, list: &Value) {
    assembler.set_entries("config", list.to_string().as_bytes());
}

fn build(assembler: &mut MeshAssembler) -> Arc<MeshSnapshot> {
    assembler.build().expect("something has changed")
}

/// `address!` of an unhealthy endpoint, `address*weight` of one with a weight.
fn behind(snapshot: &MeshSnapshot, name: &str) -> Vec<String> {
    let sni = format!("{name}.internal.{TD}");
    let Some(found) = snapshot.table.lookup(&sni) else { return vec!["no name".to_owned()] };
    let show = |it: &crate::mesh::TargetEndpoint| {
        let weight = if it.weight == 1 { String::new() } else { format!("*{}", it.weight) };
        format!("{it}{weight}{}", if it.healthy { "" } else { "!" })
    };
    found.target.endpoints.iter().map(show).collect()
}

#[test]
fn a_service_is_its_mesh_instances_and_a_subset_those_that_its_filter_takes() {
    // [T01, T02, T03, T07]
    let mut assembler = assembler();
    let tagged =
        json!({ "Service": { "TaggedAddresses": { "wan": { "Address": "203.0.113.7", "Port": 443 } } } });
    let mut one = tagged;
    merge(&mut one, json!({ "Service": { "Meta": { "version": "v1" } } }));
    let two = json!({ "Service": { "Meta": { "version": "v2" } } });
    let rows = vec![row("billing", "b1", "10.10.3.7", one), row("billing", "b2", "10.10.3.8", two)];
    assembler.set_service(&"billing".into(), rows);
    entries(
        &mut assembler,
        &json!([{
            "Kind": "service-resolver", "Name": "billing", "ConnectTimeout": "7s",
            "Subsets": { "v2": { "Filter": "Service.Meta.version == v2" } },
            "Redirect": null, "Failover": { "*": { "Datacenters": ["ams2"] } }, "SomethingNew": { "a": 1 },
        }]),
    );
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "billing.default.fra1"), ["10.10.3.7:21000", "10.10.3.8:21000"]);
    assert_eq!(behind(&snapshot, "v2.billing.default.fra1"), ["10.10.3.8:21000"]);
    assert_eq!(behind(&snapshot, "v9.billing.default.fra1"), ["no name"]);
    let found = snapshot.table.lookup(&format!("v2.billing.default.fra1.internal.{TD}")).unwrap();
    assert_eq!((found.rule, found.target.connect_timeout), (Rule::Subset, Some(Duration::from_secs(7))));
    assert!(snapshot.rejected.is_empty(), "{:?}", snapshot.rejected);
}

#[test]
fn the_default_subset_stands_for_the_service_and_only_passing_is_strict() {
    // [T04, T05]
    let mut assembler = assembler();
    let meta = |version: &str| json!({ "Service": { "Meta": { "version": version }, "Weights": { "Passing": 5, "Warning": 2 } } });
    let mut warned = meta("v1");
    merge(&mut warned, status("warning"));
    let rows = vec![row("web", "w1", "10.0.0.1", warned), row("web", "w2", "10.0.0.2", meta("v2"))];
    assembler.set_service(&"web".into(), rows);
    let resolver = |default: &str| {
        json!([{
            "Kind": "service-resolver", "Name": "web", "DefaultSubset": default,
            "Subsets": { "v1": { "Filter": "Service.Meta.version == v1", "OnlyPassing": true }, "all": {} },
        }])
    };
    entries(&mut assembler, &resolver("v1"));
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "web.default.fra1"), ["10.0.0.1:21000*2!"]);
    entries(&mut assembler, &resolver(""));
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "web.default.fra1"), ["10.0.0.1:21000*2", "10.0.0.2:21000*5"]);
    assert_eq!(behind(&snapshot, "v1.web.default.fra1"), ["10.0.0.1:21000*2!"]);
}

#[test]
fn an_instance_without_an_address_is_at_its_node_and_one_without_a_port_nowhere() {
    // [T06]
    let mut assembler = assembler();
    let lost = json!({ "Service": { "Port": 0 } });
    let rows = vec![row("web", "w1", "", json!({})), row("web", "w2", "10.0.0.2", lost)];
    assembler.set_service(&"web".into(), rows);
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "web.default.fra1"), ["10.10.3.250:21000"]);
    let warning = snapshot.warnings[0].to_string();
    assert!(warning.contains("/v1/health/connect/web") && warning.contains("w2"), "{warning}");
}

#[test]
fn any_critical_check_of_the_node_or_the_service_is_enough() {
    // [T18, T19; consul-api 7, row 53]
    let mut assembler = assembler();
    let dead = json!({ "Checks": [{ "CheckID": "serfHealth", "Status": "critical" }, { "CheckID": "own", "Status": "passing" }] });
    let rows = vec![row("web", "w1", "10.0.0.1", dead), row("web", "w2", "10.0.0.2", json!({}))];
    assembler.set_service(&"web".into(), rows);
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "web.default.fra1"), ["10.0.0.1:21000!", "10.0.0.2:21000"]);
}

#[test]
fn the_last_instance_takes_the_name_with_it() {
    // [T16, T17]
    let mut assembler = assembler();
    assembler.set_service(&"web".into(), vec![row("web", "w1", "10.0.0.1", json!({}))]);
    build(&mut assembler);
    assembler.set_service(&"web".into(), Vec::new());
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "web.default.fra1"), ["no name"]);
    assembler.set_service(&"never".into(), Vec::new());
    assert!(!assembler.is_touched());
}

#[test]
fn names_are_in_lower_case_and_two_that_differ_in_case_are_told_of() {
    // [T20]
    let mut assembler = assembler();
    assembler.set_service(&"Billing".into(), vec![row("Billing", "b1", "10.0.0.1", json!({}))]);
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "billing.default.fra1"), ["10.0.0.1:21000"]);
    assembler.set_service(&"billing".into(), vec![row("billing", "b2", "10.0.0.2", json!({}))]);
    let snapshot = build(&mut assembler);
    assert_eq!(snapshot.table.targets().len(), 1);
    assert!(snapshot.warnings[0].to_string().contains("nothing but case"), "{:?}", snapshot.warnings);
    // One that comes between them in the order of names does not hide it.
    assembler.set_service(&"api".into(), vec![row("api", "a1", "10.0.0.3", json!({}))]);
    let snapshot = build(&mut assembler);
    assert_eq!(snapshot.warnings.len(), 1, "{:?}", snapshot.warnings);
    assembler.set_service(&"BILLING".into(), vec![row("BILLING", "b3", "10.0.0.4", json!({}))]);
    assert_eq!(build(&mut assembler).warnings.len(), 2);
    assembler.set_service(&"BILLING".into(), Vec::new());
    assembler.set_service(&"Billing".into(), Vec::new());
    let snapshot = build(&mut assembler);
    assert!(snapshot.warnings.is_empty());
    assert_eq!(behind(&snapshot, "billing.default.fra1"), ["10.0.0.2:21000"]);
}

#[test]
fn an_external_service_is_behind_its_terminating_gateway() {
    let mut assembler = assembler();
    let kind = json!({ "Service": { "Kind": "terminating-gateway", "Proxy": null, "Port": 8443 } });
    assembler.set_service(&"billing-db".into(), vec![row("egress", "tg-1", "10.10.0.30", kind)]);
    assert_eq!(behind(&build(&mut assembler), "billing-db.default.fra1"), ["10.10.0.30:8443"]);
}

#[test]
fn another_datacenter_is_all_its_names_at_the_wan_address_of_its_gateways() {
    // [T08, T13, T14, T15]
    let mut assembler = assembler();
    let states = BTreeMap::from([
        ("ams2".into(), vec![gateway("ams2", "198.51.100.20:443", 7)]),
        ("fra1".into(), vec![gateway("fra1", "203.0.113.10:443", 7)]),
    ]);
    assembler.set_federation_states(states);
    let snapshot = build(&mut assembler);
    assert_eq!(snapshot.table.targets().len(), 1, "the own datacenter has no wildcard");
    for name in ["billing.default.ams2", "x.y.z.ams2"] {
        assert_eq!(behind(&snapshot, name), ["198.51.100.20:443"], "{name}");
    }
    for sni in [format!("ams2.internal.{TD}"), "billing.default.ams2.internal.other.consul".to_owned()] {
        assert!(snapshot.table.lookup(&sni).is_none(), "{sni}");
    }
}

#[test]
fn of_two_lists_of_gateways_the_newer_one_counts_as_a_whole() {
    // [T12]
    for (replicated, asked, wanted) in
        [(90, 70, "192.0.2.90:443"), (70, 90, "192.0.2.1:443"), (80, 80, "192.0.2.1:443")]
    {
        let mut assembler = assembler();
        let states = BTreeMap::from([("ams2".into(), vec![gateway("ams2", "192.0.2.90:443", replicated)])]);
        assembler.set_federation_states(states);
        assembler.set_asked("ams2", vec![gateway("ams2", "192.0.2.1:443", asked)]);
        assert_eq!(behind(&build(&mut assembler), "web.default.ams2"), [wanted], "{replicated} {asked}");
    }
    let mut assembler = assembler();
    assembler.set_asked("ams2", vec![gateway("ams2", "192.0.2.1:443", 1)]);
    assert_eq!(behind(&build(&mut assembler), "web.default.ams2"), ["192.0.2.1:443"], "the fall-back alone");
    assembler.keep_remotes(&BTreeSet::new());
    assert_eq!(behind(&build(&mut assembler), "web.default.ams2"), ["no name"]);
}

#[test]
fn a_gateway_may_have_a_host_name_and_a_wan_address_may_come_from_the_node() {
    // [T09, T10]
    let mut assembler = assembler();
    let named = gateway("ams2", "gw.ams2.example.net:443", 1);
    let node = row(
        "gateway",
        "gw-2",
        "",
        json!({
            "Node": { "TaggedAddresses": { "wan": "198.51.100.9", "lan": "10.0.0.9" } },
            "Service": { "Kind": "mesh-gateway", "Port": 8443 },
        }),
    );
    assembler.set_federation_states(BTreeMap::from([("ams2".into(), vec![named, node])]));
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "web.default.ams2"), ["198.51.100.9:8443", "gw.ams2.example.net:443"]);
    let found = snapshot.table.lookup(&format!("web.default.ams2.internal.{TD}")).unwrap();
    assert!(found.target.endpoints.iter().any(|it| matches!(it.host, Host::Name(_))));
    assert!(found.target.remote && !found.target.only_first_name);
    assembler.set_own(OwnOptions::default(), true);
    let snapshot = build(&mut assembler);
    let found = snapshot.table.lookup(&format!("web.default.ams2.internal.{TD}")).unwrap();
    assert!(found.target.only_first_name);
}

#[test]
fn limits_come_from_the_entry_of_the_gateway_and_go_with_it() {
    // [T39]
    let mut assembler = assembler();
    assembler.set_service(&"web".into(), vec![row("web", "w1", "10.0.0.1", json!({}))]);
    let limits = |name: &str| {
        json!([{ "Kind": "service-defaults", "Name": name, "Protocol": "http",
                 "UpstreamConfig": { "Defaults": { "Limits": { "MaxConnections": 1 } } } }])
    };
    let most = |snapshot: &MeshSnapshot| snapshot.table.targets()[0].policy.limits.max_connections;
    entries(&mut assembler, &limits("web"));
    assert_eq!(most(&build(&mut assembler)), None, "not its own");
    entries(&mut assembler, &limits("mesh-gateway"));
    assert_eq!(most(&build(&mut assembler)), Some(1));
    entries(&mut assembler, &json!([]));
    assert_eq!(most(&build(&mut assembler)), None);
}

#[test]
fn an_entry_that_cannot_be_understood_keeps_its_last_good_version_and_disturbs_nobody() {
    let mut assembler = assembler();
    for name in ["web", "api"] {
        assembler.set_service(
            &name.into(),
            vec![row(name, name, "10.0.0.1", json!({ "Service": { "Meta": { "v": "1" } } }))],
        );
    }
    let resolver = |name: &str, filter: &str| json!({ "Kind": "service-resolver", "Name": name, "Subsets": { "s": { "Filter": filter } } });
    entries(&mut assembler, &json!([resolver("web", "Service.Meta.v == 1")]));
    build(&mut assembler);
    entries(
        &mut assembler,
        &json!([resolver("web", "Service.Meta.v =="), resolver("api", "Service.Meta.v == 1")]),
    );
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "s.web.default.fra1"), ["10.0.0.1:21000"]);
    assert_eq!(behind(&snapshot, "s.api.default.fra1"), ["10.0.0.1:21000"]);
    let rejected = &snapshot.rejected[0];
    assert!(rejected.kept && rejected.document == "service-resolver web", "{rejected:?}");
    assert!(rejected.problem.to_string().starts_with("/v1/config"), "{rejected:?}");
    entries(&mut assembler, &json!([resolver("web", "Service.Meta.v == 2")]));
    let snapshot = build(&mut assembler);
    assert!(snapshot.rejected.is_empty());
    assert_eq!(behind(&snapshot, "s.web.default.fra1"), Vec::<String>::new());
    assert_eq!(behind(&snapshot, "s.api.default.fra1"), ["no name"], "its resolver is gone");
}

#[test]
fn a_list_of_one_kind_stands_in_for_that_kind_of_the_list_of_all() {
    let mut assembler = assembler();
    assembler.set_service(&"web".into(), vec![row("web", "w1", "10.0.0.1", json!({}))]);
    let subset = |name: &str| json!({ "Kind": "service-resolver", "Name": "web", "Subsets": { name: {} } });
    let limit = json!({
        "Kind": "service-defaults", "Name": "mesh-gateway",
        "UpstreamConfig": { "Defaults": { "Limits": { "MaxConnections": 5 } } },
    });
    entries(&mut assembler, &json!([subset("old"), limit]));
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "old.web.default.fra1"), ["10.0.0.1:21000"]);
    // From here on Consul refuses to list all kinds at once.
    assembler.set_entries("config/service-resolver", b"no list");
    assert_eq!(behind(&build(&mut assembler), "old.web.default.fra1"), ["10.0.0.1:21000"]);
    let list = json!([subset("new")]).to_string();
    assembler.set_entries("config/service-resolver", list.as_bytes());
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "old.web.default.fra1"), ["no name"]);
    assert_eq!(behind(&snapshot, "new.web.default.fra1"), ["10.0.0.1:21000"]);
    assert_eq!(snapshot.table.targets()[0].policy.limits.max_connections, Some(5), "another kind stays");
    assembler.set_entries("config/service-resolver", b"[]");
    assert_eq!(behind(&build(&mut assembler), "new.web.default.fra1"), ["no name"]);
    assembler.set_entries("config/service-defaults", b"[]");
    assert_eq!(build(&mut assembler).table.targets()[0].policy.limits.max_connections, None);
}

#[test]
fn entries_are_of_a_service_whatever_the_case_of_either() {
    // [T20]
    let mut assembler = assembler();
    assembler.set_service(&"Billing".into(), vec![row("Billing", "b1", "10.0.0.1", json!({}))]);
    build(&mut assembler);
    for (name, subset) in [("billing", "one"), ("BILLING", "two")] {
        entries(
            &mut assembler,
            &json!([{ "Kind": "service-resolver", "Name": name, "Subsets": { subset: {} } }]),
        );
        let snapshot = build(&mut assembler);
        assert_eq!(behind(&snapshot, &format!("{subset}.billing.default.fra1")), ["10.0.0.1:21000"]);
    }
    entries(&mut assembler, &json!([]));
    assert_eq!(behind(&build(&mut assembler), "two.billing.default.fra1"), ["no name"]);
}

#[test]
fn a_service_whose_resolver_was_never_understood_has_no_name() {
    let mut assembler = assembler();
    assembler.set_service(&"web".into(), vec![row("web", "w1", "10.0.0.1", json!({}))]);
    assembler.set_service(&"api".into(), vec![row("api", "a1", "10.0.0.2", json!({}))]);
    for filter in ["Service.Meta.v ==", "Checks.Output == secret", "\"x\" not in Checks.Notes"] {
        entries(
            &mut assembler,
            &json!([
                { "Kind": "service-resolver", "Name": "web", "DefaultSubset": "s", "Subsets": { "s": { "Filter": filter } } },
            ]),
        );
        let snapshot = assembler.build().unwrap_or_else(|| assembler.snapshot().clone());
        assert_eq!(behind(&snapshot, "web.default.fra1"), ["no name"], "{filter}");
        assert_eq!(behind(&snapshot, "api.default.fra1"), ["10.0.0.2:21000"]);
        assert!(snapshot.warnings.iter().any(|it| it.to_string().contains("health/connect/web")), "{filter}");
    }
    entries(&mut assembler, &json!([]));
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "web.default.fra1"), ["10.0.0.1:21000"]);
    assert!(snapshot.warnings.is_empty());
}

#[test]
fn a_list_that_is_rubbish_changes_nothing() {
    let mut assembler = assembler();
    assembler.set_service(&"web".into(), vec![row("web", "w1", "10.0.0.1", json!({}))]);
    entries(&mut assembler, &json!([{ "Kind": "service-resolver", "Name": "web", "Subsets": { "s": {} } }]));
    build(&mut assembler);
    assembler.set_entries("config", b"{not json");
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "s.web.default.fra1"), ["10.0.0.1:21000"]);
    assert_eq!(snapshot.rejected.len(), 1);
    assembler.set_entries("config", b"[]");
    let snapshot = build(&mut assembler);
    assert!(snapshot.rejected.is_empty());
    assert_eq!(behind(&snapshot, "s.web.default.fra1"), ["no name"]);
}

#[test]
fn without_a_trust_domain_nothing_has_a_name_and_with_another_one_all_have_another() {
    // [T67; consul-api 7, row 32]
    let mut assembler = MeshAssembler::new("mesh-gateway", SetPolicy::default());
    assembler.set_service(&"web".into(), vec![row("web", "w1", "10.0.0.1", json!({}))]);
    assembler
        .set_federation_states(BTreeMap::from([("ams2".into(), vec![gateway("ams2", "192.0.2.1:443", 1)])]));
    assert!(assembler.build().is_none());
    assert_eq!(assembler.snapshot().generation, 0);
    assembler.set_identity(Some(identity("fra1", TD)));
    assert_eq!(build(&mut assembler).table.targets().len(), 2);
    assembler.set_identity(None);
    assert!(!assembler.is_touched(), "what is known stays");
    assembler.set_identity(Some(identity("fra1", "new.consul")));
    let snapshot = build(&mut assembler);
    assert_eq!(behind(&snapshot, "web.default.fra1"), ["no name"]);
    assert!(snapshot.table.lookup("web.default.fra1.internal.new.consul").is_some());
    assert!(snapshot.table.lookup("web.default.ams2.internal.new.consul").is_some());
}

#[test]
fn only_what_an_answer_touched_is_compiled_and_the_rest_is_shared() {
    let mut assembler = assembler();
    for number in 0..50 {
        let name = format!("s{number}");
        let rows = vec![row(&name, &name, &format!("10.0.0.{number}"), json!({}))];
        assembler.set_service(&name.as_str().into(), rows);
    }
    let first = build(&mut assembler);
    assert_eq!(first.compiled, 50);
    assembler.set_service(&"s7".into(), vec![row("s7", "s7", "10.9.9.9", json!({}))]);
    let second = build(&mut assembler);
    assert_eq!((second.compiled, second.generation), (1, 2));
    assert!(second.table.has_names_of(&first.table));
    let shared = |(a, b): (&Arc<Target>, &Arc<Target>)| Arc::ptr_eq(a, b);
    assert_eq!(
        first.table.targets().iter().zip(second.table.targets()).filter(|pair| shared(*pair)).count(),
        49
    );
    assembler.set_service(&"s7".into(), vec![row("s7", "s7", "10.9.9.9", json!({}))]);
    assert!(assembler.build().is_none(), "the same again is no news");
    entries(&mut assembler, &json!([{ "Kind": "service-resolver", "Name": "s8", "ConnectTimeout": "1s" }]));
    assert_eq!(build(&mut assembler).compiled, 1);
    entries(
        &mut assembler,
        &json!([
            { "Kind": "service-resolver", "Name": "s8", "ConnectTimeout": "1s" },
            { "Kind": "service-router", "Name": "s9", "Routes": [] },
        ]),
    );
    assert!(assembler.build().is_none(), "a kind that is nothing to it");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever the order and the number of steps: the table is what one step would have made.
        #[test]
        fn steps_come_to_the_same_as_one(changes in prop::collection::vec((0..6_usize, 0..4_u8, any::<bool>()), 1..40)) {
            let mut stepwise = assembler();
            let mut last: BTreeMap<usize, Vec<HealthEntry>> = BTreeMap::new();
            let mut subsets = BTreeSet::new();
            let resolvers = |subsets: &BTreeSet<usize>| {
                let one = |service: &usize| json!({ "Kind": "service-resolver", "Name": format!("s{service}"), "Subsets": { "sub": {} } });
                Value::Array(subsets.iter().map(one).collect())
            };
            for (service, instances, toggle) in changes {
                let name = format!("s{service}");
                let rows: Vec<_> =
                    (0..instances).map(|n| row(&name, &format!("{name}-{n}"), &format!("10.0.{service}.{n}"), json!({}))).collect();
                stepwise.set_service(&name.as_str().into(), rows.clone());
                last.insert(service, rows);
                if toggle {
                    if !subsets.remove(&service) {
                        subsets.insert(service);
                    }
                    entries(&mut stepwise, &resolvers(&subsets));
                }
                stepwise.build();
            }
            let mut at_once = assembler();
            for (service, rows) in last {
                at_once.set_service(&format!("s{service}").as_str().into(), rows);
            }
            entries(&mut at_once, &resolvers(&subsets));
            at_once.build();
            let (a, b) = (stepwise.snapshot(), at_once.snapshot());
            prop_assert_eq!(a.table.targets(), b.table.targets());
            for target in a.table.targets() {
                prop_assert_eq!(&*a.table.lookup(&target.id).unwrap().target.id, &*target.id);
            }
        }
    }
}
