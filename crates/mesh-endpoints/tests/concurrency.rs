//! Limits and counters while many threads pick, fail, connect, end and update at once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use mesh_endpoints::{Balancer, Ejection, Endpoint, EndpointSet, Limits, Pick, Refused, SetPolicy};

fn endpoints(count: u8) -> Vec<Endpoint> {
    (0..count)
        .map(|n| Endpoint {
            weight: u16::from(n) + 1,
            ..Endpoint::new(SocketAddr::from(([10, 2, 0, n], 443)))
        })
        .collect()
}

fn limited(max_connections: Option<u32>, max_pending: Option<u32>) -> Arc<EndpointSet> {
    let limits = Limits { max_connections, max_pending };
    EndpointSet::new(SetPolicy { limits, ..SetPolicy::default() }, endpoints(2))
}

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn one_connection_allowed_and_two_clients() {
    let set = limited(Some(1), None);
    let now = Instant::now();
    let mut first = set.pick(now, 1, &[]).unwrap();
    first.connected();
    assert_eq!(set.pick(now, 1, &[]).unwrap_err(), Refused::Connections { limit: 1 });
    drop(first);
    assert!(set.pick(now, 1, &[]).is_ok());
}

#[test]
fn one_pending_allowed_and_three_clients() {
    let set = limited(None, Some(1));
    let now = Instant::now();
    let mut first = set.pick(now, 1, &[]).unwrap();
    for _ in 0..2 {
        assert_eq!(set.pick(now, 1, &[]).unwrap_err(), Refused::Pending { limit: 1 });
    }
    first.connected();
    first.connected();
    let second = set.pick(now, 1, &[]).unwrap();
    assert_eq!((set.open(), set.pending()), (2, 1));
    second.failed(now);
    assert_eq!((set.open(), set.pending()), (1, 0));
}

#[test]
fn a_refused_client_takes_no_turn_of_the_round_robin() {
    let set = EndpointSet::new(
        SetPolicy { limits: Limits { max_connections: Some(1), max_pending: None }, ..SetPolicy::default() },
        vec![Endpoint::new(([10, 2, 0, 1], 1).into()), Endpoint::new(([10, 2, 0, 2], 1).into())],
    );
    let now = Instant::now();
    let mut last = None;
    for _ in 0..10 {
        let pick = set.pick(now, 1, &[]).unwrap();
        assert!(set.pick(now, 1, &[]).is_err());
        assert_ne!(last.replace(pick.address()), Some(pick.address()), "they alternate");
    }
}

#[test]
fn the_limit_is_reached_and_never_passed() {
    for (connections, pending) in [(Some(7), None), (None, Some(7))] {
        let set = limited(connections, pending);
        // Two places are left: each thread asks for three, so the limit is reached for certain.
        let base: Vec<Pick> = (0..5).filter_map(|_| set.pick(Instant::now(), 1, &[]).ok()).collect();
        let (inside, most) = (AtomicU32::new(5), AtomicU32::new(0));
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for seed in 1..=8u64 {
                let (set, inside, most, start) = (&set, &inside, &most, &start);
                scope.spawn(move || {
                    let mut random = seed * 0x9e37_79b9;
                    start.wait();
                    for _ in 0..4000 {
                        let held: Vec<Pick> = (0..3)
                            .filter_map(|_| {
                                let pick = set.pick(Instant::now(), next(&mut random), &[]).ok()?;
                                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                                Some(pick)
                            })
                            .collect();
                        inside.fetch_sub(held.len() as u32, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 7);
        drop(base);
        assert_eq!((set.open(), set.pending()), (0, 0));
    }
}

/// Everything at once, then everything ends: every counter is back at zero, and none was ever seen
/// below (a counter below zero is a huge number).
#[test]
fn chaos_leaves_every_counter_at_zero() {
    const WORKERS: u64 = 4;
    const HELD: usize = 20;
    let ejection = Ejection {
        base: Duration::from_micros(50),
        consecutive_failures: 2,
        max_percent: 60,
        ..Ejection::default()
    };
    let policies: Vec<SetPolicy> =
        [Balancer::RoundRobin, Balancer::Random, Balancer::LeastRequest { choice_count: 3 }]
            .into_iter()
            .map(|balancer| SetPolicy { balancer, ejection, ..SetPolicy::default() })
            .collect();
    let set = EndpointSet::new(policies[0].clone(), endpoints(12));
    let stop = AtomicBool::new(false);
    let ceiling = (WORKERS as u32) * (HELD as u32 + 2);

    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..=WORKERS)
            .map(|seed| {
                let set = &set;
                scope.spawn(move || {
                    let mut random = seed;
                    let mut held: Vec<Pick> = Vec::new();
                    for _ in 0..30_000 {
                        let now = Instant::now();
                        match next(&mut random) % 5 {
                            0 | 1 if held.len() < HELD => {
                                held.extend(set.pick(now, next(&mut random), &[]).ok());
                            }
                            2 if !held.is_empty() => {
                                let index = next(&mut random) as usize % held.len();
                                held[index].connected();
                            }
                            3 => drop(held.pop()),
                            4 => {
                                let _ = held.pop().map(|pick| pick.failed(now));
                            }
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        let (set, stop, policies) = (&set, &stop, &policies);
        scope.spawn(move || {
            let mut random = 99;
            while !stop.load(Ordering::Relaxed) {
                let mut list = endpoints(12);
                list.retain(|_| !next(&mut random).is_multiple_of(3));
                list.iter_mut().for_each(|endpoint| endpoint.healthy = !next(&mut random).is_multiple_of(4));
                set.update(policies[next(&mut random) as usize % 3].clone(), list);
                let status = set.status(Instant::now());
                assert!(status.open <= ceiling && status.pending <= ceiling, "{status:?}");
                assert!(status.endpoints.iter().all(|e| e.in_flight <= ceiling), "{status:?}");
            }
        });
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });

    let status = set.status(Instant::now());
    assert_eq!((status.open, status.pending), (0, 0));
    assert!(status.endpoints.iter().all(|endpoint| endpoint.in_flight == 0), "{status:?}");
}

#[test]
fn an_update_keeps_what_is_in_flight() {
    let set = EndpointSet::new(SetPolicy::default(), endpoints(1));
    let now = Instant::now();
    let held: Vec<Pick> = (0..3).map(|_| set.pick(now, 1, &[]).unwrap()).collect();
    set.update(SetPolicy::default(), endpoints(4));
    assert_eq!(set.status(now).endpoints[0].in_flight, 3);
    set.update(SetPolicy::default(), Vec::new());
    assert_eq!((set.open(), set.status(now).endpoints.len()), (3, 0));
    drop(held);
    assert_eq!(set.open(), 0);
}
