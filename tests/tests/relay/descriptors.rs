//! Out of descriptors: accepting pauses and says so, what is open goes on, and whoever waits is served later.

use std::path::PathBuf;

use gateway_testkit::{Backend, Deadline, Gateway, Lab, Script, gateway_binary, wait_for};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{PATIENCE, connect, echo, exchange, hello, open, prepare};

/// A client that has sent its hello and is to wait for its turn.
async fn waiting(gateway: &Gateway) -> TcpStream {
    let mut stream = connect(gateway).await;
    stream.write_all(&hello()).await.unwrap();
    stream
}

async fn served(stream: &mut TcpStream) {
    let mut back = vec![0; hello().len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.expect("its turn").expect("an echo");
    assert_eq!(back, hello());
}

/// Waits for the line that accepting pauses, of this cause.
async fn paused(gateway: &Gateway, cause: &str) {
    let of = |line: &Value| {
        line["cause"] == cause
            && line["message"].as_str().is_some_and(|text| text.contains("accepting pauses"))
    };
    let line = gateway.wait_log(Deadline::after(PATIENCE), "of the pause", of).await.unwrap();
    assert_eq!(line["listener"], "default", "{line}");
}

#[tokio::test]
async fn few_descriptors_are_used_up_to_the_hard_limit_and_not_beyond() {
    let lab = Lab::new().unwrap();
    let backend = Backend::local(Script::Echo).unwrap();
    let (_catalog, builder) = prepare(&lab, &backend);
    let wrapper: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "relay", "few-descriptors"].iter().collect();
    let gateway = builder
        .binary(wrapper)
        .variable("TEST_PROGRAM", gateway_binary().unwrap().to_str().unwrap())
        .variable("TEST_SOFT", "100")
        .variable("TEST_HARD", "200")
        // Without pipes 192 are set aside for all but connections, which leaves 8 for four of them.
        .setting("LIMITS_PIPE_MEMORY", "0")
        .setting("TIMERS_ACCEPT_BACKOFF", "10ms")
        .start()
        .await
        .unwrap();
    gateway.wait_metric(Deadline::usual(), "process_max_fds", &[], |fds| fds == 200.0).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(open(&gateway).await);
    }
    let mut next = [waiting(&gateway).await, waiting(&gateway).await];
    paused(&gateway, "connections").await;
    let cause = [("cause", "connections")];
    gateway
        .wait_metric(Deadline::usual(), "gateway_accept_paused_total", &cause, |n| n >= 1.0)
        .await
        .unwrap();
    for stream in &mut held {
        exchange(stream, b"goes on").await;
    }
    assert_eq!(backend.seen().len(), 4, "nobody else was let in");
    held.truncate(2);
    for stream in &mut next {
        served(stream).await;
    }
    for stream in &mut held {
        exchange(stream, b"still here").await;
    }
}

#[tokio::test]
async fn without_a_descriptor_accepting_pauses_until_there_is_one() {
    let lab = Lab::new().unwrap();
    let (backend, _catalog, gateway) = echo(&lab, &[("TIMERS_ACCEPT_BACKOFF", "10ms")]).await;
    let mut held = vec![open(&gateway).await, open(&gateway).await];
    limit_to_what_is_open(&gateway);
    let mut next = waiting(&gateway).await;
    paused(&gateway, "descriptors").await;
    for stream in &mut held {
        exchange(stream, b"goes on").await;
    }
    assert_eq!(backend.seen().len(), 2, "nobody else was let in");

    held.pop();
    served(&mut next).await;
    exchange(&mut held[0], b"still here").await;
    // The admin page needs one as well.
    set_limit(&gateway, getrlimit(Resource::Nofile).maximum);
    let cause = [("cause", "descriptors")];
    gateway
        .wait_metric(Deadline::usual(), "gateway_accept_paused_total", &cause, |n| n >= 1.0)
        .await
        .unwrap();
    let resumed = |line: &Value| line["message"] == "accepting again";
    gateway.wait_log(Deadline::usual(), "that it goes on", resumed).await.unwrap();
}

#[tokio::test]
async fn the_limit_of_connections_holds_the_others_back() {
    let lab = Lab::new().unwrap();
    let settings = [("LIMITS_MAX_CONNECTIONS", "1"), ("TIMERS_ACCEPT_BACKOFF", "10ms")];
    let (backend, _catalog, gateway) = echo(&lab, &settings).await;
    let mut held = open(&gateway).await;
    let mut next = waiting(&gateway).await;
    paused(&gateway, "connections").await;
    exchange(&mut held, b"goes on").await;
    drop(held);
    served(&mut next).await;
    drop(next);
    wait_for(Deadline::usual(), "no connection", async || {
        let page = gateway.admin().ok()?.connections().await.ok()?;
        (page["open"] == 0).then_some(())
    })
    .await
    .unwrap();
    open(&gateway).await;
    assert_eq!(backend.seen().len(), 3);
}

/// Leaves the process no number for a further descriptor.
fn limit_to_what_is_open(gateway: &Gateway) {
    let numbers = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap();
    let numbers: std::collections::BTreeSet<u64> =
        numbers.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    let unused = (0..).find(|number| !numbers.contains(number));
    set_limit(gateway, unused);
}

/// Sets the soft limit. The hard one stays what the gateway was started with: this process's own.
fn set_limit(gateway: &Gateway, soft: Option<u64>) {
    let pid = Pid::from_raw(gateway.pid().try_into().unwrap());
    let limit = Rlimit { current: soft, maximum: getrlimit(Resource::Nofile).maximum };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}
