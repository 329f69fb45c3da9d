//! The replaying server behaves as a real agent does, and goes wrong when it is told to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gateway_testkit::{
    Api, Consul, Deadline, Fault, Instance, Lab, On, Place, Recording, Replay, Reply, eventually, have,
    wait_for,
};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

/// Either kind of agent, for what must be the same with both.
enum Agent {
    Real(Consul),
    Replayed(Replay),
}

impl Agent {
    fn api(&self) -> Api {
        match self {
            Agent::Real(consul) => consul.api(),
            Agent::Replayed(replay) => replay.api(),
        }
    }

    async fn write(&self, entry: &Value) -> Result<()> {
        match self {
            Agent::Real(consul) => consul.config_write(entry).await,
            Agent::Replayed(replay) => {
                replay.config_write(entry);
                Ok(())
            }
        }
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        match self {
            Agent::Real(consul) => consul.register_instance(instance).await,
            Agent::Replayed(replay) => {
                replay.register_instance(instance);
                Ok(())
            }
        }
    }
}

async fn ask(api: &Api, path: &str) -> Result<Reply> {
    api.request("GET", path, b"").await
}

/// Asks with `wait`, does `meanwhile` after a moment, and tells how long the answer took.
async fn held(
    api: &Api,
    path: &str,
    wait: &str,
    meanwhile: impl Future<Output = ()>,
) -> Result<(Reply, Duration)> {
    let path = format!("{path}{}wait={wait}", if path.contains('?') { '&' } else { '?' });
    let began = Instant::now();
    let asking = async {
        let reply = ask(api, &path).await?;
        Ok((reply, began.elapsed()))
    };
    let acting = async {
        gateway_testkit::pause(Duration::from_millis(100)).await;
        meanwhile.await;
    };
    tokio::join!(asking, acting).0
}

async fn nothing() {}

/// Asks, asks again with the index, writes after a moment, and gives both answers.
async fn held_until(
    api: &Api,
    path: &str,
    write: impl Future<Output = Result<()>>,
) -> Result<(Reply, Reply)> {
    let first = ask(api, path).await?;
    let path = format!("{path}?index={}", first.index().context("no index")?);
    let mut written = Ok(());
    let (second, took) = held(api, &path, "20s", async { written = write.await }).await?;
    written?;
    assert!(took < Duration::from_secs(10), "{path} was held for {took:?}");
    assert!(second.index() > first.index(), "{path}: {first:?}, {second:?}");
    Ok((first, second))
}

