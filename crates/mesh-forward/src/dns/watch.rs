//! A holder's view of a name.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::NameState;
use super::names::Registry;

/// A name that somebody needs. While at least one watch of a name exists, it is kept fresh.
///
/// After [`Names`](super::Names) has been dropped, a watch still shows the last state; it does not
/// change any more.
#[derive(Debug)]
pub struct NameWatch {
    host: Arc<str>,
    receiver: watch::Receiver<NameState>,
    /// What [`changed`](Self::changed) compares with.
    seen: Arc<[IpAddr]>,
    /// `None` for what is not looked up: addresses, and names that were refused.
    registry: Option<Weak<Registry>>,
}

impl NameWatch {
    pub(super) fn registered(
        host: Arc<str>,
        receiver: watch::Receiver<NameState>,
        registry: Weak<Registry>,
    ) -> Self {
        let seen = Arc::clone(&receiver.borrow().addresses);
        Self { host, receiver, seen, registry: Some(registry) }
    }

    pub(super) fn fixed(host: Arc<str>, state: NameState) -> Self {
        let seen = Arc::clone(&state.addresses);
        Self { host, receiver: watch::channel(state).1, seen, registry: None }
    }

    /// The name, in lower case.
    #[must_use]
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Whether the name is being looked up, or is an address. If not, nobody ever will: it is no
    /// name, or one too many.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.registry.is_some() || self.state().error.is_none()
    }

    /// A second watch of the same name, with a mark of its own of what it has seen. It does not keep
    /// the name alive.
    #[must_use]
    pub fn another(&self) -> Self {
        let (host, seen) = (Arc::clone(&self.host), Arc::clone(&self.receiver.borrow().addresses));
        Self { host, receiver: self.receiver.clone(), seen, registry: None }
    }

    /// The last good addresses, sorted, without duplicates. Empty until there is a good answer.
    #[must_use]
    pub fn current(&self) -> Arc<[IpAddr]> {
        Arc::clone(&self.receiver.borrow().addresses)
    }

    /// The addresses with their age and the error of the latest lookup.
    #[must_use]
    pub fn state(&self) -> NameState {
        self.receiver.borrow().clone()
    }

    /// Waits until the addresses differ from those at the last return of this function (at first:
    /// from those when the watch was made). Errors, and answers that only confirm, do not count.
    ///
    /// Where nothing can change any more (an address; a name that was refused; `Names` is gone) it
    /// waits for ever. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        loop {
            let current = Arc::clone(&self.receiver.borrow_and_update().addresses);
            if current != self.seen {
                self.seen = current;
                return;
            }
            if self.receiver.changed().await.is_err() {
                // The last state may have come just before the end.
                if self.receiver.borrow().addresses == self.seen {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Waits until the first lookup of the name has ended, well or not, or will never end.
    pub async fn settled(&self) {
        // A receiver of its own: this one's mark of what it has seen stays.
        let mut receiver = self.receiver.clone();
        // An error means that nothing will come: that is settled, too.
        let _ = receiver.wait_for(NameState::is_settled).await;
    }
}

impl Drop for NameWatch {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.as_ref().and_then(Weak::upgrade) {
            registry.release(&self.host);
        }
    }
}
