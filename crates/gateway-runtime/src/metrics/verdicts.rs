//! What was decided about the clients of one service, and by what kind of rule.

use std::sync::{Mutex, PoisonError};

use crate::record::Verdict;

/// Kinds of rules are a short list in code; more than this share [`OTHER`](super::OTHER).
const MOST: usize = 32;

/// Counts by verdict and kind of rule, in the order of their first occurrence.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    counts: Mutex<Vec<Row>>,
}

/// A verdict, the kind of rule, and how often.
pub(super) type Row = (Verdict, &'static str, u64);

impl Verdicts {
    pub(super) fn add(&self, verdict: Verdict, kind: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |rows: &[Row], kind| rows.iter().position(|row| row.0 == verdict && row.1 == kind);
        let place = known(&counts, kind).or_else(|| {
            let kind = if counts.len() < MOST { kind } else { super::OTHER };
            known(&counts, kind).or_else(|| {
                counts.push((verdict, kind, 0));
                counts.len().checked_sub(1)
            })
        });
        if let Some(row) = place.and_then(|place| counts.get_mut(place)) {
            row.2 += 1;
        }
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
