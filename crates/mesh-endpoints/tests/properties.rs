//! What holds for every set, whatever is in it and whatever has happened to it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mesh_endpoints::{AllDown, Balancer, Ejection, Endpoint, EndpointSet, Refused, SetPolicy};
use proptest::prelude::*;

fn address(n: usize) -> SocketAddr {
    ([10, 3, 0, n as u8], 443).into()
}

fn balancers() -> impl Strategy<Value = Balancer> {
    prop_oneof![
        Just(Balancer::RoundRobin),
        Just(Balancer::Random),
        (0u32..8).prop_map(|choice_count| Balancer::LeastRequest { choice_count }),
    ]
}

fn lists() -> impl Strategy<Value = Vec<Endpoint>> {
    prop::collection::vec((0u16..140, any::<bool>()), 0..14).prop_map(|rows| {
        let endpoint = |(n, (weight, healthy))| Endpoint { weight, healthy, ..Endpoint::new(address(n)) };
        rows.into_iter().enumerate().map(endpoint).collect()
    })
}

fn policies() -> impl Strategy<Value = SetPolicy> {
    (balancers(), any::<bool>(), 0u8..=100, 1u32..4).prop_map(|(balancer, close, max_percent, failures)| {
        SetPolicy {
            balancer,
            all_down: if close { AllDown::Close } else { AllDown::TryAll },
            ejection: Ejection {
                consecutive_failures: failures,
                base: Duration::from_secs(10),
                max: Duration::from_secs(60),
                max_percent,
            },
            ..SetPolicy::default()
        }
    })
}

/// One connect: its random number, whether it fails, seconds that pass, endpoints tried before (bits).
type Step = (u64, bool, u64, u16);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_pick_is_untried_healthy_and_not_ejected_unless_there_is_no_other(
        list in lists(),
        policy in policies(),
        steps in prop::collection::vec(any::<(u64, bool, u8, u16)>().prop_map(|(r, f, s, t)| -> Step { (r, f, u64::from(s % 8), t) }), 1..80),
    ) {
        let set = EndpointSet::new(policy.clone(), list.clone());
        let mut now = Instant::now();
        for (random, fails, seconds, bits) in steps {
            now += Duration::from_secs(seconds);
            let tried: Vec<SocketAddr> = (0..list.len()).filter(|n| bits & (1 << n) != 0).map(address).collect();
            let status = set.status(now);
            let any_healthy = list.iter().any(|endpoint| endpoint.healthy);
            let eligible: Vec<_> = status.endpoints.iter().filter(|e| e.healthy || !any_healthy).collect();
            let all_ejected = eligible.iter().all(|e| e.ejected_for.is_some());
            let allowed: Vec<SocketAddr> = eligible
                .iter()
                .filter(|e| (all_ejected || e.ejected_for.is_none()) && !tried.contains(&e.address))
                .map(|e| e.address)
                .collect();
            let closed = !any_healthy && policy.all_down == AllDown::Close;
            match set.pick(now, random, &tried) {
                Ok(pick) => {
                    prop_assert!(!closed);
                    prop_assert!(allowed.contains(&pick.address()), "{pick:?} not in {allowed:?} of {status:?}");
                    let before = status.endpoints.iter().filter(|e| e.ejected_for.is_some()).count();
                    if fails && let Some(notice) = pick.failed(now) {
                        let usable = set.status(now).endpoints.iter()
                            .filter(|e| (e.healthy || !any_healthy) && e.ejected_for.is_none()).count();
                        let most = (list.len() * usize::from(policy.ejection.max_percent) / 100).max(1);
                        prop_assert!(usable >= 1, "never the last one");
                        prop_assert!(before < most, "never more than the percentage");
                        prop_assert!(notice.duration <= policy.ejection.max);
                    }
                }
                Err(Refused::Empty) => prop_assert!(list.is_empty()),
                Err(Refused::AllDown { endpoints }) => prop_assert!(closed && endpoints == list.len()),
                Err(Refused::AllTried) => prop_assert!(allowed.is_empty() && !list.is_empty()),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
        prop_assert_eq!(set.open(), 0);
    }

    #[test]
    fn round_robin_gives_each_its_weight_over_a_cycle(weights in prop::collection::vec(1u16..=128, 1..20)) {
        let list = weights.iter().enumerate().map(|(n, w)| Endpoint { weight: *w, ..Endpoint::new(address(n)) });
        let set = EndpointSet::new(SetPolicy::default(), list.collect());
        let now = Instant::now();
        let mut seen = vec![0u16; weights.len()];
        for _ in 0..weights.iter().copied().map(usize::from).sum() {
            let picked = set.pick(now, 0, &[]).map(|pick| pick.address());
            let index = (0..weights.len()).find(|n| Ok(address(*n)) == picked);
            prop_assert!(index.is_some());
            seen[index.unwrap_or_default()] += 1;
        }
        prop_assert_eq!(seen, weights);
    }
}
