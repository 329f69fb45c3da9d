//! Pairs of intentions that Consul's rules for Envoy order otherwise.
//!
//! For Envoy, Consul makes one set of rules and takes only *more specific* sources out of wildcards: a wildcard source
//! that stands higher by its destination does not override an exact source that stands lower.

use std::sync::Arc;

use super::index::Index;
use super::order::Covers;
use super::rule::Rule;
use crate::intention::{Intention, Pattern};
use crate::limits::MAX_SHADOWED;
use crate::mesh::LocalMesh;

/// Two intentions about which Consul's API and the rules that it generates for Envoy disagree: the first covers the
/// sources of the second, stands higher by its destination, and says something else. Here as in the API the first wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadowed {
    /// The one that decides.
    pub wins: Arc<Intention>,
    /// The one that Envoy would follow.
    pub hidden: Arc<Intention>,
}

/// The first pairs, and how many there are.
pub(super) fn find(rules: &[Rule], index: &Index, mesh: &LocalMesh) -> (Vec<Shadowed>, usize) {
    let (mut pairs, mut count) = (Vec::new(), 0);
    for (place, hidden) in rules.iter().enumerate() {
        let first = index.first_over(&hidden.covers, mesh).filter(|first| *first < place);
        let Some(wins) = first.and_then(|first| rules.get(first)) else { continue };
        let differs =
            wins.intention.rule != hidden.intention.rule || wins.intention.jwt != hidden.intention.jwt;
        if differs && breadth(&wins.covers) > breadth(&hidden.covers) {
            count += 1;
            if pairs.len() < MAX_SHADOWED {
                pairs.push(Shadowed {
                    wins: Arc::clone(&wins.intention),
                    hidden: Arc::clone(&hidden.intention),
                });
            }
        }
    }
    (pairs, count)
}

fn breadth(covers: &Covers) -> u8 {
    match covers {
        // Denies in any case; not an order of Consul's.
        Covers::Everyone => 0,
        Covers::Local { source, .. } | Covers::OfPeer(source) => match (&source.name, &source.namespace) {
            (Pattern::Exact(_), _) => 0,
            (Pattern::Any, Pattern::Exact(_)) => 1,
            (Pattern::Any, Pattern::Any) => 2,
        },
    }
}
