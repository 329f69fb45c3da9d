//! What is sent, to the byte.

use super::{Call, Scope, label};
use crate::client::credentials::Credentials;
use crate::client::places::Want;
use crate::client::write::{Method, Write};
use crate::config::{BasicAuth, ClientConfig, ClientTimers, Secret, TokenSource};
use crate::query::{Ask, Query};
use bytes::Bytes;
use std::time::Duration;

#[derive(Clone, Default)]
struct Read {
    path: &'static str,
    agent: bool,
    large: bool,
}

impl Query for Read {
    type Document = ();
    fn endpoint(&self) -> &'static str {
        "test"
    }
    fn path(&self) -> String {
        self.path.into()
    }
    fn from_servers(&self) -> bool {
        !self.agent
    }
    fn large(&self) -> bool {
        self.large
    }
    fn decode(&self, _: &Bytes) -> Result<(), String> {
        Ok(())
    }
}

fn call(config: &ClientConfig, read: &Read, ask: &Ask, wait: Duration) -> Call {
    Scope::new(config).unwrap().read(read, ask, wait, &ClientTimers::default()).unwrap()
}

fn target(config: &ClientConfig, path: &'static str, ask: &Ask) -> String {
    let read = Read { path, ..Default::default() };
    call(config, &read, ask, Duration::from_secs(60)).target.to_string()
}

#[test]
fn every_way_to_ask() {
    let config = ClientConfig::default();
    for (ask, expected) in [
        (Ask::Now, "/v1/x?consistent"),
        (Ask::Stale, "/v1/x?stale"),
        (Ask::Above(42), "/v1/x?index=42&wait=60s"),
        (Ask::Unlike("a b".into()), "/v1/x?hash=a%20b&wait=60s"),
    ] {
        assert_eq!(target(&config, "/v1/x", &ask), expected);
    }
    assert_eq!(target(&config, "/v1/x?dc=dc2", &Ask::Now), "/v1/x?dc=dc2&consistent");
    let agent = Read { path: "/v1/x", agent: true, ..Default::default() };
    for ask in [Ask::Now, Ask::Stale] {
        assert_eq!(call(&config, &agent, &ask, Duration::ZERO).target, "/v1/x");
    }
}

#[test]
fn waits_are_written_as_go_reads_them() {
    let read = Read { path: "/", ..Default::default() };
    for (wait, expected) in [
        (Duration::from_secs(300), "/?index=1&wait=300s"),
        (Duration::from_millis(1500), "/?index=1&wait=1500ms"),
        (Duration::from_micros(10), "/?index=1&wait=1ms"),
        (Duration::ZERO, "/?index=1&wait=1ms"),
    ] {
        assert_eq!(call(&ClientConfig::default(), &read, &Ask::Above(1), wait).target, expected);
    }
}

#[test]
fn the_scope_is_sent_exactly_when_configured_and_the_querys_own_wins() {
    let config = ClientConfig {
        datacenter: Some("dc 1".into()),
        namespace: Some("team".into()),
        partition: Some("part".into()),
        ..Default::default()
    };
    assert_eq!(target(&config, "/v1/x", &Ask::Now), "/v1/x?ns=team&partition=part&dc=dc%201&consistent");
    assert_eq!(target(&config, "/v1/x?dc=dc2", &Ask::Now), "/v1/x?dc=dc2&ns=team&partition=part&consistent");
    let empty = ClientConfig { namespace: Some(String::new()), ..Default::default() };
    assert_eq!(target(&empty, "/v1/x?adc=1", &Ask::Now), "/v1/x?adc=1&consistent");
    let only_dc = ClientConfig { datacenter: Some("dc1".into()), ..Default::default() };
    assert_eq!(target(&only_dc, "/v1/x?adc=1", &Ask::Stale), "/v1/x?adc=1&dc=dc1&stale");
}

#[test]
fn times_to_the_last_byte() {
    let config = ClientConfig::default();
    let (small, large) =
        (Read { path: "/", ..Default::default() }, Read { path: "/", large: true, agent: false });
    let wait = Duration::from_secs(64);
    assert_eq!(call(&config, &small, &Ask::Now, wait).longest, Duration::from_secs(15));
    assert_eq!(call(&config, &large, &Ask::Stale, wait).longest, Duration::from_secs(60));
    let held = call(&config, &large, &Ask::Above(1), wait);
    assert_eq!((held.want, held.longest), (Want::Blocking, Duration::from_secs(64 + 4 + 15)));
}

#[test]
fn the_headers_of_a_request() {
    let config = ClientConfig {
        tokens: vec![TokenSource::Value(Secret::new("t"))],
        basic_auth: Some(BasicAuth::parse("a:b")),
        user_agent: "mesh-gw/1.0".into(),
        ..Default::default()
    };
    let (scope, credentials) = (Scope::new(&config).unwrap(), Credentials::read(&config).unwrap());
    let text = |call: &Call| {
        let request = scope.request(call, &credentials);
        let mut lines: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        format!("{} {}\n{}", request.method(), request.uri(), lines.join("\n"))
    };
    let small = Read { path: "/v1/x", agent: true, large: false };
    assert_eq!(
        text(&call(&config, &small, &Ask::Now, Duration::ZERO)),
        "GET /v1/x\naccept-encoding: identity\nauthorization: Basic YTpi\nuser-agent: mesh-gw/1.0\nx-consul-token: t"
    );
    let large = Read { large: true, ..small };
    assert!(text(&call(&config, &large, &Ask::Now, Duration::ZERO)).contains("accept-encoding: gzip"));
    let write = Write {
        method: Method::Put,
        path: "/v1/agent/service/register?replace-existing-checks=true".into(),
        body: Some(Bytes::from_static(b"{}")),
        rule: String::new(),
        endpoint: "agent/service/register",
    };
    let put = scope.write(&write, &ClientTimers::default()).unwrap();
    let shown = text(&put);
    assert!(shown.starts_with("PUT /v1/agent/service/register?replace-existing-checks=true\n"), "{shown}");
    assert!(shown.contains("content-type: application/json"), "{shown}");
}

#[test]
fn a_path_that_cannot_be_sent_is_an_error() {
    let scope = Scope::new(&ClientConfig::default()).unwrap();
    for path in ["v1/x", "/v1/a b", "/v1/\u{7f}"] {
        let read = Read { path, ..Default::default() };
        assert!(scope.read(&read, &Ask::Now, Duration::ZERO, &ClientTimers::default()).is_err(), "{path}");
    }
    assert_eq!(label("GET", "/v1/x?token=t"), "GET /v1/x");
    let config = ClientConfig { user_agent: "a\nb".into(), ..Default::default() };
    assert!(Scope::new(&config).unwrap_err().to_string().contains("user agent"));
}
