//! Picking an endpoint and letting it go.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mesh_endpoints::{Balancer, Endpoint, EndpointSet, SetPolicy};

fn set(balancer: Balancer, endpoints: u16) -> Arc<EndpointSet> {
    let endpoint = |port| Endpoint {
        address: SocketAddr::from(([127, 0, 0, 1], port + 1)),
        weight: 1 + port % 5,
        healthy: true,
        label: None,
    };
    EndpointSet::new(SetPolicy { balancer, ..SetPolicy::default() }, (0..endpoints).map(endpoint).collect())
}

fn picks(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    let now = Instant::now();
    let balancers = [
        ("round-robin", Balancer::RoundRobin),
        ("random", Balancer::Random),
        ("least-request", Balancer::LeastRequest { choice_count: 2 }),
    ];
    for (name, balancer) in balancers {
        for endpoints in [1, 10, 1_000] {
            let set = set(balancer, endpoints);
            let mut random = 1_u64;
            group.bench_function(BenchmarkId::new(name, endpoints), |b| {
                b.iter(|| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    set.pick(now, random, &[]).map(|mut pick| {
                        pick.connected();
                        pick.address()
                    })
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, picks);
criterion_main!(benches);
