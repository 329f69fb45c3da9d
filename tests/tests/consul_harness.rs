//! The harness's Consul is a real one: it elects, signs, remembers, and does what a test does to it.

use std::io;
use std::time::Duration;

use gateway_testkit::{
    Api, Backend, ClientSidecar, ConnectProxy, Consul, Deadline, Envoy, Instance, Lab, Place, Script,
    ServerSidecar, Sidecar, Site, TwoConsuls, TwoDatacenters, Upstream, Via, eventually, may_use_namespaces,
    wait_for,
};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

fn names(services: &Value) -> Vec<&str> {
    services.as_object().into_iter().flat_map(|services| services.keys().map(String::as_str)).collect()
}

async fn statuses(api: &Api, service: &str) -> Vec<String> {
    let rows = api.get(&format!("/v1/health/connect/{service}")).await.unwrap_or_default();
    let checks = rows.as_array().into_iter().flatten().flat_map(|row| row["Checks"].as_array()).flatten();
    let own = checks.filter(|check| check["ServiceID"] != "");
    own.filter_map(|check| check["Status"].as_str().map(str::to_owned)).collect()
}

async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Vec<u8>> {
    let mut back = vec![0; 5];
    stream.write_all(b"hello").await?;
    stream.flush().await?;
    stream.read_exact(&mut back).await?;
    Ok(back)
}

#[tokio::test]
async fn a_server_that_is_killed_comes_back_with_its_data() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let entry = json!({"Kind": "service-resolver", "Name": "billing", "ConnectTimeout": "3s"});
    consul.config_write(&entry).await.unwrap();
    let sidecar = ([127, 0, 0, 1], 4711).into();
    let instance = Instance::new("billing", "billing-1", sidecar).meta("version", "1").weights(5, 1);
    consul.register_instance(&instance).await.unwrap();
    let api = consul.api();
    eventually(Deadline::usual(), "a passing sidecar", async || {
        statuses(&api, "billing").await == ["passing"]
    })
    .await;
    let row = api.get("/v1/health/connect/billing").await.unwrap()[0]["Service"].take();
    assert_eq!((row["Port"].as_u64(), row["Meta"]["version"].as_str()), (Some(4711), Some("1")));
    consul.set_health("billing-1", "critical").await.unwrap();
    eventually(Deadline::usual(), "a critical one", async || statuses(&api, "billing").await == ["critical"])
        .await;
    let roots = api.get("/v1/connect/ca/roots").await.unwrap();
    let snapshot = consul.snapshot().await.unwrap();

    let pid = consul.pid();
    consul.kill().await.unwrap();
    assert!(api.get("/v1/status/leader").await.is_err());
    consul.restart().await.unwrap();
    assert_ne!(consul.pid(), pid);
    assert_eq!(api.get("/v1/config/service-resolver/billing").await.unwrap()["ConnectTimeout"], "3s");
    assert_eq!(api.get("/v1/connect/ca/roots").await.unwrap()["TrustDomain"], roots["TrustDomain"]);
    assert!(names(&api.get("/v1/catalog/services").await.unwrap()).contains(&"billing-sidecar-proxy"));

    consul.config_delete("service-resolver", "billing").await.unwrap();
    consul.deregister_instance("billing-1").await.unwrap();
    consul.restore(&snapshot).await.unwrap();
    assert!(api.get("/v1/config/service-resolver/billing").await.is_ok());
}

#[tokio::test]
async fn a_stopped_agent_holds_its_callers_and_a_wiped_one_is_another() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let api = consul.api();
    consul.stop().await.unwrap();
    let asked = tokio::time::timeout(Duration::from_millis(300), api.get("/v1/status/leader")).await;
    assert!(asked.is_err(), "answered: {asked:?}");
    consul.cont().unwrap();
    let before = consul.trust().await.unwrap();
    consul.stop().await.unwrap();
    consul.kill().await.unwrap();
    consul.wipe().unwrap();
    consul.restart().await.unwrap();
    assert_ne!(consul.trust().await.unwrap().domain(), before.domain());
}

