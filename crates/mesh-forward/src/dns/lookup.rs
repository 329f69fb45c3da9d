//! The seam to whatever answers: the system's name servers, or a test.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::NameError;

/// Looks a name up once. It need not care for caching, repetition or time: [`Names`](super::Names)
/// does.
///
/// A closure that returns a future is one.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of `host`, a lower-case name. Dropping the future ends the lookup.
    fn lookup(&self, host: Arc<str>) -> LookupFuture;
}

/// A lookup under way.
pub type LookupFuture = Pin<Box<dyn Future<Output = Result<Answer, NameError>> + Send>>;

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, in any order. None at all is taken as [`NameError::NotFound`].
    pub addresses: Vec<IpAddr>,
    /// For how long they are good.
    pub ttl: Duration,
    /// IPv4 or IPv6 failed while the other answered: the failed one's last addresses are kept.
    pub partial: bool,
}

impl<F, Fut> Lookup for F
where
    F: Fn(Arc<str>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, NameError>> + Send + 'static,
{
    fn lookup(&self, host: Arc<str>) -> LookupFuture {
        Box::pin(self(host))
    }
}