/// What both kinds of agents must do; returns what was seen, to be compared.
async fn poll_as_clients_do(agent: &Agent) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    let api = agent.api();
    let mut note = |what: &str, reply: &Reply| {
        let text = if reply.status == 200 { "-".to_owned() } else { reply.text() };
        seen.push(format!("{what}: {} {text} index:{}", reply.status, reply.index().is_some()));
    };
    agent.write(&json!({"Kind": "service-resolver", "Name": "billing", "ConnectTimeout": "1s"})).await?;
    agent.register(&Instance::new("api", "api-1", ([127, 0, 0, 1], 4711).into())).await?;
    let health = "/v1/health/connect/api";
    let known = async || ask(&api, health).await.is_ok_and(|reply| reply.text().contains("api-1"));
    eventually(Deadline::usual(), "api", known).await;

    // Not held: no index, index 0, a wrong one, a wrong wait, contradictions, what nobody knows.
    let resolver = "/v1/config/service-resolver/billing";
    for path in [
        resolver,
        "/v1/config/service-resolver/billing?index=0&wait=5s",
        "/v1/config/service-resolver/billing?index=one",
        "/v1/config/service-resolver/billing?index=1&wait=10",
        "/v1/config/service-resolver/billing?stale&consistent",
        "/v1/config/service-resolver/billing?ns=default",
        "/v1/config/no-kind-of-mine/x",
        "/v1/config/no-kind-of-mine",
        "/v1/config/mesh",
        "/v1/agent/service/nobody-here",
        "/v1/health/connect/nobody-here",
        "/v1/health/connect/api?dc=dc9",
        "/v1/no/such/path",
        "/v1/catalog/datacenters?index=1&wait=5s",
        "/v1/status/leader?index=1&wait=5s",
    ] {
        let began = Instant::now();
        note(path, &ask(&api, path).await?);
        assert!(began.elapsed() < Duration::from_secs(2), "{path} was held");
    }

    // Held to its end: same index, same body.
    let first = ask(&api, resolver).await?;
    let index = first.index().context("no index")?;
    let (same, took) = held(&api, &format!("{resolver}?index={index}"), "800ms", nothing()).await?;
    note("held", &same);
    assert!(took >= Duration::from_millis(800) && took < Duration::from_millis(1400), "{took:?}");
    assert_eq!((same.index(), &same.body), (first.index(), &first.body));
    // An index of the future is waited for all the same, and the answer has a lower one.
    let (lower, took) = held(&api, &format!("{resolver}?index={}", index + 1000), "300ms", nothing()).await?;
    assert!(took >= Duration::from_millis(300) && lower.index() == Some(index), "{took:?} {lower:?}");

    // A change ends it early, with another body.
    let entry = json!({"Kind": "service-resolver", "Name": "billing", "ConnectTimeout": "2s"});
    let (_, changed) = held_until(&api, resolver, agent.write(&entry)).await?;
    note("changed", &changed);
    assert!(changed.text().contains("2s"), "{changed:?}");

    // What is missing can be waited for.
    let entry = json!({"Kind": "service-resolver", "Name": "later"});
    let later = "/v1/config/service-resolver/later";
    let (missing, there) = held_until(&api, later, agent.write(&entry)).await?;
    note("missing", &missing);
    note("there", &there);

    // A second instance ends the wait for the first.
    let second = Instance::new("api", "api-2", ([127, 0, 0, 1], 4712).into());
    let (_, both) = held_until(&api, health, agent.register(&second)).await?;
    assert!(both.text().contains("api-2"), "{both:?}");

    // The list of all entries tells of both resolvers.
    let all = api.get("/v1/config/").await?;
    let own = all.as_array().into_iter().flatten().filter(|entry| entry["Kind"] == "service-resolver");
    let mut names: Vec<_> = own.filter_map(|entry| entry["Name"].as_str().map(str::to_owned)).collect();
    // The recording has some of its own.
    names.retain(|name| ["billing", "later"].contains(&name.as_str()));
    names.sort();
    seen.push(names.join(","));
    Ok(seen)
}

#[tokio::test]
async fn a_replay_polls_as_the_agent_that_was_recorded() {
    if !Consul::available() {
        return;
    }
    let version = Consul::version().unwrap().to_string();
    // Another one, named by whoever runs this, has no recording to be compared with.
    let Some(recorded) = ["1.8.7", "1.21"].into_iter().find(|recorded| version.starts_with(recorded)) else {
        return;
    };
    let lab = Lab::new().unwrap();
    let real = Agent::Real(lab.consul("dc1").unwrap().start().await.unwrap());
    let replayed = Agent::Replayed(Replay::of_version(recorded).unwrap().start().unwrap());
    let (real, replayed) = tokio::join!(poll_as_clients_do(&real), poll_as_clients_do(&replayed));
    assert_eq!(real.unwrap(), replayed.unwrap());
}

