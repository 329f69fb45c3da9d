//! Several addresses, names, Unix sockets; tokens and files that change.

#![allow(clippy::unwrap_used, reason = "a test ends where its support fails")]

mod support;

use std::fs;

use catalog_client::config::{BasicAuth, Secret, TokenSource};
use catalog_client::error::{Cause, Class};
use catalog_client::{Client, ClientConfig};
use support::agent::{Above, Agent, Reply, Seen, holding, ok, raw};
use support::{client, config, eventually, hold, millis, read};

async fn at(address: &str) -> Agent {
    Agent::at(address, None, usize::MAX, Above::Refused, holding).await
}

#[tokio::test]
async fn the_address_that_works_is_kept_and_left_when_it_cannot_be_reached() {
    let (first, second) = (Agent::plain(holding).await, Agent::plain(holding).await);
    let (one, two) = (first.address.clone(), second.address.clone());
    let client = Client::new(config(&[&one, &two])).unwrap();
    read(&client, "/v1/x").await.unwrap();
    assert_eq!(client.status().address, one);

    drop(first);
    eventually("its connection is gone", || client.status().open == 0).await;
    read(&client, "/v1/x").await.unwrap();
    assert_eq!(client.status().address, two);

    // The first one is back; the second one works, so it is kept.
    let first = at(&one).await;
    let held: Vec<_> = (0..5).map(|_| hold(&client, "/v1/x")).collect();
    eventually("all are held", || second.held() == 5).await;
    assert_eq!(first.accepted(), 0);

    drop(second);
    for answer in held {
        assert_eq!(answer.await.unwrap().unwrap_err().agent, two);
    }
    read(&client, "/v1/x").await.unwrap();
    assert_eq!(client.status().address, one);

    drop(first);
    eventually("its connection is gone", || client.status().open == 0).await;
    let error = read(&client, "/v1/x").await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error.cause, Cause::Unreachable(_)), "{text}");
    assert!(text.contains(&one) && text.contains(&two), "{text}");
    assert_eq!(client.status().address, one, "it starts over");
}

#[tokio::test]
async fn an_address_that_takes_connections_and_says_nothing_is_left() {
    // What a stopped agent does: its host goes on accepting for it.
    let (silent, _task) = raw(|_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let agent = Agent::plain(holding).await;
    let mut config = config(&[&silent, &agent.address]);
    config.timers.read = millis(50);
    let client = Client::new(config).unwrap();
    for _ in 0..2 {
        let error = read(&client, "/v1/x").await.unwrap_err();
        assert!(matches!(error.cause, Cause::Timeout(_)), "{error}");
    }
    read(&client, "/v1/x").await.unwrap();
    assert_eq!(client.status().address, agent.address);
}

#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    // Names below localhost are 127.0.0.1 and ::1; only the latter listens.
    let agent = at("[::1]:0").await;
    let port = agent.address.rsplit(':').next().unwrap();
    let client = client(&format!("http://consul.localhost:{port}"));
    read(&client, "/v1/x").await.unwrap();
    assert_eq!(agent.seen()[0].header("host"), Some(format!("consul.localhost:{port}").as_str()));
}

#[tokio::test]
async fn a_prefix_goes_in_front_of_the_path() {
    let agent = Agent::plain(holding).await;
    let client = client(&format!("http://{}/consul/", agent.address));
    read(&client, "/v1/x").await.unwrap();
    assert_eq!(agent.seen()[0].target, "/consul/v1/x?consistent");
}

#[tokio::test]
async fn a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("consul.sock");
    let agent = Agent::unix(&path, holding);
    let client = client(&agent.address);
    read(&client, "/v1/x").await.unwrap();
    read(&client, "/v1/x").await.unwrap();
    assert_eq!((agent.accepted(), agent.seen()[0].header("host")), (1, Some("localhost")));
    assert_eq!(client.status().address, format!("unix://{}", path.display()));
    drop(agent);
    fs::remove_file(&path).unwrap();
    eventually("its connection is gone", || client.status().open == 0).await;
    let error = read(&client, "/v1/x").await.unwrap_err();
    assert_eq!(error.class(), Class::Transport);
    assert!(error.to_string().contains("consul.sock"), "{error}");
}

#[tokio::test]
async fn no_proxy_is_used() {
    // A variable that HashiCorp's client would follow; ours does not read the environment at all.
    let lookup = |name: &str| (name == "HTTP_PROXY").then(|| "http://127.0.0.1:1".to_owned());
    let agent = Agent::plain(holding).await;
    let mut config = ClientConfig::from_environment(lookup).unwrap();
    config.addresses = support::config(&[&agent.address]).addresses;
    read(&Client::new(config).unwrap(), "/v1/x").await.unwrap();
}

#[tokio::test]
async fn a_token_file_is_read_again_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "one\n").unwrap();
    let agent = Agent::plain(|_: &Seen| Reply::Now(ok("[]"))).await;
    let mut config = config(&[&agent.address]);
    config.tokens = vec![TokenSource::File(file.clone()), TokenSource::Value(Secret::new("weaker"))];
    config.basic_auth = Some(BasicAuth::parse("user:pass"));
    let client = Client::new(config).unwrap();
    let mut sent = Vec::new();
    let mut send = async |client: &Client| {
        read(client, "/v1/x").await.unwrap();
        sent.push(agent.seen().last().unwrap().header("x-consul-token").map(str::to_owned));
    };
    send(&client).await;
    fs::write(&file, "two").unwrap();
    send(&client).await;
    client.reload().unwrap();
    send(&client).await;
    fs::remove_file(&file).unwrap();
    let error = client.reload().unwrap_err().to_string();
    assert!(error.contains("token file"), "{error}");
    send(&client).await;
    fs::write(&file, " \n").unwrap();
    client.reload().unwrap();
    send(&client).await;
    let sent: Vec<&str> = sent.iter().map(|token| token.as_deref().unwrap()).collect();
    assert_eq!(sent, ["one", "one", "two", "two", "weaker"]);
    assert_eq!(agent.seen()[0].header("authorization"), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(agent.accepted(), 1);
}
