//! Agents that refuse, die, lie, cut, drip and say nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its support fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use catalog_client::client::{Method, Write};
use catalog_client::error::{Cause, Class, Error};
use catalog_client::query::Ask;
use hyper::Response;
use support::agent::{Above, Agent, Reply, Seen, holding, ok, raw, status};
use support::{client, client_with, eventually, get, hold, millis, read};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::compression::CompressionLayer;

async fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(text).unwrap()
}

/// Answers every request with these bytes, and closes.
async fn saying(bytes: &'static [u8]) -> Error {
    let (address, _task) = raw(move |_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(bytes).await.unwrap();
    })
    .await;
    read(&client(&address), "/v1/x").await.unwrap_err()
}

#[tokio::test]
async fn an_answer_that_is_not_whole_or_not_http_is_a_transport_error() {
    for (bytes, says) in [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[".as_slice(), "within the answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", "within the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "before the answer was whole"),
        (b"", "before the answer was whole"),
        (b"\x00\x01rubbish\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 999999 OK\r\n\r\n", "not HTTP"),
    ] {
        let error = saying(bytes).await;
        assert!(matches!(&error.cause, Cause::Cut(text) if text.contains(says)), "{error}");
        assert_eq!((error.class(), error.request.as_str()), (Class::Transport, "GET /v1/x"));
        assert!(error.agent.starts_with("127.0.0.1:"), "{error:?}");
    }
}

#[tokio::test]
async fn saying_nothing_and_dripping_end_at_the_time_limit() {
    for drips in [false, true] {
        let (address, _task) = raw(move |_, mut stream| async move {
            head(&mut stream).await;
            if !drips {
                std::future::pending::<()>().await;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(millis(5)).await;
            }
        })
        .await;
        let client = client_with(&address, |timers| timers.read = millis(150), |_| {});
        let outcome = tokio::time::timeout(millis(10_000), read(&client, "/v1/x")).await;
        let error = outcome.expect("it ends").unwrap_err();
        assert!(matches!(error.cause, Cause::Timeout(_)), "drips: {drips}: {error}");
        eventually("the connection is given up", || client.status().open == 0).await;
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_with_a_way_out() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let client = client(&closed);
    let errors = [hold(&client, "/v1/x"), hold(&client, "/v1/x"), hold(&client, "/v1/x")];
    for error in errors {
        let error = error.await.unwrap().unwrap_err();
        assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("GET /v1/x at {closed}: ")) && text.contains("--http-addr"),
            "{text}"
        );
    }
    assert_eq!(client.status().open, 0);
}

#[tokio::test]
async fn a_kept_connection_that_ended_costs_a_read_nothing_and_a_write_is_not_repeated() {
    // The first connection answers once, takes a second request, and dies.
    let (asked, dies) = (Arc::new(AtomicUsize::new(0)), 2);
    let (address, _task) = raw({
        let asked = Arc::clone(&asked);
        move |_, mut stream| {
            let asked = Arc::clone(&asked);
            async move {
                while !head(&mut stream).await.is_empty() {
                    if asked.fetch_add(1, Ordering::SeqCst) % dies == dies - 1 {
                        return;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").await.unwrap();
                }
            }
        }
    })
    .await;
    let client = client(&address);
    read(&client, "/v1/x").await.unwrap();
    read(&client, "/v1/x").await.unwrap();
    assert_eq!((asked.load(Ordering::SeqCst), client.status().totals.reconnects), (3, 1));

    let put = Write {
        method: Method::Put,
        path: "/v1/agent/service/register?x=y".into(),
        body: None,
        rule: "service \"x\" { policy = \"write\" }".into(),
        endpoint: "agent/service/register",
    };
    let error = client.write(&put).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Cut(_)), "{error}");
    assert_eq!(error.request, "PUT /v1/agent/service/register");
    assert_eq!(asked.load(Ordering::SeqCst), 4, "sent once");
}