#[tokio::test]
async fn each_version_answers_in_its_own_way() {
    for (version, unknown, mesh, nobody) in [
        ("1.8.7", (404, ""), 500, "null"),
        ("1.10.1", (404, ""), 200, "null"),
        ("1.21", (404, "Invalid URL path: not a recognized HTTP API endpoint"), 200, "[]"),
    ] {
        let replay = Replay::of_version(version).unwrap().start().unwrap();
        let api = replay.api();
        let reply = ask(&api, "/v1/some/where").await.unwrap();
        assert_eq!((reply.status, reply.text().trim()), unknown, "{version}");
        assert!(
            !reply.headers.iter().any(|(name, _)| name.to_lowercase().starts_with("x-consul")),
            "{version}"
        );
        assert_eq!(ask(&api, "/v1/config/mesh").await.unwrap().status, mesh, "{version}");
        let reply = ask(&api, "/v1/catalog/gateway-services/zz").await.unwrap();
        assert_eq!((reply.status, reply.text().trim()), (200, nobody), "{version}");
        let reply = ask(&api, "/v1/agent/service/zz").await.unwrap();
        assert!(reply.status == 404 && reply.text().contains("zz"), "{version}: {}", reply.text());
        assert!(
            ask(&api, "/v1/agent/connect/ca/roots").await.unwrap().json().unwrap()["TrustDomain"].is_string()
        );
        let own = ask(&api, "/v1/agent/self").await.unwrap().json().unwrap();
        assert!(own["Config"]["Version"].as_str().unwrap().starts_with(version), "{own}");
    }
    // A client agent asks its servers, and those do not understand an empty kind.
    let agent = Replay::of_client_agent("1.21").unwrap().start().unwrap();
    let reply = ask(&agent.api(), "/v1/config/").await.unwrap();
    assert!(reply.status == 500 && reply.text().contains("invalid config entry kind"), "{}", reply.text());
}

#[tokio::test]
async fn faults_come_and_go() {
    let replay = Replay::of_version("1.21").unwrap().start().unwrap();
    let api = replay.api();
    let path = "/v1/catalog/services";
    let good = ask(&api, path).await.unwrap();
    replay.fault(On::path("/v1/catalog"), Fault::no_leader());
    assert_eq!(ask(&api, path).await.unwrap().text(), "No cluster leader");
    assert_eq!(ask(&api, "/v1/status/leader").await.unwrap().status, 200);
    replay.fault_times(On::All, Fault::denied(), 1);
    assert_eq!((ask(&api, path).await.unwrap().status, ask(&api, path).await.unwrap().status), (403, 500));
    replay.heal();
    replay.fault(On::All, Fault::Rubbish);
    let rubbish = ask(&api, path).await.unwrap();
    assert!(rubbish.status == 200 && rubbish.index() == good.index() && rubbish.json().is_err());
    replay.heal();
    replay.fault(On::All, Fault::Half);
    let half = api.request("GET", path, b"").await.unwrap_err();
    assert!(format!("{half:#}").contains("bytes came"), "{half:#}");
    replay.heal();
    replay.fault(On::All, Fault::Close);
    assert!(api.request("GET", path, b"").await.is_err());
    replay.heal();
    replay.fault(On::All, Fault::Silent);
    let (reply, took) = {
        let began = Instant::now();
        let heal = async {
            gateway_testkit::pause(Duration::from_millis(200)).await;
            replay.heal();
        };
        let (reply, ()) = tokio::join!(ask(&api, path), heal);
        (reply.unwrap(), began.elapsed())
    };
    assert!(reply.body == good.body && took >= Duration::from_millis(200));
    replay.kill();
    let refused = async || {
        let error = api.request("GET", path, b"").await.err()?;
        format!("{error:#}").contains("refused").then_some(())
    };
    wait_for(Deadline::usual(), "a refusal", refused).await.unwrap();
    replay.listen();
    eventually(Deadline::usual(), "an answer", async || api.request("GET", path, b"").await.is_ok()).await;
}

