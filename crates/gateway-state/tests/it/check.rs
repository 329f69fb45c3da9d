//! What is refused at the start, and how it is said: all problems at once, with file, line and key.

use crate::support::{Catalog, MESH, TD, behind, local, printed, sidecar};
use gateway_state::{FileSource, mesh::MeshRole};
use std::{fs, os::unix::fs::PermissionsExt};

const ROOTS: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// The example of `static-catalog.md`, as tables of TOML.
const EXAMPLE: [&str; 6] = [
    "[[Leaf]]\nService = \"ingress-gateway\"\nCertFile = \"certs/i.pem\"\nKeyFile = \"certs/i-key.pem\"\n",
    r#"
[[Instance]]
Service = "web"
Kind = "connect-proxy"
Address = "10.10.3.9"
Port = 21000
ID = "web-1"
Node = "n1"
Status = "passing"
Weights = { Passing = 1, Warning = 1 }
Meta = { version = "v1" }
Tags = []
Native = false
Datacenter = "dc1"
Locality = { Region = "r1", Zone = "z1" }
Peer = ""
[[Instance]]
Service = "mesh-gateway"
Kind = "mesh-gateway"
Datacenter = "dc2"
Address = "10.20.0.20"
Port = 8443
WanAddress = "198.51.100.7:443"
"#,
    "[[Server]]\nName = \"s1\"\nAddress = \"10.10.0.11:8300\"\nGrpcTLSAddress = \"10.10.0.11:8503\"\n",
    r#"
[[Peer]]
Name = "west"
TrustDomain = "99999999-2222-3333-4444-555555555555.consul"
Roots = ["ca/roots.pem"]
PartitionOfPeer = "default"
ServerName = "server.dc9.peering.99999999-2222-3333-4444-555555555555.consul"
ServerAddresses = ["192.0.2.50:8443"]
"#,
    "[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\nDefaultSubset = \"v1\"\n\
     Subsets.v1.Filter = 'Service.Meta.version == \"v1\"'\n",
    "[[Route]]\nSNI = \"*.legacy.example.com\"\nTo = [\"10.0.0.5:443\", \"10.0.0.6:443\"]\n",
];

const EXAMPLE_MESH: &str = r#"[Mesh]
Datacenter    = "dc1"
TrustDomain   = "11111111-2222-3333-4444-555555555555.consul"
Roots         = ["ca/roots.pem"]
DefaultPolicy = "deny"
Domain = "consul."
Partition = "default"
Namespace = "default"
Locality = { Region = "r1", Zone = "z1" }
"#;

const EXAMPLE_JSON: &str = r#"{
  "Entry": [{"Kind": "service-resolver", "Name": "web", "DefaultSubset": "v1",
             "Subsets": {"v1": {"Filter": "Service.Meta.version == \"v1\""}}}],
  "Mesh": {"Datacenter": "dc1", "TrustDomain": "11111111-2222-3333-4444-555555555555.consul",
           "Roots": ["ca/roots.pem"]},
  "Route": [{"sni": "*.legacy.example.com", "to": ["10.0.0.6:443", "10.0.0.5:443"]}],
  "Instance": [
    {"Service": "mesh-gateway", "Kind": "mesh-gateway", "Datacenter": "dc2", "Address": "10.20.0.20", "Port": 8443,
     "TaggedAddresses": {"wan": {"Address": "198.51.100.7", "Port": 443}}},
    {"Service": "web", "kind": "connect-proxy", "address": "10.10.3.9", "port": 21000, "id": "web-1",
     "meta": {"version": "v1"}, "Tags": null}]
}"#;