#[tokio::test]
async fn a_token_may_do_what_its_rules_say() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().acls().start().await.unwrap();
    consul.register(&json!({"Name": "billing", "ID": "billing-1", "Port": 1})).await.unwrap();
    eventually(Deadline::usual(), "billing", async || {
        names(&consul.api().get("/v1/catalog/services").await.unwrap()).contains(&"billing")
    })
    .await;
    assert_eq!(consul.anonymous().get("/v1/catalog/services").await.unwrap(), json!({}));
    let rules = r#"service "billing" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let token = consul.token(rules).await.unwrap();
    let api = consul.anonymous().token(&token);
    assert_eq!(api.get("/v1/catalog/services").await.unwrap(), json!({"billing": []}));
    let refused = api.put("/v1/agent/service/register", &json!({"Name": "billing"})).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    consul.delete_token(&token).await.unwrap();
    let refused = wait_for(Deadline::usual(), "the end of the token", async || {
        api.get("/v1/catalog/services").await.err()
    });
    let refused = refused.await.unwrap();
    assert!(refused.to_string().contains("ACL not found"), "{refused}");
}

#[tokio::test]
async fn two_datacenters_see_each_other_and_call_each_other() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let both = lab.two_consuls(Ok).await.unwrap();
    let seen = both.dc2.api().get("/v1/catalog/datacenters").await.unwrap();
    assert_eq!(seen.as_array().unwrap().len(), 2, "{seen}");
    // A write in the secondary goes to the primary.
    both.dc2
        .config_write(&json!({"Kind": "service-defaults", "Name": "web", "Protocol": "tcp"}))
        .await
        .unwrap();
    assert_eq!(both.dc1.api().get("/v1/config/service-defaults/web").await.unwrap()["Protocol"], "tcp");

    // A leaf of the secondary has an intermediate certificate with it, which the other end needs.
    let caller = both.dc1.identity("frontend").await.unwrap();
    let called = both.dc2.identity("billing").await.unwrap();
    assert_eq!(called.leaf.uri, caller.trust.service_id("billing", "dc2"));
    let sidecar = Sidecar::new("billing", "billing-1", "dc2");
    let server = ServerSidecar::start_with(&called.trust, &called.leaf, sidecar).unwrap();
    let client = ClientSidecar::with(&caller.trust, caller.leaf);
    let call = client.call(&Upstream::new("billing", "dc2"), Via::Direct(server.address())).await.unwrap();
    assert_eq!(call.greeting.identity, caller.trust.service_id("frontend", "dc1"));
    call.close().await.unwrap();
}

#[tokio::test]
async fn client_agents_and_three_servers_make_one_datacenter() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let (agent, servers) = (lab.consul("agent").unwrap().client(), lab.three_servers(Ok));
    let servers = servers.await.unwrap();
    let agent = agent.join(servers[1].address()).start().await.unwrap();
    agent.register(&json!({"Name": "billing", "ID": "billing-1", "Port": 1})).await.unwrap();
    let api = servers[2].api();
    let node =
        async || api.get("/v1/catalog/service/billing").await.ok()?[0]["Node"].as_str().map(str::to_owned);
    assert_eq!(wait_for(Deadline::usual(), "billing", node).await.unwrap(), "agent");
    let leader = api.get("/v1/status/leader").await.unwrap();
    let is_leader =
        |server: &&Consul| leader.as_str().unwrap().starts_with(&format!("{}:", server.address().ip()));
    servers.iter().find(is_leader).unwrap().kill().await.unwrap();
    let other = servers.iter().find(|server| !is_leader(server)).unwrap();
    eventually(Deadline::after(Duration::from_secs(20)), "another leader", async || {
        let now = other.api().get("/v1/status/leader").await.unwrap_or_default();
        now != leader && now.as_str().is_some_and(|now| !now.is_empty())
    })
    .await;
}

#[tokio::test]
async fn consuls_own_sidecar_is_called_with_leaves_that_consul_signed() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let backend = Backend::local(Script::Echo).unwrap();
    let proxy = ConnectProxy::start(&consul, "billing", backend.address()).await.unwrap();
    let caller = consul.identity("frontend").await.unwrap();
    let client = ClientSidecar::with(&caller.trust, caller.leaf.clone());
    let via = Via::Direct(proxy.address());
    let mut stream = client.open(&Upstream::new("billing", "dc1"), via).await.unwrap();
    assert_eq!(echo(&mut stream).await.unwrap(), b"hello");
}

