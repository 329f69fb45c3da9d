//! Passive ejection: when an endpoint goes, for how long, and who may never go.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_endpoints::{Ejection, EjectionNotice, Endpoint, EndpointSet, SetPolicy};

const FIVE: u32 = 5;

fn address(n: usize) -> SocketAddr {
    ([10, 1, (n / 250) as u8, (n % 250) as u8], 443).into()
}

fn endpoints(count: usize) -> Vec<Endpoint> {
    (0..count).map(|n| Endpoint::new(address(n))).collect()
}

fn set_of(count: usize) -> Arc<EndpointSet> {
    EndpointSet::new(SetPolicy::default(), endpoints(count))
}

fn with_ejection(ejection: Ejection) -> SetPolicy {
    SetPolicy { ejection, ..SetPolicy::default() }
}

/// Picks until the pick is the one wanted, and lets its connect fail.
fn fail(set: &Arc<EndpointSet>, now: Instant, wanted: SocketAddr) -> Option<EjectionNotice> {
    reach(set, now, wanted).failed(now)
}

fn reach(set: &Arc<EndpointSet>, now: Instant, wanted: SocketAddr) -> mesh_endpoints::Pick {
    let mut pick = set.pick(now, 1, &[]).unwrap();
    for random in 2..10_000 {
        if pick.address() == wanted {
            return pick;
        }
        pick = set.pick(now, random, &[]).unwrap();
    }
    panic!("{wanted} is never picked");
}

/// Lets connects fail until the endpoint goes.
fn eject(set: &Arc<EndpointSet>, now: Instant, wanted: SocketAddr) -> Duration {
    (0..100).find_map(|_| fail(set, now, wanted)).expect("it should be ejected").duration
}

fn is_out(set: &EndpointSet, now: Instant, wanted: SocketAddr) -> bool {
    set.status(now).endpoints.iter().any(|e| e.address == wanted && e.ejected_for.is_some())
}

fn is_picked(set: &Arc<EndpointSet>, now: Instant, wanted: SocketAddr) -> bool {
    (0..100).any(|random| set.pick(now, random, &[]).unwrap().address() == wanted)
}

#[test]
fn the_fifth_failure_in_a_row_ejects_for_thirty_seconds() {
    let set = set_of(2);
    let now = Instant::now();
    for _ in 1..FIVE {
        assert_eq!(fail(&set, now, address(0)), None);
    }
    let notice = EjectionNotice { address: address(0), duration: Duration::from_secs(30) };
    assert_eq!(fail(&set, now, address(0)), Some(notice));
    assert!(!is_picked(&set, now, address(0)));
    assert!(!is_picked(&set, now + Duration::from_millis(29_999), address(0)));
    assert!(is_picked(&set, now + Duration::from_secs(30), address(0)));
    assert_eq!(set.status(now).ejections, 1);
}

#[test]
fn a_success_resets_the_count() {
    let set = set_of(2);
    let now = Instant::now();
    for _ in 0..20 {
        for _ in 1..FIVE {
            assert_eq!(fail(&set, now, address(0)), None);
        }
        reach(&set, now, address(0)).connected();
    }
    assert_eq!(set.status(now).endpoints[0].failures, 80);
}

#[test]
fn a_pick_that_is_dropped_or_was_connected_is_no_failure() {
    let set = set_of(2);
    let now = Instant::now();
    for _ in 0..20 {
        drop(reach(&set, now, address(0)));
        let mut pick = reach(&set, now, address(0));
        pick.connected();
        assert_eq!(pick.failed(now), None);
    }
    assert_eq!(set.status(now).endpoints[0].failures, 0);
}

#[test]
fn the_last_usable_one_never_goes() {
    let set = set_of(1);
    let now = Instant::now();
    assert!((0..100).all(|_| fail(&set, now, address(0)).is_none()));

    // Two in the set, but one of them is unhealthy: the healthy one is the last.
    let mut list = endpoints(2);
    list[1].healthy = false;
    let set = EndpointSet::new(SetPolicy::default(), list);
    assert!((0..100).all(|_| fail(&set, now, address(0)).is_none()));

    // All fail, and everyone may go: one stays.
    let everyone = Ejection { max_percent: 100, ..Ejection::default() };
    let set = EndpointSet::new(with_ejection(everyone), endpoints(4));
    for random in 0..1000 {
        let _ = set.pick(now, random, &[]).unwrap().failed(now);
    }
    assert_eq!(set.status(now).endpoints.iter().filter(|e| e.ejected_for.is_some()).count(), 3);
}

