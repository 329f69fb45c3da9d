//! One generation of a set: policy and endpoints, never changed once built.
//!
//! What depends on the documents alone is decided here, once: duplicates, who is eligible by health,
//! the order of the round robin. A pick looks at the eligible rows only.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::schedule::Schedule;
use crate::state::State;
use crate::{AllDown, Endpoint, MAX_WEIGHT, SetPolicy};

#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) policy: SetPolicy,
    /// The eligible ones first, each part sorted by weight, heaviest first.
    rows: Box<[Row]>,
    eligible: usize,
    pub(crate) schedule: Schedule,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) state: Arc<State>,
    pub(crate) label: Option<Arc<str>>,
    pub(crate) weight: u16,
    pub(crate) healthy: bool,
}

impl Members {
    /// Builds a generation; `previous` lends the counters of the addresses that stay.
    pub(crate) fn new(policy: SetPolicy, endpoints: Vec<Endpoint>, previous: Option<&Members>) -> Self {
        let endpoints = without_duplicates(endpoints);
        let known: HashMap<SocketAddr, &Arc<State>> = previous
            .map(|members| members.rows.iter().map(|row| (row.state.address, &row.state)).collect())
            .unwrap_or_default();
        let mut rows: Box<[Row]> = endpoints
            .into_iter()
            .map(|endpoint| Row {
                state: match known.get(&endpoint.address) {
                    Some(state) => Arc::clone(state),
                    None => Arc::new(State::new(endpoint.address)),
                },
                label: endpoint.label,
                weight: endpoint.weight.clamp(1, MAX_WEIGHT),
                healthy: endpoint.healthy,
            })
            .collect();

        let healthy = rows.iter().filter(|row| row.healthy).count();
        let eligible = match healthy {
            0 if policy.all_down == AllDown::Close => 0,
            0 => rows.len(),
            // Panic: so few are healthy that they would drown, or that the health data is doubtful.
            some if some * 100 < rows.len() * usize::from(policy.panic_threshold) => rows.len(),
            some => some,
        };
        // With fewer eligible ones than rows, they are exactly the healthy ones (or none at all).
        let split_by_health = eligible < rows.len();
        // Stable: equals keep the order of the list.
        rows.sort_by_key(|row| (split_by_health && !row.healthy, std::cmp::Reverse(row.weight)));
        let schedule = Schedule::new(rows.iter().take(eligible).map(|row| row.weight));
        Self { policy, rows, eligible, schedule }
    }

    /// All endpoints.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Those that may be picked if they are not ejected.
    pub(crate) fn eligible(&self) -> &[Row] {
        self.rows.get(..self.eligible).unwrap_or_default()
    }
}

/// See [`Endpoint`] for the rule.
fn without_duplicates(endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let mut places: HashMap<SocketAddr, usize> = HashMap::with_capacity(endpoints.len());
    let mut kept: Vec<Endpoint> = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let place = *places.entry(endpoint.address).or_insert(kept.len());
        match kept.get_mut(place) {
            None => kept.push(endpoint),
            Some(first) if endpoint.healthy && !first.healthy => *first = endpoint,
            Some(_) => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(last: u8, weight: u16, healthy: bool) -> Endpoint {
        Endpoint { weight, healthy, ..Endpoint::new(([10, 0, 0, last], 80).into()) }
    }

    fn eligible(policy: SetPolicy, endpoints: Vec<Endpoint>) -> Vec<u16> {
        Members::new(policy, endpoints, None).eligible().iter().map(|row| row.weight).collect()
    }

    #[test]
    fn only_the_healthy_ones_are_eligible_while_there_is_one() {
        let list = vec![endpoint(1, 1, false), endpoint(2, 2, true), endpoint(3, 3, false)];
        assert_eq!(eligible(SetPolicy::default(), list.clone()), [2]);
        // 33 % are healthy.
        assert_eq!(eligible(SetPolicy { panic_threshold: 33, ..SetPolicy::default() }, list.clone()), [2]);
        assert_eq!(eligible(SetPolicy { panic_threshold: 34, ..SetPolicy::default() }, list), [3, 2, 1]);
    }

    #[test]
    fn none_healthy_means_all_or_none() {
        let list = vec![endpoint(1, 1, false), endpoint(2, 2, false)];
        assert_eq!(eligible(SetPolicy::default(), list.clone()), [2, 1]);
        let close = SetPolicy { all_down: AllDown::Close, panic_threshold: 50, ..SetPolicy::default() };
        assert!(eligible(close, list).is_empty());
    }

    #[test]
    fn an_address_named_twice_is_one_endpoint() {
        let list = vec![endpoint(1, 9, false), endpoint(1, 2, true), endpoint(1, 3, true)];
        assert_eq!(eligible(SetPolicy::default(), list), [2]);
    }

    #[test]
    fn weights_are_brought_into_range() {
        assert_eq!(
            eligible(SetPolicy::default(), vec![endpoint(1, 0, true), endpoint(2, 999, true)]),
            [128, 1]
        );
    }
}
