//! Notices an extension that is there twice.
//!
//! Two readers of a hello with two server names may pick different ones, so a repeated extension ends the connection
//! (RFC 8446, section 4.2). A hello has some fifteen extensions, and a hostile one of 64 KiB has sixteen thousand: the
//! first case must cost next to nothing, the second must not cost the square.

/// The extension numbers so far.
#[derive(Default)]
pub(crate) struct Seen {
    /// Numbers below 64: nearly all that are in use.
    low: u64,
    /// The first others.
    few: [u16; FEW],
    count: usize,
    /// All others, once there are more than `FEW`: one bit for each number, 8 KiB.
    many: Option<Box<[u64; WORDS]>>,
}

const FEW: usize = 16;
const WORDS: usize = (u16::MAX as usize + 1) / 64;

impl Seen {
    /// `false` if the number was there before.
    pub(crate) fn insert(&mut self, kind: u16) -> bool {
        if kind < 64 {
            return set_bit(&mut self.low, kind);
        }
        let few = self.few.get(..self.count).unwrap_or_default();
        if few.contains(&kind) {
            return false;
        }
        if let Some(slot) = self.few.get_mut(self.count) {
            *slot = kind;
            self.count += 1;
            return true;
        }
        let many = self.many.get_or_insert_with(|| Box::new([0; WORDS]));
        many.get_mut(usize::from(kind / 64)).is_some_and(|word| set_bit(word, kind % 64))
    }
}

fn set_bit(word: &mut u64, bit: u16) -> bool {
    let mask = 1 << bit;
    let fresh = *word & mask == 0;
    *word |= mask;
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_new_once() {
        let mut seen = Seen::default();
        assert!((0..=u16::MAX).all(|kind| seen.insert(kind)));
        assert!((0..=u16::MAX).all(|kind| !seen.insert(kind)));
    }

    #[test]
    fn a_usual_hello_needs_no_memory() {
        let mut seen = Seen::default();
        assert!((0..64).chain(0xfe00..0xfe10).all(|kind| seen.insert(kind)));
        assert!(seen.many.is_none());
        assert!(!seen.insert(0xfe0f) && !seen.insert(63));
    }
}
