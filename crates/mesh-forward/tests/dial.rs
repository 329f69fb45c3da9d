//! Which endpoint a dial ends at, when some refuse and some stay silent.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its support fails")]

mod support;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_endpoints::{Ejection, Endpoint, EndpointSet, Refused, SetPolicy};
use mesh_forward::tcp::DialError;
use mesh_forward::tcp::dial::{self, DialPlan, OwnAddresses, Start};
use support::{Seen, dial, plan, set_of};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Nobody listens there.
fn refusing() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Listens, but its queue is full, so that the kernel drops what comes: a host that went silent.
struct Silent {
    address: SocketAddr,
    _held: Vec<OwnedFd>,
}

fn silent() -> Silent {
    use rustix::net::{AddressFamily, SocketFlags, SocketType};
    let socket = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap()
    };
    let listener = socket();
    rustix::net::bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
    let mut held = vec![listener];
    for _ in 0..8 {
        let filler = socket();
        let _pending = rustix::net::connect(&filler, &address);
        held.push(filler);
    }
    Silent { address, _held: held }
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn the_first_bytes_arrive_with_the_connection() {
    let (listener, address) = listening().await;
    let dialled =
        dial(&set_of(&[address]), &plan(Duration::from_secs(5)), b"first", &Seen::default()).await.unwrap();
    assert_eq!((dialled.pick.address(), dialled.sent, dialled.attempts), (address, 5, 1));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut first = [0u8; 5];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"first");
}

#[tokio::test]
async fn one_that_refuses_is_followed_by_another_at_once() {
    let (_listener, good) = listening().await;
    let seen = Seen::default();
    let bad = [refusing(), refusing()];
    let set = set_of(&[bad[0], bad[1], good]);
    let started = Instant::now();
    for _ in 0..6 {
        let dialled = dial(&set, &plan(Duration::from_secs(60)), b"x", &seen).await.unwrap();
        assert_eq!(dialled.pick.address(), good);
    }
    assert!(started.elapsed() < Duration::from_secs(20), "nobody waited for a part of the budget");
    assert!(seen.failed.lock().unwrap().iter().all(|failed| bad.contains(failed)));
}

#[tokio::test]
async fn one_that_stays_silent_is_overtaken_after_a_third_of_the_budget() {
    let (_listener, good) = listening().await;
    let quiet = silent();
    let seen = Seen::default();
    let set = set_of(&[quiet.address, good]);
    let (mut overtaken, budget) = (0, Duration::from_millis(900));
    for _ in 0..2 {
        let started = Instant::now();
        let dialled = dial(&set, &plan(budget), b"x", &seen).await.unwrap();
        assert_eq!(dialled.pick.address(), good);
        if dialled.attempts == 2 {
            overtaken += 1;
            assert!(started.elapsed() >= budget / 3);
        }
    }
    assert!(overtaken >= 1, "round robin began with the silent one");
    assert_eq!(*seen.failed.lock().unwrap(), vec![quiet.address; overtaken], "each time it has failed");
}

#[tokio::test]
async fn a_lone_silent_endpoint_is_given_the_whole_budget() {
    let quiet = silent();
    let budget = Duration::from_millis(300);
    let started = Instant::now();
    let error = dial(&set_of(&[quiet.address]), &plan(budget), b"x", &Seen::default()).await.unwrap_err();
    assert_eq!((error.error, error.attempts), (DialError::TimedOut(quiet.address), 1));
    assert!(started.elapsed() >= budget);
}