#[tokio::test]
async fn envoy_calls_consuls_own_sidecar_and_is_called_by_ours() {
    if !Consul::available() || !Envoy::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let backend = Backend::local(Script::Echo).unwrap();
    let (frontend, web) = tokio::try_join!(consul.identity("frontend"), consul.identity("web")).unwrap();
    let proxy = ConnectProxy::start(&consul, "billing", backend.address()).await.unwrap();
    let anywhere = ([127, 0, 0, 1], 0).into();
    let envoy = lab.envoy("envoy").called("web", &web, anywhere, backend.address()).unwrap();
    let billing = Upstream::new("billing", "dc1");
    let envoy = envoy.caller("billing", &frontend, &billing, proxy.address()).unwrap();
    // The far end is billing: who wants somebody else there gets nothing.
    let envoy = envoy.caller("wrong", &frontend, &Upstream::new("web", "dc1"), proxy.address()).unwrap();
    let envoy = envoy.start().await.unwrap();

    let mut stream = Place::Here.connect(envoy.listener("billing").unwrap()).await.unwrap();
    assert_eq!(echo(&mut stream).await.unwrap(), b"hello");
    drop(stream);
    let client = ClientSidecar::with(&frontend.trust, frontend.leaf.clone());
    let via = Via::Direct(envoy.listener("web").unwrap());
    let mut stream = client.open(&Upstream::new("web", "dc1"), via).await.unwrap();
    assert_eq!(echo(&mut stream).await.unwrap(), b"hello");
    let mut stream = Place::Here.connect(envoy.listener("wrong").unwrap()).await.unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    assert!(said.is_empty());
    let record =
        |name: &'static str| envoy.records().wait(0, Deadline::usual(), name, move |r| r["listener"] == name);
    assert_eq!(record("billing").await.unwrap()["flags"], "-");
    assert_ne!(record("wrong").await.unwrap()["flags"], "-");
}

#[tokio::test]
async fn datacenters_in_namespaces_meet_over_their_edges_only() {
    if !Consul::available() || !may_use_namespaces() {
        return;
    }
    let lab = Lab::new().unwrap();
    let world = TwoDatacenters::build().unwrap();
    let server = |name: &str, site: &Site| {
        let built = lab.consul(name).unwrap().datacenter(name).primary("dc1");
        built.place(&site.edge, Site::GATEWAY).wan(site.wan(0).ip())
    };
    let agent = lab.consul("agent").unwrap().client().place(&world.b.hosts, Site::SERVICE).datacenter("dc2");
    let (dc1, dc2) = (server("dc1", &world.a), server("dc2", &world.b));
    let agent = agent.join(dc2.address());
    // Both servers have the same address on their LANs.
    assert_eq!(dc1.address().ip(), dc2.address().ip());
    let (both, agent) = tokio::try_join!(TwoConsuls::start(dc1, dc2), agent.start()).unwrap();
    agent.register(&json!({"Name": "billing", "ID": "billing-1", "Port": 1})).await.unwrap();
    let far = both.dc1.api().datacenter("dc2");
    let found =
        async || far.get("/v1/catalog/service/billing").await.ok()?[0]["Address"].as_str().map(str::to_owned);
    assert_eq!(wait_for(Deadline::usual(), "billing", found).await.unwrap(), Site::SERVICE.to_string());
}

#[tokio::test]
async fn https_and_the_unix_socket_are_there_on_demand() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().client_certificates().unwrap().unix_socket().unwrap();
    let consul = consul.start().await.unwrap();
    let files = consul.client_certificate("gateway").unwrap();
    let url = format!("https://{}/v1/status/leader", consul.https().unwrap());
    let curl = async |arguments: Vec<std::ffi::OsString>| {
        let mut command = tokio::process::Command::new("curl");
        let output = command.args(["-sS", "-w", " %{http_version}"]).args(arguments).output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if !gateway_testkit::have(&[gateway_testkit::Tool::Curl]) {
        return;
    }
    let ca = ["--cacert".into(), consul.ca().unwrap().into_os_string(), url.into()];
    assert!(!curl(ca.to_vec()).await.0, "let in without a certificate");
    let own = ["--cert".into(), files.cert.into_os_string(), "--key".into(), files.key.into_os_string()];
    let (good, said) = curl([ca.to_vec(), own.to_vec()].concat()).await;
    assert!(good && said.contains(&consul.address().ip().to_string()) && said.ends_with(" 2"), "{said}");
    let socket = [
        "--unix-socket".into(),
        consul.socket().unwrap().into_os_string(),
        "http://x/v1/status/leader".into(),
    ];
    assert!(curl(socket.to_vec()).await.0);
}
