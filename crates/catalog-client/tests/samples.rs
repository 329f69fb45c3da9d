//! Every query against what Consul 1.10.1 and 1.21 answered, and what each asks for.
#![expect(clippy::panic, reason = "helpers of tests: what does not fit fails the test")]

use bytes::Bytes;
use catalog_client::{
    Query,
    error::{Cause, Class, Error},
    health::HealthEntry,
    query::{
        AgentSelf, AgentService, AgentServices, Blocking, CaLeaf, CaRoots, CatalogDatacenters,
        CatalogServices, ConfigEntry, ConfigList, CriticalChecks, DiscoveryChain, ExportedServices,
        FederationGateways, GatewayService, GatewayServices, HealthConnect, HealthService, IntentionMatch,
        Intentions, Peerings, StatusLeader, TokenSelf,
    },
};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// What a sample says, read by the query that asked for it.
fn read<Q: Query>(query: &Q, sample: &str) -> Q::Document {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(sample);
    let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{sample}: {error}"));
    query.decode(&Bytes::from(body)).unwrap_or_else(|error| panic!("{sample}: {error}"))
}

fn names<'a>(documents: &'a [Value], field: &str) -> Vec<&'a str> {
    documents.iter().map(|document| document[field].as_str().unwrap_or_default()).collect()
}

#[test]
fn names_and_datacenters() {
    let services = read(&CatalogServices::new(), "1.10.1/catalog-services.json");
    assert_eq!(services.len(), 10);
    assert_eq!(services.get("web").map(|tags| tags.join(",")), Some("v1,v2".into()));
    assert_eq!(services.get("consul").map(|tags| tags.len()), Some(0));
    let services = read(&CatalogServices::new(), "1.21/catalog-services.json");
    assert!(services.get("mesh-gateway").is_some() && services.get("nope").is_none());

    let datacenters = read(&CatalogDatacenters, "1.10.1/catalog-datacenters.json");
    assert_eq!(datacenters, [Box::from("dc1"), Box::from("dc2")]);
    assert_eq!(read(&CatalogDatacenters, "1.21/catalog-datacenters.json").len(), 1);
}

#[test]
fn services_of_gateways() {
    let query = GatewayServices::<Value>::new("terminating-gateway");
    let linked = read(&query, "1.10.1/catalog-gateway-services-terminating.json");
    assert_eq!(linked.iter().filter(|link| link["FromWildcard"] == true).count(), 2);
    assert_eq!(linked[1]["SNI"], "db.example.internal");
    assert!(read(&query, "1.10.1/catalog-gateway-services-unknown.json").is_empty(), "null");
    assert_eq!(read(&query, "1.21/gateway-services_egress.json").len(), 2);
}

#[test]
fn rows_of_linked_services() {
    let query = GatewayServices::<GatewayService>::new("egress-all");
    let linked = read(&query, "1.10.1/catalog-gateway-services-egress-all.json");
    let row = |name: &str| linked.iter().find(|row| &*row.service.name == name).expect("the row");
    let wild = row("banner");
    assert!(wild.from_wildcard && &*wild.gateway.name == "egress-all" && !wild.is_destination());
    assert_eq!((&*wild.ca_file, &*wild.sni), ("/etc/gateway/ext-ca.pem", "fallback.ext.example"));
    let own = row("billing");
    assert!(!own.from_wildcard && own.ca_file.is_empty() && own.sni.is_empty(), "nothing is inherited");
    assert_eq!((&*own.gateway_kind, own.auto_host_rewrite), ("terminating-gateway", None));

    let linked = read(&query, "1.10.1/catalog-gateway-services-terminating.json");
    let files = linked.iter().map(|row| (&*row.ca_file, &*row.cert_file, &*row.key_file));
    assert!(
        files
            .into_iter()
            .any(|files| files == ("/etc/ssl/billing-ca.pem", "/etc/ssl/client.pem", "/etc/ssl/client.key"))
    );
    for row in read(&query, "1.21/gateway-services_egress.json") {
        assert!(!row.service_kind.is_empty(), "{row:?}");
    }
    assert!(read(&query, "1.10.1/catalog-gateway-services-unknown.json").is_empty(), "null");

    // Fields of tomorrow, and nothing where a field was.
    let odd =
        br#"[{"Service":{"Name":"a","New":1},"CAFile":null,"FromWildcard":null,"Hosts":null,"Port":null,
        "ServiceKind":"destination","AutoHostRewrite":true,"Newer":[{}]},{"Service":null}]"#;
    let odd = query.decode(&Bytes::from_static(odd)).expect("it can be read");
    assert!(odd[0].is_destination() && odd[0].auto_host_rewrite == Some(true) && odd[0].hosts.is_empty());
    assert!(odd[1].service.name.is_empty());
}