#[test]
fn one_catalog_is_one_snapshot_however_it_is_written() {
    let split =
        Catalog::new(&[("a/mesh.toml", &EXAMPLE_MESH.replace("ca/", "../ca/")), ("ca/roots.pem", ROOTS)]);
    for (number, part) in EXAMPLE.iter().enumerate() {
        // Files at different depths, in an order of their own.
        split.write(&format!("{}.toml", ["z", "b", "y", "ca", "x", "c"][number]), part);
    }
    let whole = EXAMPLE_MESH.to_owned() + &EXAMPLE.concat();
    let whole = Catalog::new(&[("all.toml", &whole), ("ca/roots.pem", ROOTS)]);
    let json = Catalog::new(&[("all.json", EXAMPLE_JSON), ("ca/roots.pem", ROOTS)]);
    let snapshots =
        [split, whole, json].map(|catalog| catalog.load().unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(printed(&snapshots[0]), printed(&snapshots[1]));
    assert_eq!(printed(&snapshots[0]), printed(&snapshots[2]));
    assert_eq!(snapshots[0].table.targets().len(), 4);
    assert_eq!(&*snapshots[0].mesh.domain, "consul");
}

#[test]
fn a_mistyped_key_is_named_with_its_place_and_what_was_meant() {
    let rows = sidecar("a", "10.0.0.1:1") + &sidecar("b", "10.0.0.2:1") + &sidecar("c", "10.0.0.3:1");
    let text = format!("{MESH}{rows}[[Instance]]\nAddress = \"10.0.0.4\"\nPort = 1\nServce = \"web\"\n");
    let problems = Catalog::new(&[("web.toml", &text)]).problems();
    assert_eq!(problems, "web.toml:22: Instance[3].Servce: unknown key (did you mean Service?)");
}

#[test]
fn problems_of_all_files_are_reported() {
    let catalog = Catalog::new(&[
        ("a.toml", MESH),
        ("b.toml", &(sidecar("web", "10.0.0.1:1") + "Color = 1\n")),
        ("c.json", "{\"Instance\": [\n{\"Service\": 7}]}"),
        ("d.toml", "x = [\n1 2\n]\ny = \n"),
        ("e.json", "{\"Instance\": [\n{\"Service\": }]}"),
    ]);
    let problems = catalog.problems();
    let expected = [
        "b.toml:6: Instance[0].Color: unknown key",
        "c.json:2: Instance[0].Address: missing; it must be set",
        "c.json:2: Instance[0].Port: missing; it must be set",
        "c.json:2: Instance[0].Service: expected text, found a whole number",
        "d.toml:2: ",
        "d.toml:4: ",
        "e.json:2: expected value",
    ];
    let lines: Vec<_> = problems.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{problems}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line:?} does not start with {expected:?}");
    }
}

#[test]
fn every_mistake_has_its_message() {
    let instance = |line: &str| format!("{}{line}\n", sidecar("web", "10.0.0.1:1"));
    let resolver = |lines: &str| format!("[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\n{lines}\n");
    let cases = [
        (instance("Status = \"pasing\""), "Instance[0].Status: \"pasing\" is none of \"passing\", \"warning\", \"critical\", \"maintenance\" (did you mean passing?)"),
        (instance("Weights = { Passing = -1 }"), "Instance[0].Weights.Passing: -1 is not between 0 and 65535"),
        (instance("Weights = { Pasing = 1 }"), "unknown key (did you mean Passing?)"),
        (instance("Datacenter = \"a.b\""), "Instance[0].Datacenter: \"a.b\" cannot be used here"),
        (instance("Tags = [\"a\", 7]"), "Instance[0].Tags[1]: expected text, found a whole number"),
        (instance("WanAddress = \"a:b\""), "Instance[0].WanAddress: \"b\" is no port"),
        (instance("WanAddress = \"a:1\"\nTaggedAddresses.wan = { Address = \"a\" }"), "keep one of them"),
        (sidecar("my service", "10.0.0.1:1"), "Instance[0].Service: \"my service\" cannot be used here"),
        (sidecar("web", "10.0.0.1:0"), "Instance[0].Port: 0 is not between 1 and 65535"),
        (sidecar("web", "10.0.0.1:65536"), "Instance[0].Port: 65536 is not between 1 and 65535"),
        (sidecar("web", "10.0.0.:1"), "Instance[0].Address: \"10.0.0.\" is neither an IP address nor a DNS name"),
        (sidecar("web", "0.0.0.0:1"), "no address that one can connect to"),
        (resolver("DefaultSubset = \"v2\"\nSubsets.v1 = {}"), "Entry[0].DefaultSubset: there is no subset \"v2\" in Subsets (did you mean v1?)"),
        (resolver("Subsets.V_1 = {}"), "Entry[0].Subsets.V_1: a subset's name has only"),
        (resolver("Subsets.v1.Filter = \"Service.Meta.version = 1\""), "Entry[0].Subsets.v1.Filter: at character 22: expected an operator"),
        (resolver("Subsets.v1.Filter = \"Service.Mata.version == 1\""), "Entry[0].Subsets.v1.Filter: selector \"Service.Mata.version\" is not valid: no such field"),
        (resolver("Failover.v3.Service = \"x\""), "Entry[0].Failover.v3: there is no subset \"v3\""),
        (resolver("Redirect.Service = \"x\"\nFailover.\"*\".Service = \"x\""), "cannot be set together"),
        (resolver("ConnectTimeout = \"5\""), "Entry[0].ConnectTimeout: expected a duration such as"),
        (resolver("ConnectTimeout = \"-5s\""), "Entry[0].ConnectTimeout: expected a duration such as"),
        (resolver("LoadBalancer.Policy = \"round-robin\""), "there is no policy \"round-robin\" (did you mean round_robin?)"),
        (resolver("Subset.v1 = {}"), "Entry[0].Subset: unknown key (did you mean Subsets?)"),
        ("[[Entry]]\nKind = \"service-resolvr\"\nName = \"a\"\n".into(), "Entry[0].Kind: Consul has no kind \"service-resolvr\" (did you mean service-resolver?)"),
        ("[[Entry]]\nName = \"a\"\n".into(), "Entry[0].Kind: missing"),
        ("[[Entry]]\nKind = \"service-router\"\n".into(), "Entry[0].Name: missing"),
        ("[[Entry]]\nKind = \"proxy-defaults\"\nName = \"web\"\n".into(), "always \"global\""),
        ("[[Entry]]\nKind = \"terminating-gateway\"\nName = \"t\"\nServices = [{ Name = \"a\" }, { Name = \"a\" }]\n".into(), "Entry[0].Services[1].Name: Service \"a\" was specified more than once within a namespace"),
        ("[[Route]]\nSNI = \"a.*.example\"\nTo = [\"10.0.0.1:1\"]\n".into(), "Route[0].SNI: \"a.*.example\" is no name"),
        ("[[Route]]\nSNI = \"a.example\"\n".into(), "Route[0].To: missing"),
        ("[[Route]]\nSNI = \"a.example\"\nTo = [\"10.0.0.1\"]\n".into(), "Route[0].To[0]: \"10.0.0.1\" has no port"),
        ("[Instance]\nService = \"a\"\n".into(), "Instance: expected a list of tables: write [[Instance]]"),
        ("[[Instnace]]\nService = \"a\"\n[[Instnace]]\nService = \"b\"\n".into(), "Instnace: unknown table (did you mean Instance?)"),
        ("[[Leaf]]\nService = \"a\"\nCertFile = 2024-01-01\n".into(), "Leaf[0].CertFile: expected text, found a date"),
    ];
    for (text, expected) in cases {
        let problems = Catalog::of(&text).problems();
        assert!(problems.contains(expected), "{text}\ngave {problems}\nnot  {expected}");
    }
}

