//! How picks spread: balancers, weights, health, endpoints already tried.
#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mesh_endpoints::{AllDown, Balancer, Endpoint, EndpointSet, Pick, Refused, SetPolicy};

fn address(n: usize) -> SocketAddr {
    ([10, 0, (n / 250) as u8, (n % 250) as u8], 443).into()
}

fn weighted(weights: &[u16]) -> Vec<Endpoint> {
    let endpoint = |(n, weight): (usize, &u16)| Endpoint { weight: *weight, ..Endpoint::new(address(n)) };
    weights.iter().enumerate().map(endpoint).collect()
}

fn policy(balancer: Balancer) -> SetPolicy {
    SetPolicy { balancer, ..SetPolicy::default() }
}

/// Numbers that look random and are the same in every run.
fn randoms() -> impl Iterator<Item = u64> {
    (1u64..)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// Connections per endpoint of `count` picks, each ended at once.
fn spread(set: &Arc<EndpointSet>, count: usize, tried: &[SocketAddr]) -> BTreeMap<SocketAddr, usize> {
    let mut seen = BTreeMap::new();
    let now = Instant::now();
    for random in randoms().take(count) {
        let pick = set.pick(now, random, tried).unwrap();
        *seen.entry(pick.address()).or_default() += 1;
    }
    seen
}

fn counts(set: &Arc<EndpointSet>, count: usize) -> Vec<usize> {
    spread(set, count, &[]).into_values().collect()
}

fn assert_near(actual: usize, expected: usize) {
    assert!(actual.abs_diff(expected) * 10 <= expected, "{actual} is not near {expected}");
}

#[test]
fn five_to_one_gives_fifty_of_sixty() {
    let set = EndpointSet::new(policy(Balancer::RoundRobin), weighted(&[5, 1]));
    assert_eq!(counts(&set, 60), [50, 10]);
}

#[test]
fn a_cycle_is_exact_with_many_threads() {
    let weights = [7, 3, 3, 1];
    let set = EndpointSet::new(policy(Balancer::RoundRobin), weighted(&weights));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let set = Arc::clone(&set);
            std::thread::spawn(move || spread(&set, 14 * 250, &[]))
        })
        .collect();
    let mut total = BTreeMap::<SocketAddr, usize>::new();
    for thread in threads {
        for (address, count) in thread.join().unwrap() {
            *total.entry(address).or_default() += count;
        }
    }
    assert_eq!(total.into_values().collect::<Vec<_>>(), [7000, 3000, 3000, 1000]);
}

#[test]
fn random_ignores_weights() {
    let set = EndpointSet::new(policy(Balancer::Random), weighted(&[128, 1, 1, 1]));
    for count in counts(&set, 40_000) {
        assert_near(count, 10_000);
    }
}

#[test]
fn least_request_goes_where_the_fewest_connections_are() {
    let set = EndpointSet::new(policy(Balancer::LeastRequest { choice_count: 2 }), weighted(&[1, 1]));
    let now = Instant::now();
    let mut held: Vec<Pick> = randoms().take(100).map(|random| set.pick(now, random, &[]).unwrap()).collect();
    let on_first = held.iter().filter(|pick| pick.address() == address(0)).count();
    assert_eq!(on_first, 50);
    // The first endpoint becomes idle, so the next fifty are its.
    held.retain(|pick| pick.address() != address(0));
    for random in randoms().take(50) {
        let pick = set.pick(now, random, &[]).unwrap();
        assert_eq!(pick.address(), address(0));
        held.push(pick);
    }
}

#[test]
fn least_request_of_two_among_many_stays_level() {
    let set = EndpointSet::new(policy(Balancer::LeastRequest { choice_count: 2 }), weighted(&[1; 50]));
    let now = Instant::now();
    let held: Vec<Pick> = randoms().take(5000).map(|random| set.pick(now, random, &[]).unwrap()).collect();
    let busiest = set.status(now).endpoints.iter().map(|endpoint| endpoint.in_flight).max();
    assert!(busiest <= Some(106), "two choices keep the busiest within a few of 100: {busiest:?}");
    drop(held);
}

