//! A bound on what each worker has under way at one time.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A door that lets so many in per worker, and counts who is inside.
#[derive(Debug)]
pub struct Gate {
    limit: usize,
    inside: Vec<AtomicUsize>,
}

/// Somebody who is inside, until it is dropped.
#[derive(Debug)]
pub struct Passage {
    gate: Arc<Gate>,
    slot: usize,
}

static NEXT_SLOT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Threads are numbered as they come; the workers of a process come once.
    static SLOT: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Gate {
    /// A gate for so many workers, with `limit` inside for each.
    #[must_use]
    pub fn new(workers: usize, limit: usize) -> Arc<Self> {
        let inside = (0..workers.max(1)).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { limit, inside })
    }

    /// Lets one in, or `None` when the calling thread has as many inside as it may.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<Passage> {
        let number = SLOT.with(|slot| {
            let number = slot.get().unwrap_or_else(|| NEXT_SLOT.fetch_add(1, Ordering::Relaxed));
            slot.set(Some(number));
            number
        });
        let slot = number.checked_rem(self.inside.len())?;
        let inside = self.inside.get(slot)?;
        if inside.fetch_add(1, Ordering::Relaxed) >= self.limit {
            inside.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Passage { gate: Arc::clone(self), slot })
    }

    /// How many are inside, of all workers.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside.iter().map(|inside| inside.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if let Some(inside) = self.gate.inside.get(self.slot) {
            inside.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_its_own_bound() {
        let gate = Gate::new(2, 2);
        let held: Vec<_> = (0..2).map(|_| gate.enter().unwrap()).collect();
        assert!(gate.enter().is_none(), "the bound of this thread");
        assert_eq!(gate.inside(), 2);
        drop(held);
        assert_eq!(gate.inside(), 0);
        assert!(gate.enter().is_some());
    }

    #[test]
    fn whoever_leaves_on_another_thread_leaves_where_it_came_in() {
        let gate = Gate::new(1, 1);
        let passage = gate.enter().unwrap();
        std::thread::spawn(move || drop(passage)).join().unwrap();
        assert!(gate.enter().is_some());
    }
}
