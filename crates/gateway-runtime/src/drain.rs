//! The one word that ends the process in good order: draining has begun, and this is the deadline.
//!
//! One side starts it, any number of tasks watch it: listeners stop accepting, readiness turns false, and whoever waits
//! for open connections knows until when. It cannot be taken back.

use tokio::sync::watch;
use tokio::time::Instant;

/// The side that starts draining. Dropping it without a start counts as a start: nobody is left to wait for.
#[derive(Debug)]
pub struct Drain {
    deadline: watch::Sender<Option<Instant>>,
}

/// The side that is told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DrainWatch {
    deadline: watch::Receiver<Option<Instant>>,
}

impl Drain {
    /// A pair that is not draining.
    #[must_use]
    pub fn new() -> (Drain, DrainWatch) {
        let (sender, receiver) = watch::channel(None);
        (Drain { deadline: sender }, DrainWatch { deadline: receiver })
    }

    /// Starts draining; what is open at `deadline` will be cut. A second start can only bring the deadline forward.
    pub fn start(&self, deadline: Instant) {
        self.deadline.send_if_modified(|current| {
            let sooner = current.is_none_or(|known| deadline < known);
            if sooner {
                *current = Some(deadline);
            }
            sooner
        });
    }

    /// Another watcher.
    #[must_use]
    pub fn watch(&self) -> DrainWatch {
        DrainWatch { deadline: self.deadline.subscribe() }
    }
}

impl DrainWatch {
    /// Whether draining has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.deadline.borrow().is_some() || self.deadline.has_changed().is_err()
    }

    /// When open connections will be cut, once draining has begun.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        *self.deadline.borrow()
    }

    /// Waits until draining begins. Cancel safe; ready at once when it has begun.
    pub async fn started(&mut self) {
        // An error means that the other side is gone, which is the end as well.
        let _ = self.deadline.wait_for(Option::is_some).await;
    }

    /// Waits until the deadline has passed, through all changes of it.
    pub async fn expired(&mut self) {
        self.started().await;
        loop {
            let Some(deadline) = *self.deadline.borrow_and_update() else { return };
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                changed = self.deadline.changed() => if changed.is_err() {
                    return tokio::time::sleep_until(deadline).await;
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn every_watcher_hears_of_it() {
        let (drain, mut early) = Drain::new();
        assert!(!early.is_draining());
        assert_eq!(early.deadline(), None);
        let deadline = Instant::now() + Duration::from_secs(30);
        let waiting = tokio::spawn(async move {
            early.started().await;
            early.deadline()
        });
        drain.start(deadline);
        assert_eq!(waiting.await.unwrap(), Some(deadline));
        let mut late = drain.watch();
        late.started().await;
        assert!(late.is_draining());
    }

    #[tokio::test]
    async fn the_deadline_only_comes_forward() {
        let (drain, watch) = Drain::new();
        let now = Instant::now();
        drain.start(now + Duration::from_secs(30));
        drain.start(now + Duration::from_secs(60));
        assert_eq!(watch.deadline(), Some(now + Duration::from_secs(30)));
        drain.start(now);
        assert_eq!(watch.deadline(), Some(now));
    }

    #[tokio::test]
    async fn a_sooner_deadline_ends_the_wait() {
        let (drain, mut watch) = Drain::new();
        drain.start(Instant::now() + Duration::from_secs(3600));
        let expired = tokio::spawn(async move { watch.expired().await });
        tokio::task::yield_now().await;
        drain.start(Instant::now());
        expired.await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_owner_is_a_start() {
        let (drain, mut watch) = Drain::new();
        drop(drain);
        watch.started().await;
        assert!(watch.is_draining());
        watch.expired().await;
    }
}
