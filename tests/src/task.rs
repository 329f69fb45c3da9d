//! A background task that ends with its owner: a sidecar that a test drops is gone, with its port and its connections.

use tokio::task::JoinHandle;

/// Aborts the task when dropped.
#[derive(Debug)]
pub(crate) struct Owned(JoinHandle<()>);

impl Owned {
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Owned(tokio::spawn(work))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}
