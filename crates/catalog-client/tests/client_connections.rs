//! HTTP/1.1: connections kept, shared out, parked, and never too many.

#![allow(clippy::unwrap_used, reason = "a test ends where its support fails")]

mod support;

use std::time::{Duration, Instant};

use catalog_client::Client;
use catalog_client::error::{Cause, Class};
use catalog_client::query::Ask;
use support::agent::{Agent, Reply, holding, ok};
use support::{client, client_with, eventually, get, hold, millis, read};

#[tokio::test]
async fn a_connection_is_kept_and_used_again() {
    let agent = Agent::plain(holding).await;
    let client = client(&agent.address);
    for _ in 0..20 {
        assert_eq!(read(&client, "/v1/x").await.unwrap(), "[]");
    }
    assert_eq!(agent.accepted(), 1);
    let status = client.status();
    assert_eq!((status.open, status.in_flight, status.waiting, status.parked), (1, 0, 0, 0));
    assert_eq!(status.protocol.unwrap().as_str(), "http/1.1");
    assert_eq!(status.address, agent.address);
    assert_eq!(status.totals.bytes, 40);
    assert_eq!(status.totals.requests.first(), Some(&("ok", 20)));
    let seen = agent.seen();
    assert_eq!(seen[0].target, "/v1/x?consistent");
    assert_eq!(seen[0].header("host"), Some(agent.address.as_str()));
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[0].header("x-consul-token"), None);
}

#[tokio::test]
async fn status_can_be_read_from_another_thread() {
    let agent = Agent::plain(holding).await;
    let client = client(&agent.address);
    read(&client, "/v1/x").await.unwrap();
    let elsewhere = client.clone();
    let status = std::thread::spawn(move || elsewhere.status()).join().unwrap();
    assert_eq!(status, client.status());
}

async fn eight_at_once(agent: &Agent, client: &Client) {
    let held: Vec<_> = (0..8).map(|_| hold(client, "/v1/x")).collect();
    eventually("all are held", || agent.held() == 8).await;
    agent.release();
    for answer in held {
        assert_eq!(answer.await.unwrap().unwrap(), "[\"held\"]");
    }
}

/// Connections that were made for requests which others have served meanwhile: too many are closed at once, and that
/// is no refusal.
#[tokio::test]
async fn closing_what_was_never_used_does_not_lower_the_budget() {
    let agent = Agent::plain(holding).await;
    let client = client_with(&agent.address, |_| {}, |limits| limits.idle = 1);
    for _ in 0..20 {
        let reads = (0..40).map(|_| read(&client, "/v1/x"));
        for answer in futures_util::future::join_all(reads).await {
            assert_eq!(answer.unwrap(), "[]");
        }
    }
    let status = client.status();
    assert_eq!((status.most, status.totals.budget_lowered), (64, 0));
}

#[tokio::test]
async fn connections_without_work_are_closed_in_time() {
    let agent = Agent::plain(holding).await;
    let client = client_with(&agent.address, |timers| timers.idle = millis(300), |_| {});
    eight_at_once(&agent, &client).await;
    eventually("none is left", || agent.open() == 0 && client.status().open == 0).await;
    read(&client, "/v1/x").await.unwrap();
}

#[tokio::test]
async fn connections_without_work_above_their_number_are_closed() {
    let agent = Agent::plain(holding).await;
    let client = client_with(&agent.address, |_| {}, |limits| limits.idle = 3);
    eight_at_once(&agent, &client).await;
    eventually("three are kept", || agent.open() == 3 && client.status().open == 3).await;
    read(&client, "/v1/x").await.unwrap();
    assert_eq!(agent.accepted(), 8);
}

#[tokio::test]
async fn connections_end_with_the_last_client() {
    let agent = Agent::plain(holding).await;
    let client = client(&agent.address);
    let clone = client.clone();
    read(&client, "/v1/x").await.unwrap();
    drop(client);
    read(&clone, "/v1/x").await.unwrap();
    assert_eq!(agent.accepted(), 1);
    drop(clone);
    eventually("it is closed", || agent.open() == 0).await;
}

#[tokio::test]
async fn a_hundred_blocking_reads_leave_the_reserve_to_others() {
    let agent = Agent::plain(holding).await;
    let client = client(&agent.address);
    let held: Vec<_> = (0..100).map(|_| hold(&client, "/v1/x")).collect();
    eventually("56 are held and the others wait", || agent.held() == 56 && client.status().waiting == 44)
        .await;
    // The reserved places serve what does not wait, one after the other and at once.
    let reads: Vec<_> = (0..40)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { read(&client, "/v1/y").await })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap(), "[]");
    }
    assert_eq!(agent.held(), 56, "no blocking read took a connection of the reserve");
    assert!(agent.most_open() <= 64, "{} connections", agent.most_open());
    let status = client.status();
    assert_eq!((status.in_flight, status.waiting, status.most), (56, 44, 64));
    assert!(status.totals.budget_limited >= 44, "{status:?}");
    agent.release();
    eventually("the others are held", || agent.held() == 44).await;
    agent.release();
    for answer in held {
        answer.await.unwrap().unwrap();
    }
    assert!(agent.most_open() <= 64);
}

#[tokio::test]
async fn capacity_says_what_fits() {
    let agent = Agent::plain(holding).await;
    let client = client(&agent.address);
    let capacity = client.capacity();
    assert_eq!((capacity.multiplexed, capacity.blocking), (Some(false), 56));
    assert_eq!(capacity.reads, 32);
    let held: Vec<_> = (0..56).map(|_| hold(&client, "/v1/x")).collect();
    eventually("all are held", || agent.held() == 56).await;
    assert_eq!(client.capacity().reads, 8);
    drop(held);
}

