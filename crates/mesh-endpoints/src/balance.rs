//! Which of the eligible endpoints comes next.
//!
//! Two steps. A quick one follows the balancer's own order and passes over what cannot be used; it
//! gives up after a few attempts. Then one pass over all of them draws among those that can be used,
//! in proportion to what the balancer wants each to have. So the work is bounded, nobody is starved,
//! and the neighbour of an ejected endpoint does not inherit its share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use crate::members::{Members, Row};
use crate::{Balancer, Refused};

/// How often the quick step passes over an endpoint that cannot be used.
const QUICK: usize = 8;

/// What a choice is made for.
pub(crate) struct Request<'a> {
    pub(crate) now: Instant,
    pub(crate) random: u64,
    pub(crate) tried: &'a [SocketAddr],
}

impl Request<'_> {
    fn untried(&self, row: &Row) -> bool {
        !self.tried.contains(&row.state.address)
    }

    fn usable(&self, row: &Row) -> bool {
        !row.state.is_ejected(self.now) && self.untried(row)
    }
}

/// Chooses an eligible endpoint that is not ejected and was not tried. Where every eligible one is
/// ejected, ejection is ignored: better a doubtful endpoint than none.
pub(crate) fn choose<'m>(
    members: &'m Members,
    cursor: &AtomicUsize,
    request: &Request<'_>,
) -> Result<&'m Row, Refused> {
    let rows = members.eligible();
    if rows.is_empty() {
        let endpoints = members.rows().len();
        return Err(if endpoints == 0 { Refused::Empty } else { Refused::AllDown { endpoints } });
    }
    if let Some(row) = quick(members, cursor, request) {
        return Ok(row);
    }
    let balancer = members.policy.balancer;
    if let Some(row) = draw(rows, request.random, |row| request.usable(row), balancer) {
        return Ok(row);
    }
    if rows.iter().all(|row| row.state.is_ejected(request.now)) {
        let row = draw(rows, request.random, |row| request.untried(row), balancer);
        return row.ok_or(Refused::AllTried);
    }
    Err(Refused::AllTried)
}

fn quick<'m>(members: &'m Members, cursor: &AtomicUsize, request: &Request<'_>) -> Option<&'m Row> {
    let rows = members.eligible();
    match members.policy.balancer {
        Balancer::RoundRobin => (0..QUICK)
            .filter_map(|_| rows.get(members.schedule.at(cursor.fetch_add(1, Relaxed))))
            .find(|row| request.usable(row)),
        Balancer::Random => samples(rows, request.random).take(QUICK).find(|row| request.usable(row)),
        Balancer::LeastRequest { choice_count } if members.schedule.is_even() => {
            let choices = usize::try_from(choice_count.max(2)).unwrap_or(usize::MAX);
            if choices >= rows.len() {
                let (after, before) = rows.split_at(below(request.random, rows.len()));
                let turned = before.iter().chain(after);
                turned.filter(|row| request.usable(row)).min_by_key(|row| row.state.active())
            } else {
                samples(rows, request.random)
                    .take(choices + QUICK)
                    .filter(|row| request.usable(row))
                    .take(choices)
                    .min_by_key(|row| row.state.active())
            }
        }
        Balancer::LeastRequest { .. } => None,
    }
}

/// Endless independent draws, each endpoint with the same chance.
fn samples(rows: &[Row], random: u64) -> impl Iterator<Item = &Row> {
    sequence(random).filter_map(|number| rows.get(below(number, rows.len())))
}

/// One of the rows that are `allowed`, with a chance in proportion to what the balancer wants, in one
/// pass: the i-th replaces the choice so far with probability share(i) / sum of the shares up to i.
fn draw(rows: &[Row], random: u64, allowed: impl Fn(&Row) -> bool, balancer: Balancer) -> Option<&Row> {
    let mut sum: u64 = 0;
    let mut chosen = None;
    // Not the numbers that the quick step has used: they have just failed.
    for (row, number) in rows.iter().filter(|row| allowed(row)).zip(sequence(!random)) {
        let share = share(row, balancer);
        sum = sum.saturating_add(share);
        if scale(number, sum) < share {
            chosen = Some(row);
        }
    }
    chosen
}

/// At least 1 (an endpoint is never starved), at most 2^39 (2^25 endpoints fit into the sum).
fn share(row: &Row, balancer: Balancer) -> u64 {
    match balancer {
        Balancer::RoundRobin => u64::from(row.weight),
        Balancer::Random => 1,
        Balancer::LeastRequest { .. } => {
            ((u64::from(row.weight) << 32) / (u64::from(row.state.active()) + 1)).max(1)
        }
    }
}

/// A number below `len` from a random one; 0 if `len` is 0.
fn below(random: u64, len: usize) -> usize {
    scale(random, len as u64) as usize
}

/// `random` brought from the range of u64 to 0..bound, without a division.
fn scale(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// Many random numbers out of one: the SplitMix64 generator (Steele, Lea, Flood 2014).
fn sequence(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}
