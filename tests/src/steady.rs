//! Calls that never stop, to see that none fails whatever is done to the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::{Deadline, wait_for};

/// Calls, one after the other, until it is ended.
#[derive(Debug)]
pub struct Steady {
    ended: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Steady {
    /// Makes the same call again and again, with a `pause` between two.
    pub fn start<F, C>(pause: Duration, call: F) -> Self
    where
        F: Fn() -> C + Send + 'static,
        C: Future<Output = anyhow::Result<String>> + Send,
    {
        let (ended, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (over, counted) = (ended.clone(), count.clone());
        let task = tokio::spawn(async move {
            let mut failed = Vec::new();
            while !over.load(Ordering::Relaxed) {
                if let Err(error) = call().await {
                    failed.push(format!("{error:#}"));
                }
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(pause).await;
            }
            failed
        });
        Steady { ended, count, task }
    }

    /// Waits for so many more calls.
    pub async fn go_on(&self, more: usize) {
        let until = self.count.load(Ordering::Relaxed) + more;
        let made = async || (self.count.load(Ordering::Relaxed) >= until).then_some(());
        let waited = wait_for(Deadline::after(Duration::from_secs(15)), "more calls", made).await;
        assert!(waited.is_ok(), "{waited:?}");
    }

    /// Ends it, and asserts that there were calls and that none of them has failed.
    #[expect(clippy::print_stderr, reason = "what was measured")]
    pub async fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        let failed = self.task.await.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()));
        let count = self.count.load(Ordering::Relaxed);
        assert!(failed.is_empty(), "{} of {count} calls failed, the first: {}", failed.len(), failed[0]);
        assert!(count > 10, "{count} calls");
        eprintln!("measured: {count} calls, none failed");
    }
}