#[test]
fn the_same_thing_twice_is_an_error() {
    let web = sidecar("web", "10.0.0.1:1");
    let named = |service: &str, address: &str| format!("{}ID = \"one\"\n", sidecar(service, address));
    let route = "[[Route]]\nSNI = \"a.example\"\nTo = [\"10.0.0.1:1\"]\n";
    let entry = "[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\n";
    let cases = [
        (
            web.clone(),
            web.clone() + "Datacenter = \"fra1\"\n",
            "Instance[0]: Instance web at 10.0.0.1:1 is already in a.toml:4",
        ),
        (
            named("a", "10.0.0.1:1"),
            named("b", "10.0.0.2:1"),
            "Instance[0]: Instance one is already in a.toml:4",
        ),
        (
            route.to_owned(),
            route.to_uppercase().replace("ROUTE", "Route").replace("TO =", "To ="),
            "Route[0]: Route a.example is already in a.toml:4",
        ),
        (
            entry.to_owned(),
            entry.to_owned() + "Namespace = \"default\"\n",
            "Entry[0]: service-resolver web is already in a.toml:4",
        ),
        (String::new(), MESH.to_owned(), "Mesh: Mesh is already in a.toml:1"),
    ];
    for (first, second, expected) in cases {
        let catalog = Catalog::new(&[("a.toml", &(MESH.to_owned() + &first)), ("b.toml", &second)]);
        let problems = catalog.problems();
        assert!(problems.contains(expected), "{problems}\nnot  {expected}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }
    let fine = web.clone() + &web.replace("connect-proxy", "") + &(web + "Datacenter = \"ams2\"\n");
    let apart = named("a", "10.0.0.2:1") + "Node = \"n1\"\n" + &named("a", "10.0.0.3:1") + "Node = \"n2\"\n";
    assert!(Catalog::of(&(fine + &apart)).load().is_ok());
}

#[test]
fn a_route_cannot_be_a_name_of_the_mesh() {
    let catalog = |sni: &str| Catalog::of(&format!("[[Route]]\nSNI = \"{sni}\"\nTo = [\"10.0.0.1:1\"]\n"));
    for sni in
        [local("billing"), format!("*.ams2.internal.{TD}"), format!("*.{TD}"), "*.consul".into(), TD.into()]
    {
        let problems = catalog(&sni).problems();
        assert!(
            problems.contains("Route[0].SNI: ") && problems.contains("is a name of the mesh"),
            "{problems}"
        );
    }
    for sni in ["consul", "*.server.ams2.consul", &format!("x{TD}"), "*.other.consul"] {
        assert!(catalog(sni).load().is_ok(), "{sni}");
    }
}

#[test]
fn files_that_documents_name_must_be_what_they_should_be() {
    let mesh = format!("{MESH}Roots = [\"roots.pem\", \"none.pem\"]\n");
    let catalog = Catalog::new(&[("a.toml", &mesh), ("roots.pem", "nothing")]);
    let problems = catalog.problems();
    assert!(problems.contains("a.toml:4: Mesh.Roots[0]: roots.pem holds no PEM CERTIFICATE"), "{problems}");
    assert!(
        problems.contains("a.toml:4: Mesh.Roots[1]: none.pem cannot be read: No such file"),
        "{problems}"
    );
    catalog.write("roots.pem", ROOTS);
    catalog.write("none.pem", ROOTS);
    assert!(catalog.load().is_ok());
}

#[test]
fn a_key_that_others_can_read_is_a_warning() {
    let catalog = Catalog::of(EXAMPLE[0]);
    let warnings = |mode| {
        fs::set_permissions(catalog.path("certs/i-key.pem"), fs::Permissions::from_mode(mode))
            .expect("a mode");
        let snapshot = catalog.load().unwrap_or_else(|problems| panic!("{problems}"));
        snapshot.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    // A gateway that needs no leaf does not miss its files.
    assert!(catalog.load().is_ok());
    catalog.write("certs/i-key.pem", "key");
    let found = warnings(0o640);
    assert!(
        found.contains("rest.toml:4: Leaf[0].KeyFile: the key") && found.contains("chmod 0600"),
        "{found}"
    );
    assert_eq!(warnings(0o600), "");
}

#[test]
fn a_catalog_without_a_mesh_or_without_files_is_refused() {
    let problems = Catalog::new(&[("a.toml", &sidecar("web", "10.0.0.1:1"))]).problems();
    assert!(problems.contains("the catalog has no [Mesh]"), "{problems}");
    let problems = Catalog::new(&[("notes.txt", "x")]).problems();
    assert!(problems.contains("no file in it has a name that ends in .toml or .json"), "{problems}");
    let catalog = Catalog::new(&[]);
    assert!(catalog.problems().contains("cannot be read: No such file"));
    let config = crate::support::config();
    catalog.write("one.toml", &format!("{MESH}{}", sidecar("web", "10.0.0.1:1")));
    assert!(
        FileSource::<MeshRole>::load(&catalog.path("one.toml"), &config).is_ok(),
        "a file is a catalog, too"
    );
    catalog.write("one.txt", "");
    assert!(FileSource::<MeshRole>::load(&catalog.path("one.txt"), &config).is_err());
}

#[test]
fn limits_of_files_and_bytes_are_kept() {
    let catalog = Catalog::of(&sidecar("web", "10.0.0.1:1"));
    let load = |max_files, max_bytes| {
        let config = gateway_state::SourceConfig { max_files, max_bytes, ..crate::support::config() };
        FileSource::<MeshRole>::load(&catalog.path(""), &config)
            .map(drop)
            .map_err(|problems| problems.to_string())
    };
    assert!(load(1, 1 << 20).expect_err("too many").contains("more than 1 files"));
    assert!(load(2, 100).expect_err("too large").contains("more than 100 bytes"));
    assert_eq!(load(2, 1 << 20), Ok(()));
}

/// As `consul config read` and `consul config list` print them, with all that Consul itself adds.
const READ: [(&str, &str); 5] = [
    (
        "resolver.json",
        r#"{
    "ConnectTimeout": "7s",
    "Kind": "service-resolver",
    "Name": "web",
    "DefaultSubset": "v1",
    "Subsets": {
        "v1": { "Filter": "Service.Meta.version == v1" },
        "v2": { "Filter": "Service.Meta.version == v2" }
    },
    "Failover": { "v1": { "ServiceSubset": "v2" } },
    "LoadBalancer": { "Policy": "maglev", "HashPolicies": [ { "Field": "cookie", "FieldValue": "sess", "CookieConfig": { "TTL": "1h0m0s" } } ] },
    "Hash": 12255441232283564346,
    "CreateIndex": 56,
    "ModifyIndex": 56
}"#,
    ),
    (
        "router-and-splitter.json",
        r#"[{"Kind":"service-router","Name":"web","Routes":[{"Match":{"HTTP":{"PathPrefix":"/api"}},"Destination":{"Service":"api","PrefixRewrite":"/"}}],"Hash":2716965319932319187,"CreateIndex":57,"ModifyIndex":57},
{"Kind":"service-splitter","Name":"api","Splits":[{"Weight":100}],"CreateIndex":57,"ModifyIndex":57}]"#,
    ),
    (
        "ingress.json",
        r#"{"Kind":"ingress-gateway","Name":"ingress","TLS":{"Enabled":false},"Listeners":[{"Port":8080,"Protocol":"http","Services":[{"Name":"web","Hosts":null}]}],"Meta":null,"CreateIndex":5,"ModifyIndex":6}"#,
    ),
    (
        "defaults.json",
        r#"[{"Kind":"service-defaults","Name":"web","Protocol":"http","TransparentProxy":{},"MeshGateway":{},"Expose":{},"Hash":4570506531397265768,"CreateIndex":54,"ModifyIndex":54},
{"Kind":"mesh","TransparentProxy":{"MeshDestinationsOnly":false},"Peering":{"PeerThroughMeshGateways":true},"Hash":5286308978939727911,"CreateIndex":52,"ModifyIndex":52},
{"Kind":"terminating-gateway","Name":"egress","Services":[{"Name":"ext"},{"Name":"exttcp","CAFile":"/etc/ca.pem"}],"Hash":8595608119750574810,"CreateIndex":192,"ModifyIndex":192}]"#,
    ),
    (
        "snake.toml",
        "kind = \"service-resolver\"\nname = \"api\"\nconnect_timeout = \"3s\"\n\
         [subsets.v1]\nfilter = \"Service.Meta.version == v1\"\nonly_passing = true\n\
         [failover.\"*\"]\n[[failover.\"*\".targets]]\nservice = \"x\"\n",
    ),
];

