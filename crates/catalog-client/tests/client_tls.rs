//! TLS, and HTTP/2 where the agent offers it.

#![allow(clippy::unwrap_used, reason = "a test ends where its support fails")]

mod support;

use std::fs;
use std::time::Instant;

use catalog_client::client::Protocol;
use catalog_client::config::{ConfigError, TlsFiles};
use catalog_client::error::{Cause, Class};
use catalog_client::{Client, ClientConfig};
use support::agent::{Above, Agent, holding};
use support::pki::Pki;
use support::{config, eventually, hold, millis, read};

const NAMES: &[&str] = &["localhost", "127.0.0.1"];
const BOTH: &[&str] = &["h2", "http/1.1"];

fn trusting(agent: &Agent, pki: &Pki) -> ClientConfig {
    let tls = TlsFiles { ca_file: Some(pki.ca_file()), ..TlsFiles::default() };
    ClientConfig { tls, ..config(&[&agent.address]) }
}

/// The error of one read, which must be one of reaching the agent.
async fn unreachable(config: ClientConfig) -> String {
    let error = read(&Client::new(config).unwrap(), "/v1/x").await.unwrap_err();
    assert_eq!(error.class(), Class::Transport, "{error}");
    error.to_string()
}

#[tokio::test]
async fn an_agent_with_our_ca_is_asked_over_http2_and_over_http1_where_it_has_no_other() {
    let pki = Pki::new();
    for (alpn, protocol) in
        [(BOTH, Protocol::Http2), (&["http/1.1"], Protocol::Http1), (&[], Protocol::Http1)]
    {
        let agent = Agent::tls(pki.server(NAMES, alpn, None), holding).await;
        let client = Client::new(trusting(&agent, &pki)).unwrap();
        assert_eq!((client.status().protocol, client.capacity().multiplexed), (None, None));
        for _ in 0..3 {
            assert_eq!(read(&client, "/v1/x").await.unwrap(), "[]");
        }
        assert_eq!((agent.accepted(), client.status().protocol), (1, Some(protocol)));
        assert_eq!(client.capacity().multiplexed, Some(protocol == Protocol::Http2));
        assert_eq!(agent.seen()[0].target, "/v1/x?consistent");
    }
}

#[tokio::test]
async fn a_ca_folder_serves_as_well() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::copy(pki.ca_file(), folder.path().join("a/b/ca.crt")).unwrap();
    fs::copy(Pki::new().ca_file(), folder.path().join("other.pem")).unwrap();
    let agent = Agent::tls(pki.server(NAMES, BOTH, None), holding).await;
    let tls = TlsFiles { ca_path: Some(folder.path().into()), ..TlsFiles::default() };
    let client = Client::new(ClientConfig { tls, ..config(&[&agent.address]) }).unwrap();
    read(&client, "/v1/x").await.unwrap();
}

#[tokio::test]
async fn another_ca_another_name_and_plain_http_are_refused_with_a_way_out() {
    let (pki, other) = (Pki::new(), Pki::new());
    let agent = Agent::tls(pki.server(&["server.dc1.consul"], BOTH, None), holding).await;

    let text = unreachable(trusting(&agent, &other)).await;
    assert!(text.contains("UnknownIssuer") && text.contains("--ca-file (CONSUL_CACERT)"), "{text}");

    let text = unreachable(trusting(&agent, &pki)).await;
    assert!(text.contains("server.dc1.consul") && text.contains("--tls-server-name"), "{text}");

    let plain = Agent::plain(holding).await;
    let mut towards_plain = trusting(&agent, &pki);
    towards_plain.addresses = config(&[&format!("https://{}", plain.address)]).addresses;
    let text = unreachable(towards_plain).await;
    assert!(text.contains("plain HTTP"), "{text}");
    assert_eq!(agent.seen().len(), 0);
}

#[tokio::test]
async fn a_name_can_be_set_and_verification_switched_off() {
    let pki = Pki::new();
    let agent = Agent::tls(pki.server(&["server.dc1.consul"], BOTH, None), holding).await;
    let mut named = trusting(&agent, &pki);
    named.tls = named.tls.with_server_name("server.dc1.consul:8501");
    read(&Client::new(named).unwrap(), "/v1/x").await.unwrap();
    let tls = TlsFiles { verify: false, ..TlsFiles::default() };
    read(&Client::new(ClientConfig { tls, ..config(&[&agent.address]) }).unwrap(), "/v1/x").await.unwrap();
}

