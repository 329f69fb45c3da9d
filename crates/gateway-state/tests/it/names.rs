//! Which names a catalog makes and what is behind each: the table of `mesh-gateway.md`, by scenario.

use crate::support::{Catalog, MESH, TD, behind, local, sidecar};
use gateway_state::{
    FileSource, SourceConfig,
    mesh::{MeshRole, Rule, SetPolicy},
};
use std::time::Duration;

const BILLING: &str = r#"
[[Instance]]
Service = "billing"
Kind = "connect-proxy"
ID = "billing-1"
Address = "10.10.3.7"
Port = 21000
Meta = { version = "v1" }

[[Instance]]
Service = "billing"
Kind = "connect-proxy"
ID = "billing-2"
Address = "10.10.3.8"
Port = 21000
Status = "warning"
Weights = { Passing = 5, Warning = 2 }
Meta = { version = "v2" }
Tags = ["blue"]

[[Entry]]
Kind = "service-resolver"
Name = "billing"
ConnectTimeout = "7s"
Subsets.v1.Filter = "Service.Meta.version == v1"
Subsets.v2.Filter = "Service.Meta.version == v2 and blue in Service.Tags"
Subsets.strict = { Filter = "", OnlyPassing = true }
"#;

#[test]
fn services_and_subsets_have_their_instances() {
    let table = Catalog::of(BILLING).table();
    let both = "10.10.3.7:21000 w1, 10.10.3.8:21000 w2";
    assert_eq!(behind(&table, &local("billing")).as_deref(), Some(both));
    assert_eq!(behind(&table, &local("v1.billing")).as_deref(), Some("10.10.3.7:21000 w1"));
    assert_eq!(behind(&table, &local("v2.billing")).as_deref(), Some("10.10.3.8:21000 w2"));
    let strict = "10.10.3.7:21000 w1, 10.10.3.8:21000 w2 down";
    assert_eq!(behind(&table, &local("strict.billing")).as_deref(), Some(strict));
    assert_eq!(behind(&table, &local("v9.billing")), None, "no such subset");
    let found = table.lookup(&local("v1.billing")).expect("a subset");
    assert_eq!((found.rule, &*found.target.service), (Rule::Subset, "billing"));
    assert_eq!(found.target.connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(&*found.target.endpoints[0].label, "billing-1");
    assert!(!found.target.remote);
}

#[test]
fn a_default_subset_stands_for_the_service() {
    let table = Catalog::of(&format!("{BILLING}\nDefaultSubset = \"v1\"\n")).table();
    assert_eq!(behind(&table, &local("billing")).as_deref(), Some("10.10.3.7:21000 w1"));
    let table = Catalog::of(&format!("{BILLING}\nDefaultSubset = \"strict\"\n")).table();
    let strict = "10.10.3.7:21000 w1, 10.10.3.8:21000 w2 down";
    assert_eq!(behind(&table, &local("billing")).as_deref(), Some(strict), "its OnlyPassing counts as well");
}

#[test]
fn a_subset_without_instances_is_a_name_with_nothing_behind() {
    let entry =
        "[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\nSubsets.v1.Filter = \"Service.ID == no\"\n";
    let table = Catalog::of(&format!("{}{entry}", sidecar("web", "10.0.0.1:1"))).table();
    assert_eq!(behind(&table, &local("v1.web")).as_deref(), Some(""));
}

#[test]
fn health_and_weights_follow_consul() {
    let cases = [
        ("Status = \"critical\"", "10.0.0.1:1 w1 down"),
        ("Status = \"maintenance\"", "10.0.0.1:1 w1 down"),
        ("Weights = { Passing = 0 }", "10.0.0.1:1 w1 down"),
        ("Weights = { Passing = 200 }", "10.0.0.1:1 w128"),
        ("Status = \"warning\"\nWeights = { Passing = 9, Warning = 0 }", "10.0.0.1:1 w1 down"),
        ("Weights = { Passing = 9 }", "10.0.0.1:1 w9"),
    ];
    for (lines, expected) in cases {
        let table = Catalog::of(&format!("{}{lines}\n", sidecar("web", "10.0.0.1:1"))).table();
        assert_eq!(behind(&table, &local("web")).as_deref(), Some(expected), "{lines}");
    }
}

#[test]
fn only_what_is_in_the_mesh_has_a_name() {
    let rows = r#"
[[Instance]]
Service = "plain"
Address = "10.0.0.1"
Port = 1
[[Instance]]
Service = "native"
Native = true
Address = "10.0.0.2"
Port = 2
[[Instance]]
Service = "elsewhere"
Kind = "connect-proxy"
Datacenter = "ams2"
Address = "10.0.0.3"
Port = 3
[[Instance]]
Service = "imported"
Kind = "connect-proxy"
Peer = "east"
Address = "10.0.0.4"
Port = 4
[[Instance]]
Service = "ingress-gateway"
Kind = "ingress-gateway"
Address = "10.0.0.5"
Port = 5
"#;
    let table = Catalog::of(rows).table();
    let names: Vec<_> = table.names().map(|(name, _, _)| name.to_string()).collect();
    assert_eq!(names, [local("native")]);
    assert_eq!(behind(&table, &local("native")).as_deref(), Some("10.0.0.2:2 w1"));
}

const GATEWAYS: &str = r#"
[[Instance]]
Service = "mesh-gateway"
Kind = "mesh-gateway"
Address = "10.10.0.20"
Port = 8443
[[Instance]]
Service = "mesh-gateway"
Kind = "mesh-gateway"
Datacenter = "ams2"
Address = "10.20.0.20"
Port = 8443
TaggedAddresses = { lan = { Address = "10.20.0.20", Port = 8443 }, wan = { Address = "198.51.100.20", Port = 443 } }
[[Instance]]
Service = "mesh-gateway"
Kind = "mesh-gateway"
Datacenter = "ams2"
Address = "10.20.0.21"
Port = 8443
WanAddress = "gw.ams2.example.net:443"
[[Instance]]
Service = "mesh-gateway"
Kind = "mesh-gateway"
Datacenter = "sto3"
Address = "10.30.0.20"
Port = 8443
[[Instance]]
Service = "mesh-gateway"
Kind = "mesh-gateway"
Partition = "fin"
Address = "10.10.9.20"
Port = 8443
TaggedAddresses.wan = { Address = "203.0.113.9", Port = 0 }
"#;

#[test]
fn other_places_are_reached_by_the_wan_addresses_of_their_gateways() {
    let table = Catalog::of(GATEWAYS).table();
    let ams2 = "198.51.100.20:443 w1, gw.ams2.example.net:443 w1";
    let name = |name: &str| format!("{name}.internal.{TD}");
    assert_eq!(behind(&table, &name("billing.default.ams2")).as_deref(), Some(ams2));
    assert_eq!(behind(&table, &name("x.y.z.ams2")).as_deref(), Some(ams2), "any number of labels");
    assert_eq!(behind(&table, &name("ams2")), None, "but not none");
    assert_eq!(behind(&table, &format!(".ams2.internal.{TD}")), None, "and not an empty one");
    assert_eq!(behind(&table, &name("a.b.sto3")).as_deref(), Some("10.30.0.20:8443 w1"), "no WAN address");
    let fin = format!("billing.pay.fin.fra1.internal-v1.{TD}");
    assert_eq!(behind(&table, &fin).as_deref(), Some("203.0.113.9:8443 w1"), "the port of the instance");
    let found = table.lookup(&name("billing.default.ams2")).expect("ams2");
    assert_eq!((found.rule, &*found.target.service), (Rule::RemoteDatacenter, "dc:ams2"));
    assert_eq!(&**found.name, format!("*.ams2.internal.{TD}"));
    assert!(found.target.remote);
    assert_eq!(table.lookup(&fin).expect("fin").rule, Rule::RemotePartition);
    assert_eq!(table.targets().len(), 3, "none for its own datacenter");
}

#[test]
fn names_that_no_document_declares_lead_nowhere() {
    let table = Catalog::of(&format!("{BILLING}{GATEWAYS}")).table();
    for name in [
        "billing.default.fra1.internal.00000000-93b7-4d0e-8a55-1b7d2c9e0f43.consul".to_owned(),
        format!("geo-db.default.fra1.query.{TD}"),
        local("unknown"),
        format!("{}.", local("billing")),
        "10.10.3.7".to_owned(),
        "local_agent".to_owned(),
        String::new(),
        ".".to_owned(),
    ] {
        assert_eq!(behind(&table, &name), None, "{name:?}");
    }
}

#[test]
fn names_are_lower_case_whatever_the_documents_are() {
    let rows = sidecar("Billing", "10.0.0.1:1") + &sidecar("billing", "10.0.0.2:1");
    let upper = MESH.replace("fra1", "FRA1").replace("consul", "Consul");
    let table = Catalog::new(&[("a.toml", &upper), ("b.toml", &rows)]).table();
    assert_eq!(behind(&table, &local("billing")).as_deref(), Some("10.0.0.1:1 w1, 10.0.0.2:1 w1"));
    assert_eq!(table.targets().len(), 1, "Consul does not tell names apart by case");
}

#[test]
fn a_partition_has_its_own_form_of_names_and_no_other_datacenters() {
    let mesh = format!("{MESH}Partition = \"fin\"\nNamespace = \"pay\"\n");
    let rows = sidecar("billing", "10.0.0.1:1") + "Namespace = \"ops\"\n" + &sidecar("web", "10.0.0.2:1");
    let subset =
        "[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\nPartition = \"fin\"\nSubsets.v2 = {}\n";
    let home = GATEWAYS.replace("Partition = \"fin\"", "Partition = \"default\"");
    let files = [("a.toml", mesh.as_str()), ("b.toml", &rows), ("c.toml", subset), ("d.toml", &home)];
    let table = Catalog::new(&files).table();
    let names: Vec<_> = table.names().map(|(name, rule, _)| format!("{rule} {name}")).collect();
    assert_eq!(
        names,
        [
            format!("remote_partition *.fra1.internal.{TD}"),
            format!("service billing.ops.fin.fra1.internal-v1.{TD}"),
            format!("subset v2.web.pay.fin.fra1.internal-v1.{TD}"),
            format!("service web.pay.fin.fra1.internal-v1.{TD}"),
        ]
    );
}

const TERMINATING: &str = r#"
[[Instance]]
Service = "egress"
Kind = "terminating-gateway"
Address = "10.0.0.9"
Port = 8443
[[Instance]]
Service = "db"
Address = "db.example.com"
Port = 5432
[[Instance]]
Service = "consul"
Address = "10.0.0.3"
Port = 8300
[[Instance]]
Service = "web"
Native = true
Address = "10.0.0.4"
Port = 443
[[Entry]]
Kind = "service-defaults"
Name = "outside"
Destination = { Addresses = ["api.example.com"], Port = 443 }
"#;

#[test]
fn linked_services_lead_to_their_terminating_gateway() {
    let entry = |services: &str| {
        format!(
            "{TERMINATING}[[Entry]]\nKind = \"terminating-gateway\"\nName = \"egress\"\nServices = [{services}]\n"
        )
    };
    let names = |text: &str| {
        let table = Catalog::of(text).table();
        let name = |target: &std::sync::Arc<gateway_state::mesh::Target>| {
            format!("{} {}", target.service, behind(&table, &target.id).expect("it is there"))
        };
        table.targets().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(TERMINATING), ["web 10.0.0.4:443 w1"], "nothing is linked");
    assert_eq!(
        names(&entry("{ Name = \"billing\" }, { Name = \"web\" }")),
        ["billing 10.0.0.9:8443 w1", "web 10.0.0.4:443 w1, 10.0.0.9:8443 w1"],
        "a link needs no instance; what is in the mesh as well is behind one name"
    );
    assert_eq!(
        names(&entry("{ Name = \"*\", CAFile = \"/etc/ca.pem\" }")),
        ["db 10.0.0.9:8443 w1", "outside 10.0.0.9:8443 w1", "web 10.0.0.4:443 w1"],
    );
}

#[test]
fn routes_are_exact_or_the_longest_suffix() {
    let routes = r#"
[[Route]]
SNI = "*.Legacy.example.com"
To = ["10.0.0.5:443", "[2001:db8::5]:443", "old.example.net:8443"]
[[Route]]
SNI = "*.deep.legacy.example.com"
To = ["10.0.0.6:443"]
[[Route]]
SNI = "a.legacy.example.com"
To = ["10.0.0.7:443"]
"#;
    let table = Catalog::of(routes).table();
    let legacy = "10.0.0.5:443 w1, [2001:db8::5]:443 w1, old.example.net:8443 w1";
    assert_eq!(behind(&table, "b.legacy.example.com").as_deref(), Some(legacy));
    assert_eq!(behind(&table, "c.b.legacy.example.com").as_deref(), Some(legacy));
    assert_eq!(behind(&table, "deep.legacy.example.com").as_deref(), Some(legacy));
    assert_eq!(behind(&table, "x.deep.legacy.example.com").as_deref(), Some("10.0.0.6:443 w1"));
    assert_eq!(behind(&table, "a.legacy.example.com").as_deref(), Some("10.0.0.7:443 w1"));
    assert_eq!(behind(&table, "legacy.example.com"), None);
    let found = table.lookup("b.legacy.example.com").expect("a route");
    assert_eq!((found.rule, &*found.target.service), (Rule::StaticRoute, "route:*.legacy.example.com"));
}

#[test]
fn balancers_come_from_the_resolver() {
    use mesh_endpoints::Balancer;
    let resolver = |policy: &str| {
        let entry = "[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\n";
        let text = format!("{}{entry}LoadBalancer = {{ {policy} }}\n", sidecar("web", "10.0.0.1:1"));
        let snapshot = Catalog::of(&text).load().unwrap_or_else(|problems| panic!("{problems}"));
        (snapshot.table.targets()[0].policy.balancer, snapshot.warnings.len())
    };
    assert_eq!(resolver(""), (Balancer::RoundRobin, 0));
    assert_eq!(resolver("Policy = \"random\""), (Balancer::Random, 0));
    let least = "Policy = \"least_request\", LeastRequestConfig = { ChoiceCount = 5 }";
    assert_eq!(resolver(least), (Balancer::LeastRequest { choice_count: 5 }, 0));
    assert_eq!(resolver("Policy = \"ring_hash\""), (Balancer::RoundRobin, 1), "with a warning");
    assert_eq!(resolver("Policy = \"maglev\""), (Balancer::RoundRobin, 1), "with a warning");
}

#[test]
fn limits_come_from_the_entry_that_is_named_like_the_gateway() {
    let entry = r#"
[[Entry]]
Kind = "service-defaults"
Name = "edge"
[Entry.UpstreamConfig.Defaults.Limits]
MaxConnections = 7
MaxConcurrentRequests = 1
"#;
    let catalog = Catalog::of(&format!("{}{entry}", sidecar("web", "10.0.0.1:1")));
    let limits = |service: &str| {
        let mut policy = SetPolicy::default();
        policy.limits.max_connections = Some(1000);
        policy.limits.max_pending = Some(100);
        let config = SourceConfig { service: service.to_owned(), policy, ..SourceConfig::default() };
        let loaded = FileSource::<MeshRole>::load(&catalog.path(""), &config).expect("a catalog");
        let limits = loaded.reader.current().table.targets()[0].policy.limits;
        (limits.max_connections, limits.max_pending)
    };
    assert_eq!(limits("edge"), (Some(7), Some(100)));
    assert_eq!(limits("mesh-gateway"), (Some(1000), Some(100)));
}

#[test]
fn near_names_help_those_who_mistype() {
    let table = Catalog::of(BILLING).table();
    assert_eq!(table.near(&local("biling"), 1), [local("billing")]);
    assert_eq!(table.near(&local("v3.billing"), 2), [local("v1.billing"), local("v2.billing")]);
    assert!(table.near("www.example.com", 3).is_empty());
}