#[tokio::test]
async fn connections_refused_for_their_number_lower_the_budget_which_recovers() {
    for above in [Above::Refused, Above::Closed] {
        let agent = Agent::limited(10, above).await;
        let client = client_with(&agent.address, |timers| timers.recovery = millis(300), |_| {});
        // A connection that works, so that the agent is known to be alive.
        read(&client, "/v1/y").await.unwrap();
        let held: Vec<_> = (0..50).map(|_| hold(&client, "/v1/x")).collect();
        eventually("the budget is lowered", || client.status().most < 64).await;
        let lowered = client.status().totals.budget_lowered;
        assert!((1..=6).contains(&lowered), "{lowered} times");
        eventually("the agent's places are used", || agent.held() >= 8).await;
        agent.set_most(100);
        eventually("it recovers", || client.status().most == 64).await;
        agent.release();
        let mut refused = 0;
        for answer in held {
            let ended = || {
                agent.release();
                answer.is_finished()
            };
            eventually("a held read ends", ended).await;
            if let Err(error) = answer.await.unwrap() {
                refused += 1;
                match above {
                    Above::Refused => assert_eq!(error.class(), Class::Busy, "{error}"),
                    Above::Closed => assert_eq!(error.class(), Class::Transport, "{error}"),
                }
            }
        }
        assert!(refused > 0 && refused <= agent.turned_away(), "{refused} of {}", agent.turned_away());
    }
}

#[tokio::test]
async fn the_budget_never_falls_because_the_agent_is_away() {
    let agent = Agent::plain(holding).await;
    let client = client(&agent.address);
    read(&client, "/v1/x").await.unwrap();
    let held: Vec<_> = (0..20).map(|_| hold(&client, "/v1/x")).collect();
    eventually("all are held", || agent.held() == 20).await;
    drop(agent);
    for answer in held {
        assert_eq!(answer.await.unwrap().unwrap_err().class(), Class::Transport);
    }
    for _ in 0..5 {
        read(&client, "/v1/x").await.unwrap_err();
    }
    assert_eq!((client.status().most, client.status().totals.budget_lowered), (64, 0));
}

#[tokio::test]
async fn a_429_on_a_connection_that_works_leaves_the_budget_alone() {
    let agent = Agent::plain(|seen: &Seen| {
        Reply::Now(if seen.target.contains("busy") { status(429, "") } else { ok("[]") })
    })
    .await;
    let client = client(&agent.address);
    read(&client, "/v1/x").await.unwrap();
    assert_eq!(read(&client, "/v1/busy").await.unwrap_err().class(), Class::Busy);
    assert_eq!((client.status().most, agent.accepted()), (64, 1));
}

async fn gzip(bytes: Vec<u8>) -> Bytes {
    let compress = ServiceBuilder::new().layer(CompressionLayer::new()).service(tower::service_fn(
        move |_: hyper::Request<()>| {
            let body = http_body_util::Full::new(Bytes::from(bytes.clone()));
            async move { Ok::<_, std::convert::Infallible>(Response::new(body)) }
        },
    ));
    let request = hyper::Request::builder().header("accept-encoding", "gzip").body(()).unwrap();
    let body = compress.oneshot(request).await.unwrap().into_body();
    http_body_util::BodyExt::collect(body).await.unwrap().to_bytes()
}

async fn gzip_agent(bytes: Vec<u8>) -> Agent {
    let body = gzip(bytes).await;
    Agent::plain(move |_: &Seen| {
        Reply::Now(Response::builder().header("content-encoding", "gzip").body(body.clone()).unwrap())
    })
    .await
}

#[tokio::test]
async fn answers_in_gzip_are_read() {
    let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let agent = gzip_agent(text.clone()).await;
    let client = client(&agent.address);
    let large = support::Get { large: true, ..get("/v1/internal/ui/nodes") };
    for _ in 0..2 {
        let answer = client.ask(&large, &Ask::Stale, millis(0)).await.unwrap();
        assert_eq!(answer.body.unwrap(), text);
    }
    // On this host it is not asked for.
    assert_eq!(agent.seen()[0].header("accept-encoding"), Some("identity"));
    assert_eq!(agent.accepted(), 1, "the connection is used again");
    assert_eq!(client.status().totals.bytes, 1_600_000);
}

#[tokio::test]
async fn a_bomb_in_gzip_is_refused_at_the_limit() {
    let bomb = vec![0; 16 * 1024 * 1024];
    let agent = gzip_agent(bomb).await;
    let client = client_with(&agent.address, |_| {}, |limits| limits.answer = 1024 * 1024);
    let large = support::Get { large: true, ..get("/v1/x") };
    let error = client.ask(&large, &Ask::Stale, millis(0)).await.unwrap_err();
    assert_eq!(error.cause, Cause::TooLarge { limit: 1024 * 1024 });
    assert_eq!(error.class(), Class::Rejected);
    eventually("the connection is given up", || client.status().open == 0).await;
}

