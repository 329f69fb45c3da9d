//! Good catalogs in every form: cut into files, in JSON, from Consul, made for a whole datacenter.

use gateway_testkit::{Gateway, Lab, Pki};
use serde_json::{Value, json};

use crate::world::{DATACENTER, Plan};

const TRUST_DOMAIN: &str = Pki::TRUST_DOMAIN;

/// A catalog of five files; together they are [`in_json`].
fn in_toml() -> [(&'static str, String); 5] {
    let resolver = r#"
        [[Entry]]
        Kind = "service-resolver"
        Name = "web"
        ConnectTimeout = "7s"
        DefaultSubset = "v1"
        Subsets.v1.Filter = 'Service.Meta.version == "v1"'
        Subsets.v2 = { Filter = 'Service.Meta.version == "v2" and canary in Service.Tags', OnlyPassing = true }
    "#;
    let web = r#"
        [[Instance]]
        Service = "web"
        Kind = "connect-proxy"
        ID = "web-1"
        Address = "10.10.3.9"
        Port = 21000
        Meta = { version = "v1" }
        Weights = { Passing = 3, Warning = 1 }

        [[Instance]]
        Service = "web"
        Kind = "connect-proxy"
        ID = "web-2"
        Node = "n2"
        Address = "10.10.3.10"
        Port = 21000
        Status = "warning"
        Meta = { version = "v2" }
        Tags = ["canary"]
    "#;
    let gateways = r#"
        [[Instance]]
        Service = "mesh-gateway"
        Kind = "mesh-gateway"
        Datacenter = "dc2"
        Address = "10.20.0.2"
        Port = 8443
        WanAddress = "198.51.100.7:443"

        [[Server]]
        Name = "s1"
        Address = "10.10.0.11:8300"
    "#;
    let routes = r#"
        [[Route]]
        SNI = "*.legacy.example.com"
        To = ["10.0.0.5:443", "10.0.0.6:443"]
    "#;
    let mesh = format!("[Mesh]\nDatacenter = \"{DATACENTER}\"\nTrustDomain = \"{TRUST_DOMAIN}\"\n");
    let owned = |name, text: &str| (name, text.to_owned());
    [
        ("mesh.toml", mesh),
        owned("gateways.toml", gateways),
        owned("outside/routes.toml", routes),
        owned("web/resolver.toml", resolver),
        owned("web/web.toml", web),
    ]
}

/// The same in one document, with the rows in another order.
fn in_json() -> Value {
    json!({
        "Route": [{ "SNI": "*.legacy.example.com", "To": ["10.0.0.5:443", "10.0.0.6:443"] }],
        "Instance": [
            {
                "Service": "web", "Kind": "connect-proxy", "ID": "web-2", "Node": "n2", "Address": "10.10.3.10",
                "Port": 21000, "Status": "warning", "Meta": { "version": "v2" }, "Tags": ["canary"],
            },
            {
                "Service": "mesh-gateway", "Kind": "mesh-gateway", "Datacenter": "dc2", "Address": "10.20.0.2",
                "Port": 8443, "WanAddress": "198.51.100.7:443",
            },
            {
                "Service": "web", "Kind": "connect-proxy", "ID": "web-1", "Address": "10.10.3.9", "Port": 21000,
                "Meta": { "version": "v1" }, "Weights": { "Passing": 3, "Warning": 1 },
            },
        ],
        "Server": [{ "Name": "s1", "Address": "10.10.0.11:8300" }],
        "Entry": [{
            "Kind": "service-resolver", "Name": "web", "ConnectTimeout": "7s", "DefaultSubset": "v1",
            "Subsets": {
                "v2": { "Filter": "Service.Meta.version == \"v2\" and canary in Service.Tags", "OnlyPassing": true },
                "v1": { "Filter": "Service.Meta.version == \"v1\"" },
            },
        }],
        "Mesh": { "Datacenter": DATACENTER, "TrustDomain": TRUST_DOMAIN },
    })
}

/// S1.
#[tokio::test]
async fn one_catalog_makes_one_snapshot_however_it_is_written() {
    let lab = Lab::new().unwrap();
    let (five, one) = (lab.catalog("five").unwrap(), lab.catalog("one").unwrap());
    let all: String = in_toml()
        .iter()
        .map(|(name, text)| {
            five.write(name, text).unwrap();
            text.as_str()
        })
        .collect();
    one.write("all.toml", all).unwrap();
    one.write("all.json", in_json().to_string()).unwrap();
    let mut seen = Vec::new();
    for (name, path) in
        [("five", five.path().to_owned()), ("one", one.file("all.toml")), ("json", one.file("all.json"))]
    {
        let gateway = lab.gateway(name).catalog(path).start().await.unwrap();
        let pages = known(&gateway).await;
        assert_eq!(pages[0]["names"]["total"], 5, "web, two subsets, a datacenter, a route: {:#}", pages[0]);
        assert_eq!(gateway.log().find(0, |line| line["level"] == "warn"), None);
        seen.push(pages.map(|page| page.to_string()));
    }
    assert_eq!(seen[0], seen[1], "five files and one");
    assert_eq!(seen[0], seen[2], "TOML and JSON");
}

/// What a gateway has read, without where it read it.
async fn known(gateway: &Gateway) -> [Value; 2] {
    let admin = gateway.admin().unwrap();
    let mut snapshot = admin.snapshot().await.unwrap();
    for origin in ["files", "gateway", "settings"] {
        snapshot.as_object_mut().unwrap().remove(origin).unwrap();
    }
    [snapshot, admin.endpoints().await.unwrap()]
}

/// S2, and what S5, S7, S11, S12 and S14 are made of: leaves (one of another datacenter, one without its files),
/// intentions, no default policy, external services with an address and with a name, a linked service without a leaf.
#[tokio::test]
async fn what_belongs_to_another_gateway_is_taken_as_it_is() {
    let plan = Plan::new();
    let billing = plan.instance("billing", "billing-1");
    plan.catalog.write("billing.toml", crate::world::one("billing", &billing, "billing-1")).unwrap();
    let leaf = plan.pki.leaf(&plan.pki.service_id("ingress-gateway", "elsewhere")).unwrap();
    leaf.write(&plan.catalog.file("certs"), "ingress").unwrap();
    plan.catalog.write("others.toml", r#"
        [[Leaf]]
        Service = "ingress-gateway"
        CertFile = "certs/ingress.pem"
        KeyFile = "certs/ingress-key.pem"

        [[Leaf]]
        Service = "stripe"
        CertFile = "certs/not-here.pem"
        KeyFile = "certs/not-here-key.pem"

        [[Instance]]
        Service = "stripe"
        Address = "api.stripe.example"
        Port = 443

        [[Instance]]
        Service = "stripe"
        Address = "192.0.2.8"
        Port = 443

        [[Instance]]
        Service = "ingress-gateway"
        Kind = "ingress-gateway"
        Address = "10.10.0.3"
        Port = 8443

        [[Entry]]
        Kind = "terminating-gateway"
        Name = "terminating-gateway"
        Services = [{ Name = "stripe", SNI = "api.stripe.example" }, { Name = "without-a-leaf" }]

        [[Entry]]
        Kind = "ingress-gateway"
        Name = "ingress-gateway"
        Listeners = [{ Port = 8080, Protocol = "http", Services = [{ Name = "billing", Hosts = ["b.example"] }] }]

        [[Entry]]
        Kind = "service-intentions"
        Name = "billing"
        Sources = [{ Name = "nobody", Action = "allow" }]
    "#).unwrap();
    let world = plan.start().await;
    let page = world.snapshot().await;
    assert_eq!(page["rejected"]["total"], 0, "{page:#}");
    let names: Vec<_> = page["names"]["rows"].as_array().unwrap().iter().map(|row| &row["service"]).collect();
    assert_eq!(names, ["billing"], "an external service is no name of this gateway");
    // Intentions are the servers' to decide on: this gateway passes on.
    assert_eq!(world.who("billing").await, "billing-1");
    // The key of a leaf is not ours to show.
    let admin = world.gateway.admin().unwrap();
    for path in ["/snapshot", "/endpoints", "/"] {
        let body = admin.get(path).await.unwrap().body;
        assert!(
            !body.contains("PRIVATE KEY") && !body.contains(leaf.key_pem.lines().nth(1).unwrap()),
            "{path}"
        );
    }
}

/// S10. Two subsets, a default one, and a time to connect come from the entries; routers, splitters and gateways of the
/// same datacenter are read and make no name here.
#[tokio::test]
async fn what_consul_prints_is_a_catalog() {
    let samples = [
        (
            "1.10.1",
            [
                ("resolvers.json", include_str!("../../samples/consul-1.10.1/service-resolvers.json")),
                ("router.json", include_str!("../../samples/consul-1.10.1/service-router-web.json")),
                ("splitter.json", include_str!("../../samples/consul-1.10.1/service-splitter-web.json")),
                ("ingress.json", include_str!("../../samples/consul-1.10.1/ingress-gateway.json")),
            ],
            "3s",
            ["1", "2"],
        ),
        (
            "1.21",
            [
                ("all.json", include_str!("../../samples/consul-1.21/all-kinds.json")),
                ("toapi.json", include_str!("../../samples/consul-1.21/service-resolver-toapi.json")),
                ("splitters.json", include_str!("../../samples/consul-1.21/service-splitters.json")),
                ("ingress.json", include_str!("../../samples/consul-1.21/ingress-gateway.json")),
            ],
            "7s",
            ["v1", "v2"],
        ),
    ];
    for (version_of_consul, files, connect_timeout, versions) in samples {
        let plan = Plan::new();
        let sidecars = versions.map(|version| plan.instance("web", version));
        let mut rows = gateway_testkit::Document::new();
        for (sidecar, version) in sidecars.iter().zip(versions) {
            let more = format!("ID = \"web-{version}\"\nMeta = {{ version = \"{version}\" }}");
            rows = rows.instance("web", "connect-proxy", sidecar.address(), &more);
        }
        plan.catalog.write("web.toml", rows).unwrap();
        for (name, text) in files {
            plan.catalog.write(name, text).unwrap();
        }
        let world = plan.start().await;
        let page = world.snapshot().await;
        let names: Vec<_> = page["names"]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let name = row["name"].as_str().unwrap().split(".internal").next().unwrap().to_owned();
                (
                    name,
                    row["endpoints"].as_u64().unwrap(),
                    row["connect_timeout"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let expected = ["v1.web.default.dc1", "v2.web.default.dc1", "web.default.dc1"]
            .map(|name| (name.to_owned(), 1, connect_timeout.to_owned()));
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(sorted, expected, "Consul {version_of_consul}: {page:#}");
        assert_eq!(page["rejected"]["total"], 0);
        assert_eq!(world.who("web").await, versions[0], "the default subset");
        for (subset, version) in ["v1", "v2"].into_iter().zip(versions) {
            let call = world.call_subset(Some(subset), "web").await.unwrap();
            assert_eq!(call.greeting.instance, version, "subset {subset}");
            call.close().await.unwrap();
        }
    }
}
