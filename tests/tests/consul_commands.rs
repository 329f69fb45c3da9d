//! `explain` and `doctor` with a Consul: what they say, and that they only ask.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use std::net::SocketAddr;
use std::time::Duration;

use gateway_testkit::{
    Backend, Consul, Deadline, Fault, Instance, Lab, Loopback, On, Pki, Place, Replay, Script, eventually,
    gateway_binary,
};
use serde_json::json;
use tokio::process::Command;

/// Far more than any command takes.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// What a run of the program left: its exit code, and what it printed.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
}

impl Ran {
    /// The line that has these words.
    #[track_caller]
    fn line(&self, words: &str) -> &str {
        self.out
            .lines()
            .find(|line| line.contains(words))
            .unwrap_or_else(|| panic!("no line with {words:?} in\n{}", self.out))
    }

    #[track_caller]
    fn has(&self, words: &str) {
        self.line(words);
    }
}

/// Runs a command against an agent. Own addresses are of the kernel's choice.
async fn run(words: &[&str], agent: &str, more: &[&str]) -> Ran {
    let mut command = Command::new(gateway_binary().unwrap());
    command.args(words).args(["--http-addr", agent, "--admin-bind", "127.0.0.1:0"]).args(more);
    for (name, _) in std::env::vars_os() {
        if ["GATEWAY_", "CONSUL_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true);
    let output = tokio::time::timeout(ENDS_WITHIN, command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(err, "", "{out}");
    Ran { code: output.status.code(), out }
}

/// Where a gateway that is not started would listen and register: nobody else has the port.
struct Own {
    address: SocketAddr,
    arguments: Vec<String>,
    _claim: Loopback,
}

fn own_address() -> Own {
    let claim = Loopback::claim().unwrap();
    let address = claim.at(0);
    // The addresses of a host are those of its interfaces: of 127.0.0.0/8 one. What is bound may be another.
    let bind = format!("default={address}");
    let arguments = ["--register", "--address", &address.to_string(), "--bind-address", &bind];
    Own { address, arguments: arguments.map(str::to_owned).to_vec(), _claim: claim }
}

fn trust_domain(replay: &Replay) -> String {
    replay.get("/v1/agent/connect/ca/roots")["TrustDomain"].as_str().unwrap().to_owned()
}

/// Nothing was asked for that changes anything.
#[track_caller]
fn only_looked(replay: &Replay) {
    let writes = |asked: &gateway_testkit::Asked| {
        asked.method != "GET" && asked.path() != "/v1/internal/acl/authorize"
    };
    assert_eq!(replay.count(writes), 0, "{:?}", replay.asked());
}

#[tokio::test]
async fn a_name_is_explained_from_what_it_needs_alone() {
    for (version, service, gateway) in [
        ("1.8.7", "billing", "127.0.0.102:8444"),
        ("1.10.1", "web", "198.51.100.2:443"),
        ("1.21", "billing", "127.0.0.102:8444"),
    ] {
        let replay = Replay::of_version(version).unwrap().start().unwrap();
        let (agent, td) = (replay.http().to_string(), trust_domain(&replay));
        let explain = async |front: &str| {
            let name = format!("{front}.internal.{td}");
            run(&["explain", &name], &agent, &["--register", "--address", "127.0.0.1:8443"]).await
        };

        let known = explain(&format!("{service}.default.dc1")).await;
        assert_eq!(known.code, Some(0), "{version}: {}", known.out);
        known.has(&format!("{service} is a service of this datacenter"));
        known.has("(service-resolver ");
        assert!(known.line("  used  ").contains("-sidecar-proxy"), "{}", known.out);
        let of_others = |asked: &gateway_testkit::Asked| {
            asked.path().starts_with("/v1/health/connect/") && !asked.path().ends_with(&format!("/{service}"))
        };
        assert!(replay.count(|asked| asked.path().starts_with("/v1/health/connect/")) > 0);
        let others: Vec<_> = replay.asked().into_iter().filter(of_others).map(|asked| asked.target).collect();
        assert!(!others.iter().any(|target| target.contains("frontend")), "{version}: {others:?}");

        let subset = explain(&format!("v1.{service}.default.dc1")).await;
        assert_eq!(subset.code, Some(0), "{version}: {}", subset.out);
        subset.has(&format!("a subset of {service}"));

        let remote = explain("anything.default.dc2").await;
        assert_eq!(remote.code, Some(0), "{version}: {}", remote.out);
        remote.has("all names of datacenter dc2 go to its mesh gateways");
        remote.has(gateway);

        let unknown = explain(&format!("{service}x.default.dc1")).await;
        assert_eq!(unknown.code, Some(1), "{version}: {}", unknown.out);
        unknown.has("unknown_sni");
        unknown.has("no service of this name is registered here");
        assert!(unknown.line("near").contains(service), "{}", unknown.out);
        only_looked(&replay);
    }
}

/// A read that is refused is no answer: the name may be there.
#[tokio::test]
async fn a_service_that_may_not_be_read_is_not_called_missing() {
    let replay = Replay::of_version("1.21").unwrap().start().unwrap();
    replay.fault(On::path("/v1/health/connect/billing"), Fault::denied());
    let name = format!("billing.default.dc1.internal.{}", trust_domain(&replay));
    let ran = run(&["explain", &name], &replay.http().to_string(), &["--register"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    let line = ran.line("/v1/health/connect/billing");
    assert!(line.contains("403: Permission denied") && line.contains("service_prefix \"billing\""), "{line}");
    assert!(!ran.out.contains("unknown_sni"), "{}", ran.out);
}

#[tokio::test]
async fn doctor_says_who_the_agent_is_and_what_it_can() {
    for (version, mesh_entry) in [("1.8.7", "not in this Consul"), ("1.21", "there")] {
        let replay = Replay::of_version(version).unwrap().start().unwrap();
        let agent = replay.http().to_string();
        let ran = run(&["doctor"], &agent, &["--proxy-id", "mesh-gateway"]).await;
        ran.has(&format!("OK    agent: {agent} answers, over http/1.1"));
        ran.has(&format!("agent: Consul {version}"));
        assert!(ran.line("feature: mesh_entry: ").contains(mesh_entry), "{}", ran.out);
        ran.has("connections: up to 64 are used, the agent grants one address 200");
        ran.has("OK    token: ACLs are off");
        ran.has("OK    registration: this gateway is service \"mesh-gateway\", ID \"mesh-gateway\", at ");
        // The recorded gateway of the other datacenter is not there now.
        let line = ran.line("other datacenters: gateway 127.0.0.102 port 8444 of dc:dc2");
        assert!(line.starts_with("FAIL"), "{line}");
        // Where to listen, the registration says.
        ran.has("listener: ");
        only_looked(&replay);
    }
}

#[tokio::test]
async fn doctor_names_the_address_the_ca_and_the_name_that_do_not_fit() {
    let lab = Lab::new().unwrap();
    let replay = Replay::of_version("1.21").unwrap().https().start().unwrap();
    let (right, wrong) = (replay.ca().unwrap(), lab.dir().join("other-ca.pem"));
    Pki::development().unwrap().write_root(&wrong).unwrap();
    let agent = format!("https://{}", replay.https().unwrap());
    let (right, wrong) = (right.to_str().unwrap(), wrong.to_str().unwrap());

    let ran = run(&["doctor"], &agent, &["--ca-file", wrong]).await;
    assert_eq!(ran.code, Some(1));
    let line = ran.line("FAIL  agent: ");
    assert!(line.contains("--ca-file") && line.contains(&format!("in use: {wrong}")), "{line}");
    assert!(!ran.out.contains("mesh: "), "nothing else is asked:\n{}", ran.out);

    let ran = run(&["doctor"], &agent, &["--ca-file", right, "--tls-server-name", "elsewhere.example"]).await;
    let line = ran.line("FAIL  agent: ");
    assert!(line.contains("--tls-server-name") && line.contains("server name elsewhere.example"), "{line}");

    let ran = run(&["doctor"], &agent, &["--ca-file", right]).await;
    ran.has("answers, over h2");
    ran.has("shared by all questions (HTTP/2)");

    // One of two that answers is enough to start with.
    let nobody = Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap().address().to_string();
    let ran = run(&["doctor"], &nobody, &["--http-addr", &agent, "--ca-file", right]).await;
    assert!(ran.line(&nobody).starts_with("WARN  agent: "), "{}", ran.out);
    ran.has("another address answers, and is used");
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_told_at_once() {
    let nobody = Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
    let agent = nobody.address().to_string();
    let started = std::time::Instant::now();
    let name = format!("billing.default.dc1.internal.{}", Pki::TRUST_DOMAIN);
    let explained = run(&["explain", &name], &agent, &["--register"]).await;
    let looked = run(&["doctor"], &agent, &["--register"]).await;
    assert_eq!((explained.code, looked.code), (Some(1), Some(1)));
    assert!(explained.line(&agent).contains("is a Consul agent listening there?"), "{}", explained.out);
    assert!(looked.line(&agent).starts_with("FAIL  agent: "), "{}", looked.out);
    looked.has("descriptors: ");
    // A start waits 15 s for more than this.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_a_token_does_not_see_is_told_with_the_rule_that_it_lacks() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().acls().start().await.unwrap();
    let sidecar = SocketAddr::from(([127, 0, 0, 1], 4711));
    consul
        .register_instance(&Instance::new("billing", "billing-1", sidecar).meta("version", "2"))
        .await
        .unwrap();
    let resolver = json!({
        "Kind": "service-resolver", "Name": "billing", "ConnectTimeout": "3s",
        "Subsets": {"v2": {"Filter": "Service.Meta.version == 2"}},
    });
    consul.config_write(&resolver).await.unwrap();
    let reading = r#"service "mesh-gateway" { policy = "write" } service_prefix "" { policy = "read" }
        agent_prefix "" { policy = "read" }"#;
    let blind = consul.token(reading).await.unwrap();
    let seeing = consul.token(&format!("{reading} node_prefix \"\" {{ policy = \"read\" }}")).await.unwrap();
    let rows = "/v1/health/connect/billing";
    eventually(Deadline::usual(), "the sidecar in the catalog", async || {
        consul.api().get(rows).await.is_ok_and(|rows| rows.as_array().is_some_and(|rows| rows.len() == 1))
    })
    .await;
    let (agent, trust) = (consul.http().to_string(), consul.trust().await.unwrap());
    let name = |front: &str| format!("{front}.default.dc1.internal.{}", trust.domain());
    let own = own_address();
    let with = |token: &str| [&own.arguments[..], &["--token".to_owned(), token.to_owned()]].concat();
    let (blind, seeing, unknown) =
        (with(&blind), with(&seeing), with("8f246b77-f3e1-ff88-5b48-8ec93abf3e05"));
    let run = async |words: &[&str], more: &[String]| {
        run(words, &agent, &more.iter().map(String::as_str).collect::<Vec<_>>()).await
    };

    let ran = run(&["doctor"], &seeing).await;
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    for rule in [
        r#"OK    right: service_prefix "" { policy = "read" } is granted"#,
        r#"OK    right: node_prefix "" { policy = "read" } is granted"#,
        r#"OK    right: service "mesh-gateway" { policy = "write" } is granted"#,
        r#"OK    registration: ID "mesh-gateway" is free on this agent"#,
    ] {
        ran.has(rule);
    }
    for front in ["billing", "v2.billing"] {
        let ran = run(&["explain", &name(front)], &seeing).await;
        assert_eq!(ran.code, Some(0), "{}", ran.out);
        ran.has("127.0.0.1:4711");
        ran.has("3s  (service-resolver billing)");
    }

    let ran = run(&["doctor"], &blind).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    ran.has(r#"FAIL  right: node_prefix "" { policy = "read" } is missing: "#);
    assert_eq!(ran.out.matches("FAIL").count(), 1, "{}", ran.out);
    let ran = run(&["explain", &name("billing")], &blind).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.line("because").contains(r#"it needs node_prefix "" { policy = "read" }"#), "{}", ran.out);

    let explained = run(&["explain", &name("billing")], &unknown).await;
    let looked = run(&["doctor"], &unknown).await;
    assert_eq!((explained.code, looked.code), (Some(1), Some(1)));
    explained.has("403: ACL not found; give a token that exists");
    looked.has("FAIL  token: Consul does not know it");

    // A registration that this token made, and does not see.
    let gateway = json!({
        "Kind": "mesh-gateway", "Name": "mesh-gateway", "ID": "mesh-gateway",
        "Address": own.address.ip(), "Port": own.address.port(),
    });
    consul.register(&gateway).await.unwrap();
    let own = "/v1/health/service/mesh-gateway";
    eventually(Deadline::usual(), "the gateway in the catalog", async || {
        consul.api().get(own).await.is_ok_and(|rows| rows.as_array().is_some_and(|rows| rows.len() == 1))
    })
    .await;
    run(&["doctor"], &seeing).await.has("is registered with this agent as it is to be");
    run(&["doctor"], &blind)
        .await
        .has("FAIL  registration: the agent has ID \"mesh-gateway\", but the catalog does not");
    let registered = consul.api().get("/v1/agent/services").await.unwrap();
    assert_eq!(registered.as_object().unwrap().len(), 3, "no command has registered anything: {registered}");
}

#[tokio::test]
async fn gateways_of_another_datacenter_are_found_and_dialled() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let both = lab.two_consuls(Ok).await.unwrap();
    let far = Backend::local(Script::Silent).unwrap();
    let wan = json!({"Address": far.address().ip().to_string(), "Port": far.address().port()});
    let gateway = json!({
        "Kind": "mesh-gateway", "Name": "mesh-gateway", "ID": "mesh-gateway", "Address": "127.0.0.1", "Port": 8443,
        "TaggedAddresses": {"wan": wan},
    });
    both.dc2.register(&gateway).await.unwrap();
    let rows = "/v1/health/service/mesh-gateway?dc=dc2";
    eventually(Deadline::usual(), "the gateway of dc2", async || {
        both.dc1.api().get(rows).await.is_ok_and(|rows| rows.as_array().is_some_and(|rows| rows.len() == 1))
    })
    .await;
    let agent = both.dc1.http().to_string();
    let own = own_address();
    let own: Vec<_> = own.arguments.iter().map(String::as_str).collect();
    let name = format!("ledger.default.dc2.internal.{}", both.dc1.trust().await.unwrap().domain());
    let ran = run(&["explain", &name], &agent, &own).await;
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    ran.has("all names of datacenter dc2 go to its mesh gateways");
    ran.has(&far.address().to_string());
    let ran = run(&["doctor"], &agent, &own).await;
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    ran.has(&format!("of dc:dc2 answers at {}", far.address()));
}
