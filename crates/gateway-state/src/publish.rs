//! One writer, many readers, the newest value: what is behind it (a channel, a swap cell) is hidden
//! so that it can be measured and changed.

use std::sync::Arc;
use tokio::sync::watch;

/// The writing end. Dropping it ends [`Reader::changed`].
#[derive(Debug)]
pub struct Publisher<T> {
    sender: watch::Sender<Arc<T>>,
}

/// A reading end; clone it for each task that waits.
#[derive(Debug)]
pub struct Reader<T> {
    receiver: watch::Receiver<Arc<T>>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone() }
    }
}

impl<T> Publisher<T> {
    /// A pair with its first value, which readers have seen already.
    #[must_use]
    pub fn new(first: Arc<T>) -> (Self, Reader<T>) {
        let (sender, receiver) = watch::channel(first);
        (Self { sender }, Reader { receiver })
    }

    /// Puts the next value in place of the last one and wakes the readers.
    pub fn publish(&self, next: Arc<T>) {
        self.sender.send_replace(next);
    }
}

impl<T> Reader<T> {
    /// The newest value.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        self.receiver.borrow().clone()
    }

    /// Waits for a value that this reader has not waited for yet and returns it; values in between
    /// are skipped. `None` once the publisher is gone and its last value was seen.
    pub async fn changed(&mut self) -> Option<Arc<T>> {
        self.receiver.changed().await.ok()?;
        Some(self.receiver.borrow_and_update().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_sees_the_newest_value_and_the_end() {
        let (publisher, mut reader) = Publisher::new(Arc::new(1));
        assert_eq!(*reader.current(), 1);
        publisher.publish(Arc::new(2));
        publisher.publish(Arc::new(3));
        assert_eq!(reader.changed().await.as_deref(), Some(&3));
        publisher.publish(Arc::new(4));
        drop(publisher);
        assert_eq!(reader.changed().await.as_deref(), Some(&4));
        assert_eq!(reader.changed().await, None);
        assert_eq!(*reader.current(), 4);
    }
}