#[tokio::test]
async fn indexes_do_what_they_are_told() {
    let replay = Replay::of_version("1.10.1").unwrap().without_jitter().start().unwrap();
    let api = replay.api();
    let path = "/v1/health/connect/web";
    let index = replay.index(path).unwrap();
    let blocking = format!("{path}?index={index}");
    let (early, took) = held(&api, &blocking, "20s", async { replay.wake(On::path(path)) }).await.unwrap();
    assert!(took < Duration::from_secs(5) && early.index() == Some(index), "{took:?}");
    let (failed, _) = held(&api, &blocking, "20s", async {
        replay.fault(On::Blocking, Fault::no_leader());
        replay.wake(On::All);
    })
    .await
    .unwrap();
    assert_eq!(failed.status, 500);
    replay.heal();
    let (touched, _) = held(&api, &blocking, "20s", async { replay.touch(path) }).await.unwrap();
    assert!(touched.index() > Some(index) && touched.body == early.body);
    replay.set_index(path, 3);
    assert_eq!(ask(&api, path).await.unwrap().index(), Some(3));
    replay.set_index(path, 0);
    replay.header(path, "X-Consul-Results-Filtered-By-ACLs", Some("true"));
    let filtered = ask(&api, path).await.unwrap();
    assert_eq!(
        (filtered.index(), filtered.header("x-consul-results-filtered-by-acls")),
        (Some(0), Some("true"))
    );
    replay.hold(path, false);
    let (spun, took) = held(&api, &format!("{path}?index=9"), "20s", nothing()).await.unwrap();
    assert!(took < Duration::from_secs(5) && spun.index() == Some(0));
    replay.load(&Recording::of_version("1.21").unwrap());
    assert_ne!(ask(&api, "/v1/agent/connect/ca/roots").await.unwrap().text(), early.text());
}

#[tokio::test]
async fn a_registration_is_seen_where_an_agent_shows_it() {
    let replay = Replay::of_version("1.21").unwrap().start().unwrap();
    let api = replay.api();
    let gateway =
        json!({"Kind": "mesh-gateway", "ID": "mine-1", "Name": "mine", "Address": "127.0.0.9", "Port": 8443});
    api.put("/v1/agent/service/register?replace-existing-checks=true", &gateway).await.unwrap();
    let own = ask(&api, "/v1/agent/service/mine-1").await.unwrap();
    assert_eq!(own.json().unwrap()["Port"], 8443);
    let rows = api.get("/v1/health/service/mine").await.unwrap();
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["Service"]["ID"]), (1, &json!("mine-1")));
    assert!(api.get("/v1/catalog/services").await.unwrap()["mine"].is_array());
    // By hash: another registration ends the wait, and so does the end of it.
    let hash = own.header("x-consul-contenthash").unwrap().to_owned();
    let blocking = format!("/v1/agent/service/mine-1?hash={hash}");
    let again = async {
        api.put("/v1/agent/service/register", &json!({"Name": "mine", "ID": "mine-1", "Port": 1}))
            .await
            .unwrap();
    };
    let (other, _) = held(&api, &blocking, "20s", again).await.unwrap();
    let next = other.header("x-consul-contenthash").unwrap().to_owned();
    assert!(next != hash && other.json().unwrap()["Port"] == 1);
    api.put("/v1/agent/service/maintenance/mine-1?enable=true&reason=drain", &Value::Null).await.unwrap();
    assert!(
        ask(&api, "/v1/health/service/mine").await.unwrap().text().contains("_service_maintenance:mine-1")
    );
    assert!(
        ask(&api, "/v1/health/state/critical").await.unwrap().text().contains("_service_maintenance:mine-1")
    );
    let gone = async {
        api.put("/v1/agent/service/deregister/mine-1", &Value::Null).await.unwrap();
    };
    let (gone, _) = held(&api, &format!("/v1/agent/service/mine-1?hash={next}"), "20s", gone).await.unwrap();
    assert_eq!(gone.status, 404);
    assert_eq!(api.get("/v1/health/service/mine").await.unwrap(), json!([]));
    assert!(api.get("/v1/catalog/services").await.unwrap()["mine"].is_null());
    assert_eq!(replay.count(|asked| asked.method == "PUT"), 4);
    let registered = replay.asked().into_iter().find(|asked| asked.path().ends_with("/register")).unwrap();
    assert_eq!(registered.json(), gateway);
}

