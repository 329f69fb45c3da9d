//! Waiting for the last FIN of a connection without an event of its own.
//!
//! When the upstream has ended and the client was told, nearly always only the client's FIN is
//! missing, and it comes within a millisecond. An event for it wakes a sleeping worker once per
//! connection, which is what makes half-closing dearer than closing both sides at once. So the
//! connections of one worker that wait for it share one wake-up: all are looked at when the next
//! multiple of the tick has come. Whoever has not ended by then waits for an event as before.

use std::cell::RefCell;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Waiting {
    wakers: Vec<Waker>,
    due: Option<Instant>,
    /// Ticks are multiples of the tick's length since then.
    epoch: Option<Instant>,
}

thread_local! {
    static WAITING: RefCell<Waiting> = RefCell::default();
}

/// Wakes the caller's task at the next tick and says when that is; `None` when so many wait for it
/// already that the worker is busy anyway, and an event costs no wake-up.
///
/// Call it within a tokio runtime with timers.
pub(crate) fn wait_for_tick(cx: &Context<'_>, tick: Duration, most: usize) -> Option<Instant> {
    WAITING.with_borrow_mut(|waiting| {
        let now = Instant::now();
        // A tick that is over and was never told of is one of a runtime that has ended.
        if let Some(due) = waiting.due.filter(|due| now < *due + tick) {
            if waiting.wakers.len() >= most {
                return None;
            }
            waiting.wakers.push(cx.waker().clone());
            return Some(due);
        }
        waiting.wakers.clear();
        let epoch = *waiting.epoch.get_or_insert(now);
        let due = epoch + next_multiple(now.saturating_duration_since(epoch), tick)?;
        waiting.due = Some(due);
        waiting.wakers.push(cx.waker().clone());
        // Lives for one tick; it ends with its runtime, and so do the connections that it wakes.
        tokio::spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            let wakers = WAITING.with_borrow_mut(|waiting| {
                waiting.due = None;
                std::mem::take(&mut waiting.wakers)
            });
            wakers.into_iter().for_each(Waker::wake);
        });
        Some(due)
    })
}

fn next_multiple(passed: Duration, tick: Duration) -> Option<Duration> {
    let ticks = passed.as_nanos().checked_div(tick.as_nanos())? + 1;
    tick.checked_mul(u32::try_from(ticks).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_multiples() {
        let tick = Duration::from_millis(8);
        let next = |ms| next_multiple(Duration::from_millis(ms), tick);
        assert_eq!(next(0), Some(tick));
        assert_eq!(next(7), Some(tick));
        assert_eq!(next(8), Some(tick * 2));
        assert_eq!(next(801), Some(tick * 101));
        assert_eq!(next_multiple(tick, Duration::ZERO), None);
    }
}
