//! How often each reason has occurred, for one service.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::reason::Reason;

/// Numbers of one block.
const BLOCK: usize = 16;
const BLOCKS: usize = Reason::COUNT.div_ceil(BLOCK);

/// A counter for each reason, in blocks that are made on first use: most services only ever see a few
/// of the reasons, and a role whole blocks of them never.
#[derive(Debug, Default)]
pub(super) struct ReasonCounts {
    blocks: [OnceLock<Box<[AtomicU64; BLOCK]>>; BLOCKS],
}

impl ReasonCounts {
    pub(super) fn add(&self, reason: Reason) {
        let index = reason.index();
        let Some(block) = self.blocks.get(index / BLOCK) else { return };
        let counts = block.get_or_init(|| Box::new([const { AtomicU64::new(0) }; BLOCK]));
        if let Some(count) = counts.get(index % BLOCK) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn get(&self, reason: Reason) -> u64 {
        let index = reason.index();
        let counts = self.blocks.get(index / BLOCK).and_then(OnceLock::get);
        counts.and_then(|counts| counts.get(index % BLOCK)).map_or(0, |count| count.load(Relaxed))
    }

    pub(super) fn sum(&self) -> u64 {
        let counts = self.blocks.iter().filter_map(OnceLock::get).flat_map(|block| block.iter());
        counts.map(|count| count.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let counts = ReasonCounts::default();
        for (place, reason) in Reason::ALL.iter().enumerate() {
            (0..=place).for_each(|_| counts.add(*reason));
        }
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(counts.get(*reason), place as u64 + 1, "{reason}");
        }
        let all = Reason::COUNT as u64;
        assert_eq!(counts.sum(), all * (all + 1) / 2);
    }
}