#[tokio::test]
async fn a_limit_turns_away_and_those_who_left_a_long_poll_count() {
    let replay = Replay::of_version("1.10.1").unwrap().without_jitter().start().unwrap();
    let api = replay.api();
    let index = replay.index("/v1/catalog/services").unwrap();
    let path = format!("/v1/catalog/services?index={index}&wait=1s");
    replay.limit(Some(2));
    let poll = || {
        let (api, path) = (api.clone(), path.clone());
        tokio::spawn(async move { ask(&api, &path).await })
    };
    let (one, two) = (poll(), poll());
    eventually(Deadline::usual(), "two long polls", async || replay.waiting("/v1/catalog") == 2).await;
    let third = ask(&api, "/v1/status/leader").await.unwrap();
    assert_eq!(third.status, 429);
    assert!(third.text().contains("too many concurrent connections"));
    one.abort();
    two.abort();
    eventually(Deadline::usual(), "their end", async || replay.waiting("/v1/catalog") == 0).await;
    assert_eq!(ask(&api, "/v1/status/leader").await.unwrap().status, 429);
    assert_eq!((replay.held().now, replay.held().peak, replay.turned_away()), (0, 2, 2));
    eventually(Deadline::usual(), "a free place", async || {
        ask(&api, "/v1/status/leader").await.unwrap().status == 200
    })
    .await;
    eventually(Deadline::usual(), "no connection", async || replay.connections().now == 0).await;
    assert_eq!(replay.busiest(Duration::from_secs(60), |asked| asked.blocking), 2);
    replay.forget();
    assert!(replay.asked().is_empty() && replay.connections().peak == 0);
}

#[tokio::test]
async fn http2_is_spoken_over_tls_and_a_token_is_asked_for() {
    if !have(&[gateway_testkit::Tool::Curl]) {
        return;
    }
    let replay = Replay::of_version("1.21").unwrap().https().start().unwrap();
    replay.require_token(Some("a-token"));
    let url = format!("https://{}/v1/status/leader", replay.https().unwrap());
    let curl = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new("curl");
        command
            .args(["-sS", "--cacert"])
            .arg(replay.ca().unwrap())
            .args(["-w", " %{http_code} %{http_version}"]);
        let output = command.args(arguments).arg(&url).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(curl(&[]).await, "Permission denied 403 2");
    assert_eq!(curl(&["-H", "X-Consul-Token: other", "--http1.1"]).await, "ACL not found 403 1.1");
    assert!(curl(&["-H", "X-Consul-Token: a-token"]).await.ends_with(" 200 2"));
    let asked = replay.asked();
    assert!(asked[0].http2 && !asked[1].http2 && asked[2].token() == Some("a-token"));
    // As an agent: with HTTP/2 a client above the limit is not told why.
    replay.limit(Some(0));
    assert!(curl(&[]).await.contains(" 000 "));
    assert!(curl(&["--http1.1"]).await.contains(" 429 "));
}

#[tokio::test]
async fn what_is_cut_ends_and_a_refusing_port_stays_its_own() {
    let replay = Replay::of_version("1.21").unwrap().start().unwrap();
    let mut stream = Place::Here.connect(replay.http()).await.unwrap();
    eventually(Deadline::usual(), "a connection", async || replay.connections().now == 1).await;
    replay.cut();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");

    // A second one, which never ends a connection first: what it would leave behind holds a port as well.
    let replay = Replay::of_version("1.21").unwrap().start().unwrap();
    replay.refuse();
    let refused = async || Place::Here.connect(replay.http()).await.is_err();
    eventually(Deadline::usual(), "a refusal", refused).await;
    eventually(Deadline::usual(), "no connection", async || replay.connections().now == 0).await;
    // Held by a socket that does not listen: one that does not share ports cannot have it.
    let taken = tokio::net::TcpSocket::new_v4().unwrap().bind(replay.http());
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    replay.listen();
    let answers = async || ask(&replay.api(), "/v1/status/leader").await.is_ok();
    eventually(Deadline::usual(), "an answer", answers).await;
}