#[test]
fn what_consul_prints_is_read_as_it_is() {
    let rows = sidecar("web", "10.0.0.1:1") + "Meta.version = \"v1\"\n" + &sidecar("api", "10.0.0.2:1");
    let catalog = Catalog::of(&rows);
    for (name, text) in READ {
        catalog.write(name, text);
    }
    let snapshot = catalog.load().unwrap_or_else(|problems| panic!("{problems}"));
    let table = &snapshot.table;
    assert_eq!(behind(table, &local("v1.web")).as_deref(), Some("10.0.0.1:1 w1"));
    assert_eq!(behind(table, &local("v2.web")).as_deref(), Some(""));
    assert_eq!(behind(table, &local("v1.api")).as_deref(), Some(""));
    let timeouts = [local("web"), local("v1.api")]
        .map(|name| table.lookup(&name).expect("a name").target.connect_timeout);
    assert_eq!(timeouts.map(|timeout| timeout.map(|timeout| timeout.as_secs())), [Some(7), Some(3)]);
    assert_eq!(snapshot.warnings.len(), 1, "maglev: {:?}", snapshot.warnings);
}

#[test]
fn an_unknown_key_of_an_entry_is_named_by_its_path() {
    let catalog = Catalog::of("");
    catalog.write(
        "a.json",
        "{\"Kind\": \"service-resolver\",\n\"Name\": \"web\",\n\"Subsets\": {\"v1\":\n{\"Filtr\": \"\"}}}",
    );
    catalog.write(
        "b.json",
        "[{\"Kind\": \"mesh\"},\n{\"Kind\": \"service-defaults\", \"Name\": \"web\", \"Protocl\": \"http\"}]",
    );
    assert_eq!(
        catalog.problems(),
        "a.json:4: Subsets.v1.Filtr: unknown key (did you mean Filter?)\n\
         b.json:2: [1].Protocl: unknown key (did you mean Protocol?)"
    );
}

#[test]
fn a_flood_of_problems_is_cut_short() {
    let rows: String =
        (0..1000).map(|number| sidecar("web", &format!("10.0.0.1:{}", number + 1)) + "X = 1\n").collect();
    let problems = Catalog::of(&rows).problems();
    assert_eq!(problems.lines().count(), 101, "{problems}");
    assert!(problems.contains("900 more problems"));
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{{\"Instance\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let catalog = Catalog::of("");
    catalog.write("deep.json", &deep);
    assert!(catalog.problems().contains("nested deeper than"));
    catalog.write("deep.json", "{}");
    catalog.write("deep.toml", &format!("x = {}1{}\n", "[".repeat(100_000), "]".repeat(100_000)));
    assert!(catalog.problems().contains("deep.toml:1"));
}
