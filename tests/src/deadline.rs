//! Waiting for a condition until a deadline: the only way in which anything here waits.
//!
//! The condition is polled, because what tests look at (a log file, an admin page, /proc) has no other way to tell.
//! The pause between two looks grows from 2 to 50 ms: quick for what is nearly there, cheap for what takes long.

use std::fmt;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A moment after which waiting is over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    after: Duration,
}

impl Deadline {
    /// The moment `after` from now.
    pub fn after(after: Duration) -> Self {
        Deadline { at: Instant::now() + after, after }
    }

    /// The usual one: 10 s, far beyond what anything that works needs on a busy machine of two cores.
    pub fn usual() -> Self {
        Self::after(Duration::from_secs(10))
    }

    /// Time left; zero once it has passed.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether the moment has passed.
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }
}

/// The condition did not come true in time.
#[derive(Debug)]
pub struct Timeout {
    /// What was awaited, in the words of the test.
    pub what: String,
    /// How long it was awaited.
    pub after: Duration,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waited {:?} in vain for: {}", self.after, self.what)
    }
}

impl std::error::Error for Timeout {}

/// Looks at `probe` until it gives something, and gives that back.
///
/// # Errors
/// [`Timeout`] when the deadline passes first. `probe` has then been asked once after it, so that a slow machine cannot
/// miss what was there in time.
pub async fn wait_for<T>(
    deadline: Deadline,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Result<T, Timeout> {
    let mut pause = FIRST_PAUSE;
    loop {
        let last = deadline.has_passed();
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if last {
            return Err(Timeout { what: what.to_owned(), after: deadline.after });
        }
        tokio::time::sleep(pause.min(deadline.remaining())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// [`wait_for`] a plain condition.
///
/// # Panics
/// When the deadline passes first; the message says what was awaited.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn eventually(
    deadline: Deadline,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        if let Err(timeout) = wait_for(deadline, what, async || condition().await.then_some(())).await {
            panic!("{at}: {timeout}");
        }
    }
}