#[tokio::test]
async fn whoever_waits_too_long_for_a_place_is_told() {
    let agent = Agent::plain(holding).await;
    let client = client_with(
        &agent.address,
        |timers| timers.place = millis(50),
        |limits| (limits.connections, limits.reserved) = (2, 1),
    );
    let first = hold(&client, "/v1/x");
    eventually("it is held", || agent.held() == 1).await;
    let outcome = tokio::time::timeout(millis(10_000), hold(&client, "/v1/x")).await;
    let error = outcome.unwrap().unwrap().unwrap_err();
    assert!(matches!(&error.cause, Cause::Local(text) if text.contains("2 are the limit")), "{error}");
    assert_eq!((client.status().waiting, agent.held()), (0, 1));
    agent.release();
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_blocking_read_parks_its_connection_until_the_answer_comes() {
    let agent = Agent::plain(holding).await;
    let client = client_with(&agent.address, |_| {}, |limits| (limits.connections, limits.reserved) = (3, 1));
    for count in 1..=2 {
        let dropped = hold(&client, "/v1/x");
        eventually("it is held", || agent.held() == count).await;
        dropped.abort();
        eventually("it is parked", || client.status().parked == count).await;
    }
    assert_eq!(agent.open(), 2, "parked, not closed");
    assert_eq!((client.status().in_flight, client.status().totals.abandoned), (0, 2));
    // The parked ones count: a third blocking read waits for them.
    let third = hold(&client, "/v1/x");
    eventually("it waits", || client.status().waiting == 1).await;
    read(&client, "/v1/y").await.unwrap();
    agent.release();
    eventually("a parked connection is used again", || agent.held() == 1).await;
    assert_eq!(client.status().parked, 0);
    agent.release();
    third.await.unwrap().unwrap();
    assert_eq!((agent.accepted(), agent.cancelled()), (3, 0));
}

#[tokio::test]
async fn a_parked_connection_is_closed_when_its_time_is_over() {
    let agent = Agent::plain(holding).await;
    let client = client_with(&agent.address, |timers| timers.blocking_grace = millis(100), |_| {});
    let query = get("/v1/x");
    let asked = client.ask(&query, &Ask::Above(1), millis(160));
    let dropped = tokio::time::timeout(millis(50), asked).await;
    assert!(dropped.is_err());
    assert_eq!(client.status().parked, 1);
    eventually("it is closed", || agent.open() == 0 && client.status().open == 0).await;
}

#[tokio::test]
async fn a_blocking_read_above_its_time_is_a_transport_error() {
    let agent = Agent::plain(holding).await;
    let client = client_with(&agent.address, |timers| timers.blocking_grace = millis(50), |_| {});
    let started = Instant::now();
    let error = client.ask(&get("/v1/x"), &Ask::Above(1), millis(160)).await.unwrap_err();
    // Wait, a sixteenth of it, and the grace.
    assert!(started.elapsed() >= millis(220), "{:?}", started.elapsed());
    assert!(matches!(error.cause, Cause::Timeout(_)), "{error}");
    assert_eq!((error.class(), error.agent.as_str()), (Class::Transport, agent.address.as_str()));
    eventually("its connection is closed", || agent.open() == 0 && client.status().open == 0).await;
}

#[tokio::test]
async fn a_dropped_read_takes_its_connection_with_it_and_no_other() {
    let agent = Agent::plain(|_| Reply::Held(ok("late"))).await;
    let client = client(&agent.address);
    let dropped = tokio::time::timeout(millis(30), read(&client, "/v1/x")).await;
    assert!(dropped.is_err());
    eventually("it is closed", || agent.open() == 0 && client.status().open == 0).await;
    let other = client.clone();
    let second = tokio::spawn(async move { read(&other, "/v1/x").await });
    eventually("it is asked", || agent.held() == 1).await;
    agent.release();
    assert_eq!(second.await.unwrap().unwrap(), "late");
}

#[tokio::test]
async fn the_limit_of_queries_per_second_makes_the_rest_wait() {
    let agent = Agent::plain(holding).await;
    let client =
        client_with(&agent.address, |_| {}, |limits| (limits.queries_per_second, limits.burst) = (100, 10));
    let started = Instant::now();
    let reads: Vec<_> = (0..40)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { read(&client, "/v1/x").await })
        })
        .collect();
    for read in reads {
        read.await.unwrap().unwrap();
    }
    assert!(started.elapsed() >= millis(300), "40 in {:?}", started.elapsed());
    assert_eq!(client.status().totals.rate_capped, 30);
}

#[tokio::test]
async fn what_would_wait_too_long_for_the_limit_is_not_sent() {
    let agent = Agent::plain(holding).await;
    let client = client_with(
        &agent.address,
        |timers| timers.place = millis(100),
        |limits| (limits.queries_per_second, limits.burst) = (1, 1),
    );
    read(&client, "/v1/x").await.unwrap();
    let error = read(&client, "/v1/x").await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Local(text) if text.contains("1 queries per second")), "{error}");
    assert_eq!(agent.seen().len(), 1);
}

#[tokio::test]
async fn a_request_in_flight_is_small() {
    let agent = Agent::plain(holding).await;
    let client = client(&agent.address);
    let query = get("/v1/x");
    let size = size_of_val(&client.ask(&query, &Ask::Now, Duration::ZERO));
    assert!(size <= 1024, "{size} bytes");
}
