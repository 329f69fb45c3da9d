//! Why a name has no fresh address.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::Guarded;

/// Why a name has no fresh address. Cheap to clone: it is shown wherever the name is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// This is no host name. The fault of whoever wrote it; trying again does not help.
    #[error("not a host name: {0}")]
    Invalid(Arc<str>),
    /// As many names as may be are watched already. Watch it again when others have gone, or raise
    /// the limit.
    #[error("more than {limit} names are in use; raise the limit or use addresses")]
    TooManyNames {
        /// [`NamesConfig::max_names`](super::NamesConfig::max_names).
        limit: usize,
    },
    /// DNS says that the name does not exist, or that it has no address. Retried.
    #[error("the name does not exist or has no address")]
    NotFound,
    /// All its addresses are of a kind that names may not stand for. Retried. Whoever answers for the
    /// name is at fault, or the setting: write the address itself, or let the kind pass.
    #[error("it stands for {address}, and names may not stand for {kind} addresses")]
    Guarded {
        /// One of the addresses.
        address: std::net::IpAddr,
        /// Why it is not used.
        kind: Guarded,
    },
    /// No answer in time. The name servers' or the network's fault; retried.
    #[error("no answer from the name servers within {0:?}")]
    TimedOut(Duration),
    /// This machine does not say which name servers to ask. Retried: the files are read again when
    /// they change.
    #[error("{0}")]
    System(Arc<str>),
    /// The name servers refused, failed or could not be reached. Retried.
    #[error("the lookup failed: {0}")]
    Failed(Arc<str>),
    /// The lookup itself panicked: a bug. Retried.
    #[error("the lookup panicked")]
    Panicked,
}