#[test]
fn at_most_the_percentage_goes_and_the_next_when_one_is_back() {
    for (count, most) in [(2, 1), (19, 1), (20, 2), (35, 3)] {
        let set = set_of(count);
        let now = Instant::now();
        for random in 0..2000 {
            let _ = set.pick(now, random, &[]).unwrap().failed(now);
        }
        let status = set.status(now);
        assert_eq!(status.endpoints.iter().filter(|e| e.ejected_for.is_some()).count(), most, "of {count}");
        assert_eq!(status.ejections, most as u64);
    }
    let set = set_of(3);
    let now = Instant::now();
    eject(&set, now, address(0));
    assert!((0..50).all(|_| fail(&set, now, address(1)).is_none()), "the cap holds");
    let later = now + Duration::from_secs(30);
    assert!(fail(&set, later, address(1)).is_some(), "one more failure is enough when there is room again");
}

#[test]
fn the_neighbour_does_not_inherit_the_share() {
    let set = set_of(4);
    let now = Instant::now();
    eject(&set, now, address(1));
    let mut seen = [0; 4];
    for _ in 0..3000 {
        let pick = set.pick(now, 1, &[]).unwrap();
        seen[(0..4).find(|n| address(*n) == pick.address()).unwrap()] += 1;
    }
    assert_eq!(seen, [1000, 0, 1000, 1000]);
}

#[test]
fn repeated_ejections_last_longer_and_good_time_is_credited() {
    let set = set_of(2);
    let mut now = Instant::now();
    for seconds in [30, 60, 90] {
        assert_eq!(eject(&set, now, address(0)), Duration::from_secs(seconds));
        now += Duration::from_secs(seconds);
    }
    now += Duration::from_secs(60);
    assert_eq!(eject(&set, now, address(0)), Duration::from_secs(60), "3 - 2 + 1 times 30 s");
}

#[test]
fn an_update_keeps_the_ejection_of_an_address_that_stays() {
    let set = set_of(3);
    let now = Instant::now();
    eject(&set, now, address(0));
    let mut list = endpoints(3);
    list[0].weight = 9;
    list[0].label = Some("renamed".into());
    set.update(SetPolicy::default(), list);
    assert!(is_out(&set, now, address(0)));
    // Gone and back: a new start.
    set.update(SetPolicy::default(), endpoints(3)[1..].to_vec());
    set.update(SetPolicy::default(), endpoints(3));
    assert!(!is_out(&set, now, address(0)));
}

#[test]
fn when_only_ejected_ones_are_left_they_are_used() {
    let set = set_of(2);
    let now = Instant::now();
    eject(&set, now, address(0));
    // The catalog takes the other one away, or calls it unhealthy.
    set.update(SetPolicy::default(), endpoints(1));
    assert!(is_picked(&set, now, address(0)));
    let mut list = endpoints(2);
    list[1].healthy = false;
    set.update(SetPolicy::default(), list);
    assert!(is_picked(&set, now, address(0)));
    assert!(!is_picked(&set, now, address(1)));
}

#[test]
fn switching_ejection_off_brings_all_back() {
    let off = with_ejection(Ejection { consecutive_failures: 0, ..Ejection::default() });
    let set = set_of(2);
    let now = Instant::now();
    eject(&set, now, address(0));
    set.update(off, endpoints(2));
    assert!(!is_out(&set, now, address(0)));
    assert!((0..100).all(|_| fail(&set, now, address(0)).is_none()));
}

#[test]
fn a_removed_address_that_fails_late_ejects_nobody() {
    let set = set_of(3);
    let now = Instant::now();
    let late: Vec<_> = (0..10).map(|_| reach(&set, now, address(0))).collect();
    set.update(SetPolicy::default(), endpoints(3)[1..].to_vec());
    for pick in late {
        assert_eq!(pick.address(), address(0));
        assert_eq!(pick.failed(now), None);
    }
    assert_eq!((set.open(), set.status(now).ejections), (0, 0));
}

#[test]
fn two_threads_never_eject_the_last_two() {
    let one = Ejection { consecutive_failures: 1, max_percent: 100, ..Ejection::default() };
    let now = Instant::now();
    for _ in 0..300 {
        let set = EndpointSet::new(with_ejection(one), endpoints(2));
        let picks: Vec<_> = (0..2).map(|n| reach(&set, now, address(n))).collect();
        let start = Arc::new(std::sync::Barrier::new(2));
        let threads: Vec<_> = picks
            .into_iter()
            .map(|pick| {
                let start = Arc::clone(&start);
                std::thread::spawn(move || {
                    start.wait();
                    pick.failed(now).is_some()
                })
            })
            .collect();
        let gone = threads.into_iter().map(|t| t.join().unwrap()).filter(|gone| *gone).count();
        assert_eq!(gone, 1);
    }
}