#[test]
fn what_is_denied_by_default() {
    let of = |body: &str| AgentSelf.decode(&Bytes::from(body.to_owned())).map(|info| info.default_deny());
    let body = |debug: &str| {
        format!(r#"{{"Config":{{"Version":"1.18.0","Datacenter":"dc1"}},"DebugConfig":{debug}}}"#)
    };
    for (debug, denies) in [
        (r#"{"ACLDefaultPolicy":"deny"}"#, Some(true)),
        (r#"{"ACLResolverSettings":{"ACLDefaultPolicy":"deny"}}"#, Some(true)),
        (r#"{"ACLDefaultPolicy":"deny","DefaultIntentionPolicy":"allow"}"#, Some(false)),
        (
            r#"{"ACLResolverSettings":{"ACLDefaultPolicy":"allow"},"DefaultIntentionPolicy":"deny"}"#,
            Some(true),
        ),
        (r#"{"ACLResolverSettings":{"ACLDefaultPolicy":"deny"},"DefaultIntentionPolicy":""}"#, Some(true)),
        (r#"{"ACLResolverSettings":null,"ACLDefaultPolicy":"maybe"}"#, None),
        ("{}", None),
    ] {
        assert_eq!(of(&body(debug)), Ok(denies), "{debug}");
    }
    for version in ["1.10.1", "1.21"] {
        let info = read(&AgentSelf, &format!("{version}/agent-self.json"));
        assert_eq!((&*info.acl_default_policy, info.default_deny()), ("allow", Some(false)), "{version}");
    }
}

#[test]
fn config_entries() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        kind: String,
        #[serde(default)]
        hash: u64,
    }
    let all = ConfigList::<Entry>::all();
    let kinds = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.kind).collect::<Vec<_>>();
    assert_eq!(
        kinds(read(&all, "1.10.1/config-list-all-kinds.json")),
        ["proxy-defaults", "service-defaults"]
    );
    let newer = read(&all, "1.21/config-list-all-kinds.json");
    assert_eq!(newer[0].hash, 10_272_356_808_134_614_079, "a number that no float holds");
    let kinds = kinds(newer);
    for kind in ["exported-services", "jwt-provider", "mesh", "service-resolver"] {
        assert!(kinds.iter().any(|one| one == kind), "{kind} in {kinds:?}");
    }

    let resolver = ConfigEntry::<Value>::new("service-resolver", "web");
    let resolver = read(&resolver, "1.10.1/config-get-service-resolver-web.json");
    assert_eq!(resolver["Kind"], "service-resolver");
    let mesh = ConfigEntry::<Value>::new("mesh", "mesh");
    assert_eq!(read(&mesh, "1.10.1/config-get-mesh.json")["Kind"], "mesh");
    assert_eq!(read(&mesh, "1.21/config-get-mesh.json")["Peering"]["PeerThroughMeshGateways"], true);
}

#[test]
fn certificates() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Roots {
        trust_domain: String,
        roots: Vec<Value>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Leaf {
        service: String,
        #[serde(rename = "PrivateKeyPEM")]
        key: String,
    }
    for version in ["1.10.1", "1.21"] {
        let roots = read(&CaRoots::<Roots>::new(), &format!("{version}/agent-connect-ca-roots.json"));
        assert!(roots.trust_domain.ends_with(".consul") && !roots.roots.is_empty());
        let leaf = read(&CaLeaf::<Leaf>::new("web"), &format!("{version}/agent-connect-ca-leaf-web.json"));
        assert!(leaf.service == "web" && leaf.key.starts_with("-----BEGIN EC PRIVATE KEY"));
    }
}

#[test]
fn a_leaf_that_cannot_be_read_does_not_show_its_key() {
    #[derive(Debug, Deserialize)]
    struct Odd {
        #[serde(rename = "PrivateKeyPEM")]
        _key: u64,
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/1.21/agent-connect-ca-leaf-web.json");
    let body = Bytes::from(std::fs::read(path).expect("the sample"));
    let error = CaLeaf::<Odd>::new("web").decode(&body).expect_err("a key is no number");
    assert!(error.contains("expected u64") && error.contains("line 1"), "{error}");
    assert!(!error.contains("BEGIN") && error.len() < 100, "{error}");
}

#[test]
fn intentions() {
    assert_eq!(read(&Intentions::<Value>::new(), "1.10.1/intentions-list.json").len(), 3);
    let list = read(&Intentions::<Value>::new(), "1.21/intentions-list.json");
    assert!(names(&list, "SourcePeer").contains(&"apeer"));

    let query = IntentionMatch::<Value>::new(["web", "billing-db", "nope"]);
    let lists = read(&query, "1.10.1/intentions-match-two.json");
    assert_eq!(lists.keys().map(|name| &**name).collect::<Vec<_>>(), ["billing-db", "nope", "web"]);
    assert_eq!(lists.get("nope").map(Vec::len), Some(0), "null");
    assert_eq!(lists.get("web").map(|list| list[0]["Precedence"].as_u64()), Some(Some(9)));
    let lists = read(&IntentionMatch::<Value>::new(["web", "echo"]), "1.21/intentions-match-two.json");
    assert!(lists.get("echo").is_some_and(|list| list.len() > 2));
    for sample in ["1.10.1/intentions-match-unknown.json", "1.21/intentions-match-unknown.json"] {
        assert_eq!(read(&IntentionMatch::<Value>::new(["nope"]), sample).get("nope").map(Vec::len), Some(0));
    }
    // What says nothing about a name that was asked for is no answer: least of all "nobody may be denied".
    for body in ["null", "{}", r#"{"web":null}"#, r#"{"web":[],"Api":[]}"#] {
        let error = IntentionMatch::<Value>::new(["web", "api"]).decode(&Bytes::from_static(body.as_bytes()));
        assert!(error.is_err_and(|error| error.contains("nothing about")), "{body}");
    }
}

#[test]
fn chains() {
    let chain = read(&DiscoveryChain::<Value>::new("web"), "1.10.1/discovery-chain-web.json");
    assert_eq!((&chain["ServiceName"], &chain["StartNode"]), (&"web".into(), &"router:web.default".into()));
    let chain = read(&DiscoveryChain::<Value>::new("web"), "1.21/discovery-chain-web-exporter.json");
    assert_eq!(chain["ServiceName"], "web");
    let body = Bytes::from_static(b"{}");
    assert!(DiscoveryChain::<Value>::new("web").decode(&body).is_err(), "an answer without chain is none");
}

#[test]
fn the_agent() {
    let own = read(&AgentSelf, "1.10.1/agent-self.json");
    assert_eq!((&*own.version, &*own.datacenter, &*own.dns_domain), ("1.10.1", "dc1", "consul."));
    assert_eq!((&*own.node_name, own.server, own.peering), ("dev1", true, None));
    let own = read(&AgentSelf, "1.21/agent-self.json");
    assert_eq!((&*own.version, &*own.primary_datacenter, own.peering), ("1.21.0", "alpha", Some(true)));
    assert_eq!(&*own.default_intention_policy, "");

    for version in ["1.10.1", "1.21"] {
        let query = AgentService::<Value>::new("mesh-gateway");
        let service = read(&query, &format!("{version}/agent-service-mesh-gateway.json"));
        assert_eq!((&service["Kind"], &service["Port"]), (&"mesh-gateway".into(), &8443.into()));
        let query = AgentServices::<Value>::new().filter("Kind == \"mesh-gateway\"");
        let services = read(&query, &format!("{version}/agent-services-filter-mesh.json"));
        assert!(services.get("mesh-gateway").is_some_and(|service| service["Service"] == "mesh-gateway"));

        let leader = read(&StatusLeader, &format!("{version}/status-leader.json"));
        assert!(leader.is_some_and(|leader| leader.starts_with("127.0.")));
        let token = read(&TokenSelf, &format!("{version}/acl-token-self.json"));
        assert_eq!(token.accessor_id.len(), 36);
    }
    assert_eq!(StatusLeader.decode(&Bytes::from_static(b"\"\"")), Ok(None));
    let token = read(&TokenSelf, "1.10.1/acl-token-self.json");
    assert_eq!((token.local, &*token.expiration_time), (true, "2026-11-22T23:20:00.04609324Z"));
    assert!(!format!("{token:?}").contains("d767e57a"), "the secret");
}

#[test]
fn peers() {
    let peerings = read(&Peerings::<Value>::new(), "1.21/peerings-dialer.json");
    assert_eq!((names(&peerings, "Name"), names(&peerings, "State")), (vec!["bpeer"], vec!["ACTIVE"]));
    let exported = read(&ExportedServices::<Value>::new(), "1.21/exported-services.json");
    assert_eq!(names(&exported, "Service"), ["api", "echo", "redir", "web"]);
}

#[test]
fn gateways_of_all_datacenters() {
    let query = FederationGateways::<HealthEntry>::new();
    let gateways = read(&query, "1.10.1/fed-federation-states-mesh-gateways.json");
    assert_eq!(gateways.keys().map(|dc| &**dc).collect::<Vec<_>>(), ["dc1", "dc2"]);
    let wan: Vec<_> = gateways.values().flatten().filter_map(HealthEntry::best_wan).collect();
    let wan: Vec<_> = wan.iter().map(|address| (address.host, address.port)).collect();
    assert_eq!(wan, [("127.0.0.1", 8443), ("198.51.100.1", 443), ("198.51.100.2", 443)]);
    let newest = gateways.get("dc1").and_then(|rows| rows.iter().map(|row| row.service.modify_index).max());
    assert_eq!(newest, Some(4855));
    assert_eq!(read(&query, "1.21/internal-federation-states-mesh-gateways.json").len(), 1);
    let none = query.decode(&Bytes::from_static(b"{\"dc1\":null}"));
    assert_eq!(none.map(|all| all.get("dc1").map(Vec::len)), Ok(Some(0)));

    let error = |status, text: &str| Error {
        request: "GET".into(),
        agent: String::new(),
        cause: Cause::Status { status, text: text.into(), unknown_endpoint: false },
        rule: String::new(),
    };
    let disabled = error(
        500,
        "Federation states are currently disabled until all servers in the datacenter support the feature",
    );
    assert!(FederationGateways::<HealthEntry>::are_disabled(&disabled));
    assert_eq!(disabled.class(), Class::Server, "so it is asked again");
    assert!(!FederationGateways::<HealthEntry>::are_disabled(&error(500, "No cluster leader")));
}

#[test]
fn critical_checks() {
    let checks = read(&CriticalChecks, "1.10.1/health-state-critical.json");
    assert_eq!((&*checks[0].node, &*checks[0].service_name), ("dev2", "ingress-gateway"));
    let checks = read(&CriticalChecks, "1.21/health-state-critical.json");
    assert_eq!(
        (&*checks[0].service_id, &*checks[0].service_name),
        ("gweb-1-sidecar-proxy", "gweb-sidecar-proxy")
    );
}

#[test]
fn bodies_that_are_no_answer_are_refused() {
    for body in ["", "<html>", "{\"a\":", "[{]", "12", "\"text\"", "[1]"] {
        let body = Bytes::from_static(body.as_bytes());
        assert!(HealthConnect::<HealthEntry>::new("web").decode(&body).is_err(), "{body:?}");
        assert!(CatalogServices::new().decode(&body).is_err(), "{body:?}");
        assert!(FederationGateways::<HealthEntry>::new().decode(&body).is_err(), "{body:?}");
        assert!(AgentSelf.decode(&body).is_err(), "{body:?}");
    }
}

/// Path, ACL rule, how it is waited on; whether it is from the servers, may be absent, may be large.
type Asked = (String, String, Blocking, bool, bool, bool);

fn asked(query: &impl Query) -> Asked {
    let flags = (query.from_servers(), query.may_be_absent(), query.large());
    assert!(!query.endpoint().contains("web"), "no names in metrics");
    assert!(query.path().starts_with("/v1/"));
    (query.path(), query.rule(), query.blocking(), flags.0, flags.1, flags.2)
}

fn expect(path: &str, rule: &str, blocking: Blocking, flags: &str) -> Asked {
    let flag = |flag| flags.split(' ').any(|one| one == flag);
    (path.to_owned(), rule.to_owned(), blocking, flag("servers"), flag("absent"), flag("large"))
}

#[test]
fn what_each_asks_for() {
    use Blocking::{Hash, Index, Never};
    const SERVICES: &str = "service_prefix \"\" { policy = \"read\" }";
    const ROWS: &str = "service_prefix \"\" { policy = \"read\" } and node_prefix \"\" { policy = \"read\" }";
    const WEB: &str = "service \"web\" { policy = \"read\" }";
    let odd = HealthConnect::<Value>::new("a/b c").dc("dc2").peer("p&q").filter("Service.Meta.v == \"1\"");
    let table = [
        (
            asked(&HealthConnect::<Value>::new("web")),
            expect(
                "/v1/health/connect/web",
                "service_prefix \"web\" { policy = \"read\" } and node_prefix \"\" { policy = \"read\" }",
                Index,
                "servers",
            ),
        ),
        (
            asked(&odd),
            expect(
                "/v1/health/connect/a%2Fb%20c?dc=dc2&peer=p%26q&filter=Service.Meta.v%20%3D%3D%20%221%22",
                "service_prefix \"a/b c\" { policy = \"read\" } and node_prefix \"\" { policy = \"read\" }",
                Index,
                "servers",
            ),
        ),
        (
            asked(&HealthService::<Value>::new("web").dc("")),
            expect(
                "/v1/health/service/web",
                "service \"web\" { policy = \"read\" } and node_prefix \"\" { policy = \"read\" }",
                Index,
                "servers",
            ),
        ),
        (asked(&CriticalChecks), expect("/v1/health/state/critical", ROWS, Index, "servers large")),
        (asked(&CatalogServices::new()), expect("/v1/catalog/services", SERVICES, Index, "servers large")),
        (
            asked(&CatalogServices::new().dc("dc2")),
            expect("/v1/catalog/services?dc=dc2", SERVICES, Index, "servers large"),
        ),
        (asked(&CatalogDatacenters), expect("/v1/catalog/datacenters", "", Never, "")),
        (
            asked(&GatewayServices::<Value>::new("web")),
            expect(
                "/v1/catalog/gateway-services/web",
                "service \"web\" { policy = \"read\" } and service_prefix \"\" { policy = \"read\" }",
                Index,
                "servers large",
            ),
        ),
        (
            asked(&FederationGateways::<Value>::new()),
            expect("/v1/internal/federation-states/mesh-gateways", ROWS, Index, "servers"),
        ),
        (
            asked(&ConfigList::<Value>::all()),
            expect(
                "/v1/config/",
                "service_prefix \"\" { policy = \"read\" } and mesh = \"read\"",
                Index,
                "servers large",
            ),
        ),
        (
            asked(&ConfigList::<Value>::of("service-resolver")),
            expect("/v1/config/service-resolver", SERVICES, Index, "servers large"),
        ),
        (
            asked(&ConfigList::<Value>::of("exported-services")),
            expect("/v1/config/exported-services", "mesh = \"read\"", Index, "servers large"),
        ),
        (
            asked(&ConfigEntry::<Value>::new("mesh", "mesh")),
            expect("/v1/config/mesh/mesh", "", Index, "servers absent"),
        ),
        (
            asked(&ConfigEntry::<Value>::new("service-defaults", "web")),
            expect("/v1/config/service-defaults/web", WEB, Index, "servers absent"),
        ),
        (asked(&CaRoots::<Value>::new()), expect("/v1/agent/connect/ca/roots", "", Index, "")),
        (
            asked(&CaLeaf::<Value>::new("web")),
            expect("/v1/agent/connect/ca/leaf/web", "service \"web\" { policy = \"write\" }", Index, ""),
        ),
        (
            asked(&Intentions::<Value>::new()),
            expect("/v1/connect/intentions", SERVICES, Index, "servers large"),
        ),
        (
            asked(&IntentionMatch::<Value>::new(["web"])),
            expect("/v1/connect/intentions/match?by=destination&name=web", WEB, Index, "servers"),
        ),
        (
            asked(&IntentionMatch::<Value>::new(["web", "a&b"])),
            expect(
                "/v1/connect/intentions/match?by=destination&name=web&name=a%26b",
                SERVICES,
                Index,
                "servers",
            ),
        ),
        (
            asked(&DiscoveryChain::<Value>::new("web").dc("dc2").compile_dc("dc3")),
            expect("/v1/discovery-chain/web?dc=dc2&compile-dc=dc3", WEB, Index, "servers"),
        ),
        (asked(&AgentSelf), expect("/v1/agent/self", "agent_prefix \"\" { policy = \"read\" }", Never, "")),
        (
            asked(&AgentService::<Value>::new("web-1")),
            expect("/v1/agent/service/web-1", SERVICES, Hash, "absent"),
        ),
        (
            asked(&AgentServices::<Value>::new().filter("Kind == x")),
            expect("/v1/agent/services?filter=Kind%20%3D%3D%20x", SERVICES, Never, "large"),
        ),
        (asked(&Peerings::<Value>::new()), expect("/v1/peerings", "peering = \"read\"", Index, "servers")),
        (
            asked(&ExportedServices::<Value>::new()),
            expect("/v1/exported-services", "mesh = \"read\"", Index, "servers"),
        ),
        (asked(&StatusLeader), expect("/v1/status/leader", "", Never, "")),
        (asked(&TokenSelf), expect("/v1/acl/token/self", "", Never, "servers")),
    ];
    for (given, expected) in table {
        assert_eq!(given, expected);
    }
}

#[test]
fn queries_are_values_whatever_they_bring() {
    /// Neither `Clone` nor `Debug`.
    struct Odd;
    let query = HealthConnect::<Odd>::new("web").dc("dc2");
    assert!(query.clone() == query && query != HealthConnect::new("web"));
    assert_eq!(query.service(), "web");
    let text = format!("{query:?}");
    assert!(text.contains("HealthConnect") && text.contains("dc2"), "{text}");
    let all: std::collections::HashSet<_> = [query.clone(), query].into();
    assert_eq!(all.len(), 1);
}
