//! How many connections a set has, and the limits on them.
//!
//! Both numbers live in one atomic word: a connection is admitted by one compare-and-swap that sees
//! both, so the limits are exact however many threads pick at once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Limits, Refused};

/// Connections in the upper half of the word, those still connecting in the lower.
#[derive(Debug, Default)]
pub(crate) struct Counts(AtomicU64);

const CONNECTION: u64 = 1 << 32;
const PENDING: u64 = 1;

impl Counts {
    /// Counts one more connection, still connecting.
    pub(crate) fn admit(&self, limits: &Limits) -> Result<(), Refused> {
        if limits.max_connections.is_none() && limits.max_pending.is_none() {
            self.0.fetch_add(CONNECTION + PENDING, Relaxed);
            return Ok(());
        }
        let mut word = self.0.load(Relaxed);
        loop {
            allow(word, limits)?;
            match self.0.compare_exchange_weak(word, word + CONNECTION + PENDING, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(seen) => word = seen,
            }
        }
    }

    /// Whether one more would be admitted at this moment.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Refused> {
        allow(self.0.load(Relaxed), limits)
    }

    /// A connection that was still connecting is connected.
    pub(crate) fn connected(&self) {
        self.0.fetch_sub(PENDING, Relaxed);
    }

    /// A connection ended; `pending` if it was never connected.
    pub(crate) fn ended(&self, pending: bool) {
        self.0.fetch_sub(if pending { CONNECTION + PENDING } else { CONNECTION }, Relaxed);
    }

    pub(crate) fn open(&self) -> u32 {
        open(self.0.load(Relaxed))
    }

    pub(crate) fn pending(&self) -> u32 {
        pending(self.0.load(Relaxed))
    }
}

fn allow(word: u64, limits: &Limits) -> Result<(), Refused> {
    match *limits {
        Limits { max_connections: Some(limit), .. } if open(word) >= limit => {
            Err(Refused::Connections { limit })
        }
        Limits { max_pending: Some(limit), .. } if pending(word) >= limit => Err(Refused::Pending { limit }),
        _ => Ok(()),
    }
}

fn open(word: u64) -> u32 {
    (word >> 32) as u32
}

fn pending(word: u64) -> u32 {
    (word & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_free_up() {
        let counts = Counts::default();
        let limits = Limits { max_connections: Some(2), max_pending: Some(1) };
        assert_eq!(counts.admit(&limits), Ok(()));
        assert_eq!(counts.admit(&limits), Err(Refused::Pending { limit: 1 }));
        counts.connected();
        assert_eq!(counts.admit(&limits), Ok(()));
        assert_eq!(counts.admit(&limits), Err(Refused::Connections { limit: 2 }));
        assert_eq!((counts.open(), counts.pending()), (2, 1));
        counts.ended(true);
        counts.ended(false);
        assert_eq!((counts.open(), counts.pending()), (0, 0));
        assert_eq!(counts.check(&limits), Ok(()));
    }

    #[test]
    fn a_limit_of_zero_admits_nothing() {
        let limits = Limits { max_connections: Some(0), max_pending: None };
        assert_eq!(Counts::default().admit(&limits), Err(Refused::Connections { limit: 0 }));
    }
}
