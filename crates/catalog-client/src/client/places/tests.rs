//! The rules of the budget, without a socket.

use super::{Bounds, PlaceId, Places, Want};
use std::time::Duration;
use tokio::time::Instant;

const BOUNDS: Bounds = Bounds { configured: 64, connections: 64, reserved: 8, streams: 200 };

fn dialled(places: &mut Places, multiplexed: bool) -> PlaceId {
    let id = places.dial();
    places.connected(id, multiplexed, Instant::now());
    id
}

#[test]
fn a_hundred_blocking_reads_take_all_but_the_reserved_places() {
    let mut places = Places::new();
    assert_eq!(places.missing(0, 100, Some(false), &BOUNDS), 56);
    for _ in 0..56 {
        places.dial();
    }
    assert_eq!(places.missing(0, 100, Some(false), &BOUNDS), 0, "those being made count");
    for id in 1..=56 {
        places.connected(id, false, Instant::now());
        assert_eq!(places.take(Want::Blocking, &BOUNDS), Some(id));
    }
    assert_eq!(places.missing(0, 44, Some(false), &BOUNDS), 0, "the rest is reserved");
    assert_eq!(places.missing(10, 44, Some(false), &BOUNDS), 8, "for those that do not wait");
}

#[test]
fn a_blocking_read_does_not_take_an_idle_connection_of_the_reserve() {
    let mut places = Places::new();
    let bounds = Bounds { configured: 3, connections: 3, reserved: 1, streams: 200 };
    for _ in 0..3 {
        dialled(&mut places, false);
    }
    assert!(places.take(Want::Blocking, &bounds).is_some());
    assert!(places.take(Want::Blocking, &bounds).is_some());
    assert_eq!(places.take(Want::Blocking, &bounds), None);
    assert!(places.take(Want::Read, &bounds).is_some());
    assert_eq!(places.take(Want::Read, &bounds), None);
}

#[test]
fn a_parked_connection_counts_for_the_blocking_reads_until_it_is_free() {
    let mut places = Places::new();
    let bounds = Bounds { configured: 2, connections: 2, reserved: 1, streams: 200 };
    let id = dialled(&mut places, false);
    assert_eq!(places.take(Want::Blocking, &bounds), Some(id));
    places.park(id);
    assert_eq!((places.counts().parked, places.counts().in_flight), (1, 0));
    assert_eq!(places.missing(0, 1, Some(false), &bounds), 0);
    places.release(id, Want::Blocking, true, Instant::now());
    assert_eq!(places.counts().parked, 0);
    assert_eq!(places.take(Want::Blocking, &bounds), Some(id));
}

#[test]
fn the_connection_used_last_is_used_first() {
    let mut places = Places::new();
    let start = Instant::now();
    let [old, new] = [places.dial(), places.dial()];
    places.connected(new, false, start + Duration::from_secs(1));
    places.connected(old, false, start);
    assert_eq!(places.take(Want::Read, &BOUNDS), Some(new));
    assert_eq!(places.take(Want::Read, &BOUNDS), Some(old));
}

#[test]
fn one_connection_is_made_to_learn_what_the_agent_speaks() {
    let mut places = Places::new();
    assert_eq!(places.missing(5, 1000, None, &BOUNDS), 1);
    places.dial();
    assert_eq!(places.missing(5, 1000, None, &BOUNDS), 0);
    assert_eq!(places.missing(0, 0, None, &BOUNDS), 0);
}

#[test]
fn streams_fill_one_connection_before_the_next_and_leave_room_for_reads() {
    let mut places = Places::new();
    let first = dialled(&mut places, true);
    for _ in 0..200 {
        assert_eq!(places.take(Want::Blocking, &BOUNDS), Some(first));
    }
    assert_eq!(places.take(Want::Blocking, &BOUNDS), None);
    assert_eq!(places.missing(0, 201, Some(true), &BOUNDS), 2);
    for _ in 0..50 {
        assert_eq!(places.take(Want::Read, &BOUNDS), Some(first));
    }
    assert_eq!(places.take(Want::Read, &BOUNDS), None);
    assert_eq!(places.missing(3, 0, Some(true), &BOUNDS), 1);
    let second = dialled(&mut places, true);
    assert_eq!(places.take(Want::Blocking, &BOUNDS), Some(second));
    assert_eq!(places.take(Want::Read, &BOUNDS), Some(second));
    places.release(first, Want::Blocking, true, Instant::now());
    assert_eq!(places.take(Want::Blocking, &BOUNDS), Some(first), "the fuller one");
}

#[test]
fn an_agent_that_grants_fewer_streams_is_not_asked_for_more() {
    let mut places = Places::new();
    let id = dialled(&mut places, true);
    places.set_room(id, 10);
    for _ in 0..8 {
        assert_eq!(places.take(Want::Blocking, &BOUNDS), Some(id));
    }
    assert_eq!(places.take(Want::Blocking, &BOUNDS), None);
    assert_eq!(places.take(Want::Read, &BOUNDS), Some(id));
    assert_eq!(places.take(Want::Read, &BOUNDS), Some(id));
    assert_eq!(places.take(Want::Read, &BOUNDS), None);
}

#[test]
fn streams_keep_the_place_of_an_ended_connection() {
    let mut places = Places::new();
    let id = dialled(&mut places, true);
    places.take(Want::Blocking, &BOUNDS).unwrap();
    places.closed(id);
    assert_eq!(places.counts().open, 1);
    assert_eq!(places.take(Want::Read, &BOUNDS), None, "no new ones on it");
    places.release(id, Want::Blocking, false, Instant::now());
    assert!(places.is_empty());
}

#[test]
fn connections_without_work_are_given_up_in_time_and_above_their_number() {
    let mut places = Places::new();
    let start = Instant::now();
    let ids = [places.dial(), places.dial(), places.dial()];
    for (id, second) in ids.into_iter().zip([3, 1, 2]) {
        places.connected(id, false, start + Duration::from_secs(second));
    }
    let (now, idle) = (start + Duration::from_secs(4), Duration::from_secs(30));
    assert_eq!(places.expire(now, idle, 2), [ids[1]]);
    assert!(places.expire(now, idle, 2).is_empty());
    assert_eq!(places.expire(now + Duration::from_secs(28), idle, 2), [ids[2]]);
    assert_eq!(places.counts().open, 3, "they count until they are closed");
    places.closed(ids[1]);
    assert_eq!(places.counts().open, 2);
}

#[test]
fn a_lowered_budget_makes_nothing_new_to_wait_on_but_keeps_its_reserve() {
    let mut places = Places::new();
    for _ in 0..10 {
        dialled(&mut places, false);
        places.take(Want::Blocking, &BOUNDS).unwrap();
    }
    let lowered = Bounds { configured: 64, connections: 8, reserved: 4, streams: 200 };
    assert_eq!(places.missing(0, 5, Some(false), &lowered), 0);
    assert_eq!(places.missing(6, 5, Some(false), &lowered), 4, "for those that do not wait");
    assert_eq!(
        places.missing(6, 5, Some(false), &Bounds { configured: 12, ..lowered }),
        2,
        "within the setting"
    );
    for id in 1..=7 {
        places.closed(id);
    }
    assert_eq!(places.missing(0, 5, Some(false), &lowered), 1);
    assert_eq!(places.missing(2, 5, Some(false), &lowered), 3);
}
