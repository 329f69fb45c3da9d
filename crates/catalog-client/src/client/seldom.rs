//! A log line that may be due thousands of times a second.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

use super::pool::locked;

/// Time between two such lines.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether the line is to be written now: the first time, and once a minute.
    pub(super) fn due(&self, now: Instant) -> bool {
        let mut last = locked(&self.0);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::{PAUSE, Seldom};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn once_a_minute() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        assert!(seldom.due(now));
        assert!(!seldom.due(now + PAUSE - Duration::from_secs(1)));
        assert!(seldom.due(now + PAUSE));
    }
}