#[tokio::test]
async fn broken_gzip_is_a_transport_error() {
    let agent = Agent::plain(|_: &Seen| {
        let body = Bytes::from_static(b"\x1f\x8b\x08\x00 this is not deflate");
        Reply::Now(Response::builder().header("content-encoding", "gzip").body(body).unwrap())
    })
    .await;
    let error = read(&client(&agent.address), "/v1/x").await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Cut(text) if text.contains("decompressed")), "{error}");
}

#[tokio::test]
async fn an_answer_above_the_limit_is_refused_with_and_without_a_length() {
    let (address, _task) = raw(|number, mut stream| async move {
        head(&mut stream).await;
        if number == 0 {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n").await;
        } else {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while stream.write_all(b"3e8\r\n").await.is_ok() {
                let _ = stream.write_all(&[b'x'; 1000]).await;
                let _ = stream.write_all(b"\r\n").await;
            }
        }
        let _ = stream.read_u8().await;
    })
    .await;
    let client = client_with(&address, |_| {}, |limits| limits.answer = 10_000);
    for _ in 0..2 {
        let error = read(&client, "/v1/x").await.unwrap_err();
        assert_eq!(error.cause, Cause::TooLarge { limit: 10_000 });
    }
}

#[tokio::test]
async fn an_answer_in_many_pieces_is_put_together() {
    let text = "0123456789".repeat(100_000);
    let body = Bytes::from(text.clone());
    let agent = Agent::plain(move |_: &Seen| Reply::Now(Response::new(body.clone()))).await;
    assert_eq!(read(&client(&agent.address), "/v1/x").await.unwrap(), text);
}

#[tokio::test]
async fn statuses_become_errors_with_consuls_words_and_the_rule() {
    let agent = Agent::plain(|seen: &Seen| {
        Reply::Now(match seen.target.split('?').next().unwrap() {
            "/v1/denied" => status(403, "Permission denied"),
            "/v1/gone" => status(404, "unknown service ID: x"),
            "/v1/ns" => status(
                400,
                "Bad request: Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature",
            ),
            _ => status(404, ""),
        })
    })
    .await;
    let client = client(&agent.address);
    let text = |error: Error| error.to_string().replace(&agent.address, "AGENT");
    let denied = read(&client, "/v1/denied?token=no").await.unwrap_err();
    assert_eq!(
        text(denied),
        "GET /v1/denied at AGENT: 403: Permission denied; the token needs service \"x\" { policy = \"read\" }"
    );
    let ns = read(&client, "/v1/ns").await.unwrap_err();
    assert_eq!(ns.class(), Class::Mistake);
    assert!(text(ns).contains("leave out --namespace"));
    let unknown = read(&client, "/v1/nope").await.unwrap_err();
    assert_eq!(unknown.class(), Class::Unsupported);
    assert_eq!(read(&client, "/v1/gone").await.unwrap_err().class(), Class::Mistake);
    let gone = support::Get { may_be_absent: true, ..get("/v1/gone") };
    assert!(client.ask(&gone, &Ask::Now, millis(0)).await.unwrap().body.is_none());
    let totals = client.status().totals.requests;
    let count = |word: &str| totals.iter().find(|(known, _)| *known == word).unwrap().1;
    assert_eq!((count("denied"), count("mistake"), count("unsupported"), count("absent")), (1, 2, 1, 1));
    assert_eq!(agent.accepted(), 1, "none of them costs the connection");
}

#[tokio::test]
async fn a_write_carries_its_body() {
    let agent = Agent::plain(|_: &Seen| Reply::Now(ok(""))).await;
    let put = Write {
        method: Method::Put,
        path: "/v1/agent/check/update/c".into(),
        body: Some(Bytes::from_static(b"{\"Status\":\"passing\"}")),
        rule: String::new(),
        endpoint: "agent/check/update",
    };
    assert_eq!(client(&agent.address).write(&put).await.unwrap(), "");
    let seen = agent.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("PUT", "/v1/agent/check/update/c"));
    assert_eq!(seen[0].body, "{\"Status\":\"passing\"}");
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
}
