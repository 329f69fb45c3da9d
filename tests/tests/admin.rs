//! The admin endpoint of a running `mesh-gw`, as probes, scrapers and people meet it.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::net::SocketAddr;

use gateway_testkit::{
    Admin, Answer, Call, ClientSidecar, Deadline, Document, Gateway, GatewayBuilder, Lab, Pki, Place,
    Samples, ServerSidecar, Sidecar, Signal, Tool, Upstream, Via, eventually, have,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SERVICES: [&str; 3] = ["billing", "search", "web"];

struct World {
    pki: Pki,
    gateway: Gateway,
    frontend: ClientSidecar,
    _sidecars: Vec<ServerSidecar>,
    lab: Lab,
}

impl World {
    async fn start() -> Self {
        Self::start_with(|gateway, _| gateway).await
    }

    async fn start_with(more: impl FnOnce(GatewayBuilder, &Lab) -> GatewayBuilder) -> Self {
        let lab = Lab::new().unwrap();
        let pki = Pki::development().unwrap();
        let catalog = lab.catalog("catalog").unwrap();
        let start =
            |service: &&str| ServerSidecar::start(&pki, Sidecar::new(service, service, "dc1")).unwrap();
        let sidecars: Vec<_> = SERVICES.iter().map(start).collect();
        let mut mesh = Document::new().mesh("dc1", pki.trust_domain());
        for (service, sidecar) in SERVICES.iter().zip(&sidecars) {
            mesh = mesh.sidecar(service, &format!("{service}-1"), sidecar.address());
        }
        catalog.write("mesh.toml", mesh).unwrap();
        let gateway = more(lab.gateway("gateway").catalog(catalog.path()), &lab).start().await.unwrap();
        let frontend = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
        World { pki, gateway, frontend, _sidecars: sidecars, lab }
    }

    fn admin(&self) -> &Admin {
        self.gateway.admin().unwrap()
    }

    async fn call(&self, service: &str) -> Call {
        let via = Via::Local(self.gateway.address().unwrap());
        self.frontend.call(&Upstream::new(service, "dc1"), via).await.unwrap()
    }

    /// Waits until this many connections have been counted.
    async fn until_ended(&self, count: f64) {
        let ended =
            self.gateway.wait_metric(Deadline::usual(), "gateway_connections_total", &[], |v| v == count);
        ended.await.unwrap();
    }
}

#[tokio::test]
async fn ready_is_200_until_the_drain_and_live_stays() {
    let world = World::start().await;
    let admin = world.admin();
    let page = async |path: &str| {
        let Answer { status, body, .. } = admin.get(path).await.unwrap();
        (status, body)
    };
    // The listener says that it is there a moment before the process is ready.
    eventually(Deadline::usual(), "ready", async || page("/ready").await == (200, "ready\n".to_owned()))
        .await;
    assert_eq!(page("/live").await, (200, "live\n".to_owned()));
    let call = world.call("billing").await;
    world.gateway.signal(Signal::TERM).unwrap();
    eventually(Deadline::usual(), "not ready", async || page("/ready").await.0 == 503).await;
    let (_, reasons) = page("/ready").await;
    assert_eq!(reasons, "not ready\ndraining: the process is about to end\n");
    assert_eq!(page("/live").await.0, 200, "a draining process is to be left alone");
    call.close().await.unwrap();
    assert_eq!(world.gateway.exit_code(Deadline::usual()).await.unwrap(), 0);
}

#[tokio::test]
async fn metrics_have_names_types_and_help() {
    let world = World::start().await;
    world.call("billing").await.close().await.unwrap();
    world.until_ended(1.0).await;
    let answer = world.admin().get("/metrics").await.unwrap();
    assert!(answer.head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(answer.body.ends_with("# EOF\n"));
    // Both forms: what a scraper gets that accepts OpenMetrics, and what others get.
    let old = world.admin().request("GET", "/metrics", &["Accept: text/plain"], "").await.unwrap();
    assert!(old.head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{}", old.head);
    let types = [
        ("gateway_connections", "counter"),
        ("gateway_connections_open", "gauge"),
        ("gateway_received_bytes", "counter"),
        ("gateway_sent_bytes", "counter"),
        ("gateway_upstream_connect_seconds", "histogram"),
        ("gateway_open_connections", "gauge"),
        ("gateway_catalog_generation", "gauge"),
        ("gateway_catalog_reloads", "counter"),
        ("gateway_catalog_rejected", "gauge"),
        ("gateway_compiled_services", "counter"),
        ("gateway_accept_paused", "counter"),
        ("gateway_splice_fallback", "counter"),
        ("gateway_hello_buffer_bytes", "gauge"),
        ("gateway_pipe_bytes", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_open_fds", "gauge"),
        ("process_max_fds", "gauge"),
        ("process_start_time_seconds", "gauge"),
    ];
    for (name, kind) in types {
        assert!(
            answer.body.contains(&format!("# TYPE {name} {kind}\n")),
            "{name} is no {kind}:\n{}",
            answer.body
        );
        let help = answer.body.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > 10), "{name} has no help");
        // The older form names a counter by its series.
        let total = if kind == "counter" { "_total" } else { "" };
        assert!(old.body.contains(&format!("# TYPE {name}{total} {kind}\n")), "{name}:\n{}", old.body);
    }
    for text in [&answer.body, &old.body] {
        let samples = Samples::parse(text);
        let closed = [("service", "billing"), ("reason", "closed")];
        assert_eq!(samples.sum("gateway_connections_total", &closed), 1.0);
        assert_eq!(samples.sum("gateway_upstream_connect_seconds_count", &[("service", "billing")]), 1.0);
        assert!(samples.sum("gateway_sent_bytes_total", &[("service", "billing")]) > 1000.0);
        assert_eq!(samples.series("gateway_build_info", &[("role", "mesh-gw")]), 1);
        assert_eq!(
            samples.series("gateway_connections_total", &[("service", "web")]),
            0,
            "made on first use"
        );
    }
    assert!(!answer.body.contains("127.0.0.1"), "no label has an address");
}

#[tokio::test]
async fn services_beyond_the_bound_share_their_series() {
    let world = World::start_with(|gateway, _| gateway.setting("LIMITS_SERVICES_IN_METRICS", "1")).await;
    // One after the other: who comes first has a series of its own.
    for (count, service) in [(1.0, "search"), (2.0, "billing"), (3.0, "web"), (4.0, "search")] {
        world.call(service).await.close().await.unwrap();
        world.until_ended(count).await;
    }
    let samples = world.admin().metrics().await.unwrap();
    let closed =
        |service| samples.sum("gateway_connections_total", &[("service", service), ("reason", "closed")]);
    assert_eq!((closed("search"), closed("other")), (2.0, 2.0), "the first one has its own");
    assert_eq!((closed("billing"), closed("web")), (0.0, 0.0));
    assert_eq!(samples.series("gateway_upstream_connect_seconds_count", &[]), 2);
}

#[tokio::test]
async fn the_snapshot_shows_names_and_settings_and_no_secret() {
    let world = World::start_with(|gateway, lab| {
        std::fs::write(lab.dir().join("token"), "a-long-random-word\n").unwrap();
        gateway.argument("--admin-token-file").argument(lab.dir().join("token"))
    })
    .await;
    let leaf = world.pki.service("mesh-gateway", "dc1").unwrap();
    let files = leaf.write(&world.lab.dir().join("catalog"), "leaf").unwrap();
    let document = format!(
        "[[Leaf]]\nService = \"mesh-gateway\"\nCertFile = {:?}\nKeyFile = {:?}\n",
        files.cert, files.key
    );
    std::fs::write(world.lab.dir().join("catalog/leaf.toml"), document).unwrap();
    let page = async |path: &str| world.admin().get(path).await.unwrap().body;
    eventually(Deadline::usual(), "the leaf", async || page("/snapshot").await.contains("leaf.toml")).await;

    let snapshot = world.admin().snapshot().await.unwrap();
    assert_eq!(snapshot["mesh"]["trust_domain"], world.pki.trust_domain());
    assert_eq!((&snapshot["names"]["total"], &snapshot["rejected"]["total"]), (&3.into(), &0.into()));
    assert_eq!(snapshot["settings"]["workers"]["origin"], "default");
    let one = world.admin().json("/snapshot?limit=1&service=web").await.unwrap();
    assert_eq!((&one["names"]["total"], &one["names"]["rows"][0]["service"]), (&1.into(), &"web".into()));

    let secrets = ["PRIVATE KEY", "a-long-random-word", leaf.key_pem.lines().nth(1).unwrap()];
    for path in ["/", "/ready", "/snapshot", "/endpoints", "/connections", "/metrics", "/nothing-here"] {
        let body = page(path).await;
        assert!(!secrets.iter().any(|secret| body.contains(secret)), "{path} shows a secret");
    }
}

#[tokio::test]
async fn endpoints_and_connections_show_what_is_open() {
    let world = World::start().await;
    let (mut first, second) = (world.call("billing").await, world.call("billing").await);
    let third = world.call("web").await;
    first.echo(&[5; 5000]).await.unwrap();
    let endpoints = world.admin().json("/endpoints?service=billing").await.unwrap();
    let row = &endpoints["services"][0];
    assert_eq!((&endpoints["names"], &row["open"], &row["pending"]), (&1.into(), &2.into(), &0.into()));
    let endpoint = &row["endpoints"][0];
    assert_eq!((&endpoint["instance"], &endpoint["in_flight"]), (&"billing-1".into(), &2.into()));
    assert_eq!((&endpoint["healthy"], &endpoint["ejected"]), (&true.into(), &false.into()));

    let all = world.admin().connections().await.unwrap();
    assert_eq!((&all["open"], &all["shown"]), (&3.into(), &3.into()));
    let rows = all["connections"].as_array().unwrap();
    let ours = rows.iter().find(|row| row["peer"] == first.local.to_string()).unwrap();
    assert_eq!(
        (&ours["service"], &ours["state"], &ours["attempts"]),
        (&"billing".into(), &"open".into(), &1.into())
    );
    assert!(ours["bytes_up"].as_u64() > Some(5000) && ours["bytes_down"].as_u64() > Some(5000), "{ours}");
    assert_eq!(ours["endpoint"], first.greeting.address.to_string());

    let shown = async |query: &str| world.admin().json(&format!("/connections{query}")).await.unwrap();
    assert_eq!((&shown("?limit=2").await["open"], &shown("?limit=2").await["shown"]), (&3.into(), &2.into()));
    assert_eq!(shown("?limit=0").await["connections"], Value::Array(Vec::new()));
    assert_eq!(shown("?service=web").await["connections"][0]["peer"], third.local.to_string());
    assert_eq!(shown("?service=web&limit=nonsense").await["shown"], 1);
    let id = ours["id"].clone();
    for call in [first, second, third] {
        call.close().await.unwrap();
    }
    let record =
        world.gateway.wait_record(Deadline::usual(), "with the same id", |record| record["id"] == id);
    assert_eq!(record.await.unwrap()["service"], "billing");
}

#[tokio::test]
async fn the_log_level_changes_with_the_token_only() {
    let word = "a-long-random-word";
    let world = World::start_with(|gateway, lab| {
        std::fs::write(lab.dir().join("token"), format!("{word}\n")).unwrap();
        gateway.argument("--admin-token-file").argument(lab.dir().join("token"))
    })
    .await;
    let put = async |headers: &[&str], level: &str| {
        world.admin().request("PUT", "/log-level", headers, level).await.unwrap()
    };
    let bearer = |word: &str| format!("Authorization: Bearer {word}");
    let level = async || world.admin().get("/log-level").await.unwrap().body;
    assert_eq!(level().await, "info\n");
    let longer = bearer(&format!("{word}x"));
    for headers in
        [&[][..], &[bearer("wrong").as_str()], &[&bearer("")], &[&longer], &["Authorization: Basic eDp4"]]
    {
        let refused = put(headers, "debug").await;
        assert_eq!(refused.status, 401, "{headers:?}");
        assert!(refused.head.to_lowercase().contains("www-authenticate: bearer"));
    }
    assert_eq!(level().await, "info\n", "and nothing has changed");
    let good = bearer(word);
    assert_eq!(put(&[&good], "loud").await.status, 400);
    assert_eq!(put(&[&good], "debug\n").await.status, 200);
    assert_eq!(level().await, "debug\n");
    world
        .gateway
        .wait_log(Deadline::usual(), "of the change", |line| {
            line["message"] == "the log level was changed" && line["field_level"] == "debug"
        })
        .await
        .unwrap();
    // A new token counts at once, the old one no longer.
    std::fs::write(world.lab.dir().join("token"), "another-word\n").unwrap();
    assert_eq!(put(&[&good], "trace").await.status, 401);
    assert_eq!(put(&[&bearer("another-word")], "warn").await.status, 200);
    std::fs::write(world.lab.dir().join("token"), "").unwrap();
    assert_eq!(put(&["Authorization: Bearer "], "trace").await.status, 503, "an empty token is nobody's");
}

#[tokio::test]
async fn nothing_changes_anything_without_a_token_file() {
    let world = World::start().await;
    for path in ["/log-level", "/", "/ready", "/snapshot", "/connections"] {
        for method in ["PUT", "POST", "DELETE", "PATCH"] {
            let answer =
                world.admin().request(method, path, &["Authorization: Bearer x"], "debug").await.unwrap();
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.head.to_lowercase().contains("allow: get, head"), "{}", answer.head);
        }
    }
    assert_eq!(world.admin().get("/log-level").await.unwrap().status, 404, "it does not exist");
    let unknown = world.admin().get("/nothing-here").await.unwrap();
    assert_eq!(unknown.status, 404);
    for page in ["/ready", "/metrics", "/snapshot", "/endpoints", "/connections"] {
        assert!(unknown.body.contains(page), "the pages that there are: {}", unknown.body);
    }
    let head = world.admin().request("HEAD", "/snapshot", &[], "").await.unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

/// A hostile web site whose name leads to 127.0.0.1 has the browser send its own name.
#[tokio::test]
async fn a_page_of_another_name_is_not_shown() {
    let world = World::start().await;
    let address = world.admin().address();
    let status = async |host: &str| {
        let mut stream = Place::Here.connect(address).await.unwrap();
        let request = format!("GET /snapshot HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(status == 200 || !answer.contains("billing"), "{answer}");
        status
    };
    for good in ["Host: localhost\r\n", "Host: 127.0.0.1:1\r\n", "Host: [::1]\r\n", ""] {
        assert_eq!(status(good).await, 200, "{good:?}");
    }
    for bad in ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1"] {
        assert_eq!(status(&format!("Host: {bad}\r\n")).await, 421, "{bad}");
    }
    assert_ne!(status("Host: localhost\r\nHost: evil.example\r\n").await, 200);
}

/// Whoever binds it elsewhere has decided that others may read, and reaches it by any name.
#[tokio::test]
async fn bound_to_all_addresses_it_answers_to_every_name() {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let world = World::start_with(|gateway, _| gateway.admin(any)).await;
    let port = world.admin().address().port();
    let mut stream = Place::Here.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    stream
        .write_all(b"GET /ready HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_page_for_people_stands_alone() {
    if !have(&[Tool::Curl]) {
        return;
    }
    let world = World::start().await;
    let url = format!("http://{}/", world.admin().address());
    let mut curl = tokio::process::Command::new(Tool::Curl.path().unwrap());
    let output = curl
        .args(["--silent", "--show-error", "--include", "--max-time", "10", &url])
        .output()
        .await
        .unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.to_lowercase().contains("content-security-policy: default-src 'none'"), "{page}");
    for path in ["/metrics", "/snapshot", "/endpoints", "/connections"] {
        assert!(page.contains(&format!("href=\"{path}\"")), "no link to {path}");
    }
    for foreign in ["http://", "https://", "<script"] {
        assert!(!page.contains(foreign), "{foreign} in {page}");
    }
}
