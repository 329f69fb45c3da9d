//! Plays the failure of one of four endpoints through and prints, for every ten seconds, how the
//! connections spread, what was refused, and who is ejected.
//!
//! `cargo run -p mesh-endpoints --example failing_endpoint [round-robin|random|least-request]`
//!
//! Time is simulated: two minutes and a half pass at once. Ten connections begin each second and each
//! lives for two. The endpoint .3 is down from second 20 to second 100.
#![expect(clippy::print_stdout, reason = "a program that shows something to a person")]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mesh_endpoints::{Balancer, Endpoint, EndpointSet, Pick, Refused, SetPolicy};

const ATTEMPTS: usize = 3;

fn main() -> Result<(), Refused> {
    let balancer = match std::env::args().nth(1).as_deref() {
        Some("random") => Balancer::Random,
        Some("least-request") => Balancer::LeastRequest { choice_count: 2 },
        _ => Balancer::RoundRobin,
    };
    let address = |last| SocketAddr::from(([10, 0, 0, last], 8443));
    let endpoints = [(1, 4), (2, 2), (3, 2), (4, 2)]
        .map(|(last, weight)| Endpoint { weight, ..Endpoint::new(address(last)) })
        .to_vec();
    let set = EndpointSet::new(SetPolicy { balancer, ..SetPolicy::default() }, endpoints);

    println!("{balancer:?}; weights 4 2 2 2; 10.0.0.3 is down from 20 s to 100 s\n");
    println!("{:>9}  connections to .1 .2 .3 .4   refused connects   ejected", "seconds");

    let start = Instant::now();
    let mut random = 1;
    let mut open: VecDeque<(Instant, Pick)> = VecDeque::new();
    for period in 0..15u64 {
        let mut connections: BTreeMap<SocketAddr, u32> = (1..=4).map(|last| (address(last), 0)).collect();
        let mut refused = 0;
        for tenth in 0..100u64 {
            let second = period * 10 + tenth / 10;
            let now = start + Duration::from_millis(period * 10_000 + tenth * 100);
            while open.front().is_some_and(|(end, _)| *end <= now) {
                open.pop_front();
            }
            let mut tried = Vec::new();
            while tried.len() < ATTEMPTS {
                random = next(random);
                let mut pick = set.pick(now, random, &tried)?;
                if pick.address() == address(3) && (20..100).contains(&second) {
                    refused += 1;
                    tried.push(pick.address());
                    if let Some(notice) = pick.failed(now) {
                        println!("{second:>9}  {} leaves for {:?}", notice.address, notice.duration);
                    }
                    continue;
                }
                pick.connected();
                *connections.entry(pick.address()).or_default() += 1;
                open.push_back((now + Duration::from_secs(2), pick));
                break;
            }
        }
        let spread: Vec<String> = connections.values().map(|count| format!("{count:>3}")).collect();
        let status = set.status(start + Duration::from_secs(period * 10 + 10));
        let ejected: Vec<String> = status
            .endpoints
            .iter()
            .filter_map(|e| e.ejected_for.map(|left| format!("{} for {left:.0?}", e.address)))
            .collect();
        let span = format!("{}-{}", period * 10, period * 10 + 10);
        println!("{span:>9}  {:>26}   {refused:>16}   {}", spread.join(" "), ejected.join(", "));
    }
    println!("\nejections: {}", set.status(start).ejections);
    Ok(())
}

/// A small generator (xorshift64): the crate takes its randomness from the caller.
fn next(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}