#[tokio::test]
async fn three_endpoints_are_tried_at_most() {
    let bad: Vec<_> = (0..5).map(|_| refusing()).collect();
    let seen = Seen::default();
    let error = dial(&set_of(&bad), &plan(Duration::from_secs(60)), b"x", &seen).await.unwrap_err();
    assert!(matches!(error.error, DialError::Failed(..)) && error.attempts == 3, "{error}");
    assert_eq!(seen.failed.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_always_refuses_is_left_out() {
    let (_listener, good) = listening().await;
    let bad = refusing();
    let endpoint = |address| Endpoint { address, weight: 1, healthy: true, label: None };
    let policy = SetPolicy {
        ejection: Ejection { consecutive_failures: 2, ..Ejection::default() },
        ..SetPolicy::default()
    };
    let set = EndpointSet::new(policy, vec![endpoint(bad), endpoint(good)]);
    let seen = Seen::default();
    for _ in 0..10 {
        dial(&set, &plan(Duration::from_secs(5)), b"x", &seen).await.unwrap();
    }
    assert_eq!(*seen.ejected.lock().unwrap(), [bad]);
    assert_eq!(seen.failed.lock().unwrap().len(), 2, "not tried again while it is out");
}

#[tokio::test]
async fn the_gateway_itself_is_never_dialled() {
    let (listener, address) = listening().await;
    let everywhere = SocketAddr::from(([0, 0, 0, 0], address.port()));
    for own in [address, everywhere] {
        let own = Arc::new(OwnAddresses { addresses: vec![own] });
        let plan = DialPlan { own, ..plan(Duration::from_secs(5)) };
        let error = dial(&set_of(&[address]), &plan, b"x", &Seen::default()).await.unwrap_err();
        assert_eq!(error.error, DialError::Loop(address));
    }
    // Where somebody else serves as well, they do.
    let (_good, good) = listening().await;
    let own = Arc::new(OwnAddresses { addresses: vec![address] });
    let mixed = DialPlan { own, ..plan(Duration::from_secs(5)) };
    for _ in 0..4 {
        let dialled = dial(&set_of(&[address, good]), &mixed, b"x", &Seen::default()).await.unwrap();
        assert_eq!(dialled.pick.address(), good);
    }
    let other = Arc::new(OwnAddresses { addresses: vec![SocketAddr::from(([0, 0, 0, 0], 1))] });
    let plan = DialPlan { own: other, ..plan(Duration::from_secs(5)) };
    dial(&set_of(&[address]), &plan, b"x", &Seen::default()).await.unwrap();
    drop(listener);
}

#[tokio::test]
async fn a_dial_without_bytes_waits_for_the_connection_and_tries_another() {
    let (listener, address) = listening().await;
    let (seen, refusing) = (Seen::default(), refusing());
    let dialled =
        dial(&set_of(&[refusing, address]), &plan(Duration::from_secs(5)), b"", &seen).await.unwrap();
    assert_eq!((dialled.pick.address(), dialled.attempts, dialled.sent), (address, 2, 0));
    assert_eq!(*seen.failed.lock().unwrap(), [refusing]);
    drop(listener.accept().await.unwrap());
}

#[tokio::test]
async fn no_more_endpoints_are_tried_than_the_plan_says() {
    let all = [refusing(), refusing(), refusing(), refusing()];
    for (attempts, tried) in [(1, 1), (2, 2), (0, 1), (9, 3)] {
        let plan = DialPlan { attempts, ..plan(Duration::from_secs(5)) };
        let failure = dial(&set_of(&all), &plan, b"", &Seen::default()).await.unwrap_err();
        assert_eq!(failure.attempts, tried, "{failure:?}");
    }
}

#[tokio::test]
async fn what_was_tried_before_is_left_out_and_counts() {
    let (_one, first) = listening().await;
    let (_two, second) = listening().await;
    let set = set_of(&[first, second]);
    let plan = DialPlan { attempts: 2, ..plan(Duration::from_secs(5)) };
    let beside = |beside: &[SocketAddr]| {
        dial::start_beside(&set, &plan, Instant::now(), &mut || 0, b"", &Seen::default(), beside)
    };
    let address = |start| match start {
        Start::Connected(dialled) => (dialled.pick.address(), dialled.attempts),
        Start::Waiting(_) => unreachable!("on loopback a listener answers at once"),
    };
    assert_eq!(address(beside(&[first]).unwrap()), (second, 2));
    assert_eq!(address(beside(&[second]).unwrap()), (first, 2));
    let failure = beside(&[first, second]).unwrap_err();
    assert_eq!(failure.error, DialError::NoEndpoint(Refused::AllTried));
}

#[tokio::test]
async fn connections_leave_from_the_source_address() {
    let (listener, address) = listening().await;
    let source = "127.0.0.9".parse().unwrap();
    let plan = DialPlan { source: Some(source), ..plan(Duration::from_secs(5)) };
    let dialled = dial(&set_of(&[address]), &plan, b"", &Seen::default()).await.unwrap();
    let (_accepted, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.ip(), source);
    drop(dialled);
}

/// Neither an address of the other family nor one of another host blames the endpoint.
#[tokio::test]
async fn a_source_address_that_cannot_be_used_is_no_fault_of_the_endpoint() {
    let (_listener, address) = listening().await;
    for source in ["192.0.2.77", "::1"] {
        let seen = Seen::default();
        let source = source.parse().unwrap();
        let plan = DialPlan { source: Some(source), ..plan(Duration::from_secs(5)) };
        let failure = dial(&set_of(&[address]), &plan, b"", &seen).await.unwrap_err();
        let DialError::Source { endpoint, source_address, .. } = failure.error else {
            panic!("{failure:?}");
        };
        assert_eq!((endpoint, source_address), (address, source));
        assert!(seen.failed.lock().unwrap().is_empty());
    }
}

/// A name with addresses of both families, and a source address of one.
#[tokio::test]
async fn endpoints_of_the_other_family_are_passed_over_and_are_no_attempts() {
    let (listener, address) = listening().await;
    let other = |port| SocketAddr::new("::1".parse().unwrap(), port);
    let source = "127.0.0.9".parse().unwrap();
    for _ in 0..4 {
        let seen = Seen::default();
        let set = set_of(&[other(1), other(2), other(3), address]);
        let plan = DialPlan { source: Some(source), attempts: 1, ..plan(Duration::from_secs(5)) };
        let dialled = dial(&set, &plan, b"", &seen).await.unwrap();
        assert_eq!((dialled.pick.address(), dialled.attempts), (address, 1));
        assert!(seen.failed.lock().unwrap().is_empty());
        drop(listener.accept().await.unwrap());
    }
}

#[tokio::test]
async fn where_a_handshake_follows_the_pick_stays_pending() {
    let (_listener, address) = listening().await;
    let set = set_of(&[address]);
    let plan = DialPlan { handshake: true, ..plan(Duration::from_secs(5)) };
    let mut dialled = dial(&set, &plan, b"", &Seen::default()).await.unwrap();
    assert_eq!(set.status(Instant::now()).pending, 1);
    dialled.pick.connected();
    assert_eq!(set.status(Instant::now()).pending, 0);
}