#[test]
fn least_request_with_weights_follows_weight_over_connections() {
    let set = EndpointSet::new(policy(Balancer::LeastRequest { choice_count: 2 }), weighted(&[5, 1]));
    // Nothing stays open: the chance is 5 to 1.
    let idle = counts(&set, 60_000);
    assert_near(idle[0], 50_000);
    assert_near(idle[1], 10_000);
    // Four connections on the first: 5 / (4 + 1) = 1 / (0 + 1).
    let now = Instant::now();
    let held: Vec<Pick> =
        std::iter::repeat_with(|| set.pick(now, 7, &[address(1)]).unwrap()).take(4).collect();
    let level = counts(&set, 60_000);
    assert_near(level[0], 30_000);
    assert_near(level[1], 30_000);
    drop(held);
}

#[test]
fn one_of_two_turning_critical_leaves_the_other() {
    let mut endpoints = weighted(&[1, 1]);
    let set = EndpointSet::new(SetPolicy::default(), endpoints.clone());
    endpoints[0].healthy = false;
    set.update(SetPolicy::default(), endpoints);
    assert_eq!(spread(&set, 20, &[]), BTreeMap::from([(address(1), 20)]));
    assert_eq!(set.pick(Instant::now(), 1, &[address(1)]).unwrap_err(), Refused::AllTried);
}

#[test]
fn all_critical_are_still_tried_unless_the_policy_closes() {
    let mut endpoints = weighted(&[1, 1]);
    endpoints.iter_mut().for_each(|endpoint| endpoint.healthy = false);
    let set = EndpointSet::new(SetPolicy::default(), endpoints.clone());
    assert_eq!(counts(&set, 20), [10, 10]);
    set.update(SetPolicy { all_down: AllDown::Close, ..SetPolicy::default() }, endpoints);
    assert_eq!(set.pick(Instant::now(), 1, &[]).unwrap_err(), Refused::AllDown { endpoints: 2 });
}

#[test]
fn panic_uses_all_as_consul_would() {
    let mut endpoints = weighted(&[1, 1, 1]);
    endpoints[0].healthy = false;
    endpoints[2].healthy = false;
    let set = EndpointSet::new(SetPolicy { panic_threshold: 50, ..SetPolicy::default() }, endpoints);
    assert_eq!(counts(&set, 30), [10, 10, 10]);
}

#[test]
fn an_empty_set_says_so() {
    let set = EndpointSet::new(SetPolicy::default(), Vec::new());
    assert_eq!(set.pick(Instant::now(), 1, &[]).unwrap_err(), Refused::Empty);
}

#[test]
fn what_was_tried_is_passed_over_and_the_rest_share_evenly() {
    for balancer in [Balancer::RoundRobin, Balancer::Random, Balancer::LeastRequest { choice_count: 2 }] {
        let set = EndpointSet::new(policy(balancer), weighted(&[1; 5]));
        let seen = spread(&set, 30_000, &[address(1), address(2)]);
        assert_eq!(
            seen.keys().copied().collect::<Vec<_>>(),
            [address(0), address(3), address(4)],
            "{balancer:?}"
        );
        for count in seen.into_values() {
            assert_near(count, 10_000);
        }
        let all: Vec<SocketAddr> = (0..5).map(address).collect();
        assert_eq!(set.pick(Instant::now(), 1, &all).unwrap_err(), Refused::AllTried);
    }
}

#[test]
fn thousands_of_heavy_endpoints_are_exact_too() {
    let weights: Vec<u16> = (0..3000).map(|n| 100 + n % 29).collect();
    let set = EndpointSet::new(SetPolicy::default(), weighted(&weights));
    let cycle: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
    let expected: Vec<usize> = weights.iter().map(|weight| usize::from(*weight)).collect();
    assert_eq!(counts(&set, cycle), expected);
}