#[tokio::test]
async fn an_agent_that_wants_a_certificate_gets_ours() {
    let pki = Pki::new();
    let agent = Agent::tls(pki.server(NAMES, BOTH, Some(&pki)), holding).await;
    let (cert, key) = pki.pair("client", &["gateway"]);
    let mut with = trusting(&agent, &pki);
    with.tls.client_cert = Some(cert);
    with.tls.client_key = Some(key);
    read(&Client::new(with).unwrap(), "/v1/x").await.unwrap();
    let text = unreachable(trusting(&agent, &pki)).await;
    assert!(text.contains("--client-cert"), "{text}");
}

#[test]
fn files_are_checked_without_a_socket_or_a_runtime() {
    let (pki, other) = (Pki::new(), Pki::new());
    let (cert, key) = pki.pair("client", &["gateway"]);
    let (_, foreign) = other.pair("client", &["gateway"]);
    let refused = |tls: TlsFiles| {
        let config = ClientConfig { tls, ..config(&["https://127.0.0.1:1"]) };
        Client::new(config).unwrap_err()
    };
    let trusted = || TlsFiles { ca_file: Some(pki.ca_file()), ..TlsFiles::default() };

    let error = refused(TlsFiles { client_cert: Some(cert.clone()), ..trusted() });
    assert!(matches!(error, ConfigError::Pair { given: "certificate", .. }), "{error}");
    let error = refused(TlsFiles { client_key: Some(key.clone()), ..trusted() });
    assert!(matches!(error, ConfigError::Pair { given: "key", .. }), "{error}");
    let text = refused(TlsFiles { client_cert: Some(cert.clone()), client_key: Some(foreign), ..trusted() });
    assert!(text.to_string().contains("client.pem: with its key"), "{text}");
    let text = refused(TlsFiles { client_cert: Some(cert.clone()), client_key: Some(cert), ..trusted() });
    assert!(text.to_string().contains("no PEM private key"), "{text}");
    let text = refused(TlsFiles { ca_file: Some(key), ..TlsFiles::default() });
    assert!(text.to_string().contains("no PEM certificate"), "{text}");
    let text = refused(TlsFiles { ca_file: Some("/nowhere.pem".into()), ..TlsFiles::default() });
    assert!(text.to_string().contains("/nowhere.pem"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let text = refused(TlsFiles { ca_path: Some(folder.path().into()), ..TlsFiles::default() });
    assert!(text.to_string().contains("holds no file"), "{text}");
    fs::copy(pki.ca_file(), folder.path().join("ca.pem")).unwrap();
    fs::create_dir(folder.path().join("below")).unwrap();
    fs::write(folder.path().join("below/README"), "not PEM").unwrap();
    let files = TlsFiles { ca_path: Some(folder.path().into()), ..TlsFiles::default() };
    let text = refused(files.clone()).to_string();
    assert!(text.contains("below/README") && text.contains("--ca-path"), "{text}");
    // A CA file beside it wins, and the folder is not looked at.
    let both = TlsFiles { ca_file: Some(pki.ca_file()), ..files };
    Client::new(ClientConfig { tls: both, ..config(&["https://127.0.0.1:1"]) }).unwrap();
    // Named files are checked even where no address wants TLS.
    let tls = TlsFiles { ca_file: Some("/nowhere.pem".into()), ..TlsFiles::default() };
    assert!(Client::new(ClientConfig { tls, ..ClientConfig::default() }).is_err());
    assert!(Client::new(ClientConfig { addresses: Vec::new(), ..ClientConfig::default() }).is_err());
}

#[tokio::test]
async fn certificates_are_read_again_on_request() {
    let (old, new) = (Pki::new(), Pki::new());
    let agent = Agent::tls(new.server(NAMES, BOTH, None), holding).await;
    let config = trusting(&agent, &old);
    let client = Client::new(config).unwrap();
    read(&client, "/v1/x").await.unwrap_err();
    fs::copy(new.ca_file(), old.ca_file()).unwrap();
    read(&client, "/v1/x").await.unwrap_err();
    client.reload().unwrap();
    read(&client, "/v1/x").await.unwrap();
}

#[tokio::test]
async fn four_hundred_and_one_blocking_reads_run_on_three_connections() {
    let pki = Pki::new();
    let agent = Agent::tls(pki.server(NAMES, BOTH, None), holding).await;
    let client = Client::new(trusting(&agent, &pki)).unwrap();
    let held: Vec<_> = (0..401).map(|_| hold(&client, "/v1/x")).collect();
    eventually("all are held", || agent.held() == 401).await;
    assert_eq!(agent.accepted(), 3);
    let status = client.status();
    assert_eq!((status.open, status.streams, status.in_flight, status.waiting), (3, 401, 401, 0));
    assert_eq!(client.capacity().blocking, 56 * 200);
    for _ in 0..50 {
        read(&client, "/v1/y").await.unwrap();
    }
    assert_eq!(agent.accepted(), 3, "reads find room beside them");
    agent.release();
    for answer in held {
        assert_eq!(answer.await.unwrap().unwrap(), "[\"held\"]");
    }
    assert_eq!(client.status().streams, 0);
}

#[tokio::test]
async fn a_dropped_read_on_http2_resets_its_stream_but_not_too_often() {
    let pki = Pki::new();
    let agent = Agent::tls(pki.server(NAMES, BOTH, None), holding).await;
    let mut config = trusting(&agent, &pki);
    config.limits.resets_per_second = 20;
    let client = Client::new(config).unwrap();
    let held: Vec<_> = (0..50).map(|_| hold(&client, "/v1/x")).collect();
    eventually("all are held", || agent.held() == 50).await;
    let started = Instant::now();
    for reader in &held {
        reader.abort();
    }
    eventually("the first are reset", || agent.cancelled() >= 20).await;
    if started.elapsed() < millis(200) {
        assert!(agent.cancelled() <= 25, "{} at once", agent.cancelled());
    }
    read(&client, "/v1/y").await.unwrap();
    eventually("all are reset", || agent.cancelled() == 50).await;
    assert!(started.elapsed() >= millis(1400), "50 in {:?}", started.elapsed());
    let totals = client.status().totals;
    assert_eq!((totals.abandoned, totals.resets, agent.accepted()), (50, 50, 1));
    assert_eq!(client.status().streams, 0);
}

#[tokio::test]
async fn http2_connections_that_die_at_once_lower_the_budget() {
    let pki = Pki::new();
    let server = pki.server(NAMES, BOTH, None);
    let agent = Agent::at("127.0.0.1:0", Some(server), 1, Above::Closed, holding).await;
    let mut config = trusting(&agent, &pki);
    config.limits.streams = 10;
    let client = Client::new(config).unwrap();
    read(&client, "/v1/x").await.unwrap();
    let held: Vec<_> = (0..10).map(|_| hold(&client, "/v1/x")).collect();
    eventually("the first connection is full", || agent.held() == 10).await;
    for _ in 0..2 {
        let error = hold(&client, "/v1/x").await.unwrap().unwrap_err();
        assert!(matches!(error.cause, Cause::Cut(_) | Cause::Unreachable(_)), "{error}");
    }
    eventually("the budget is lowered", || client.status().most == 32).await;
    assert_eq!(client.status().totals.budget_lowered, 1);
    assert_eq!(agent.held(), 10, "what runs goes on");
    drop(held);
}

#[tokio::test]
async fn reads_on_http2_survive_the_agents_end_with_an_error_each() {
    let pki = Pki::new();
    let agent = Agent::tls(pki.server(NAMES, BOTH, None), holding).await;
    let client = Client::new(trusting(&agent, &pki)).unwrap();
    read(&client, "/v1/x").await.unwrap();
    let held: Vec<_> = (0..10).map(|_| hold(&client, "/v1/x")).collect();
    eventually("all are held", || agent.held() == 10).await;
    let port = agent.address.trim_start_matches("https://").to_owned();
    drop(agent);
    for answer in held {
        assert_eq!(answer.await.unwrap().unwrap_err().class(), Class::Transport);
    }
    eventually("nothing is left", || client.status().open == 0).await;
    let again = Agent::at(&port, Some(pki.server(NAMES, BOTH, None)), 9, Above::Closed, holding).await;
    read(&client, "/v1/x").await.unwrap();
    assert_eq!((again.accepted(), client.status().totals.reconnects), (1, 1));
}
