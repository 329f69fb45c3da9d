//! The one map from what libraries report to the reasons that operators see.

use gateway_runtime::reason::Reason;
use mesh_endpoints::Refused;
use mesh_forward::tcp::{DialError, End};
use sni_peek::Parsed;

/// Why a dial failed.
#[must_use]
pub fn of_dial(error: &DialError) -> Reason {
    match error {
        DialError::NoEndpoint(refused) => of_refused(refused),
        DialError::Loop(_) => Reason::ForwardingLoop,
        DialError::Failed(_, errno) if *errno == rustix::io::Errno::CONNREFUSED => Reason::ConnectRefused,
        DialError::TimedOut(_) => Reason::ConnectTimeout,
        _ => Reason::ConnectFailed,
    }
}

/// Why no endpoint was picked.
#[must_use]
pub fn of_refused(refused: &Refused) -> Reason {
    match refused {
        Refused::Connections { .. } => Reason::ConnectionLimit,
        Refused::Pending { .. } => Reason::PendingLimit,
        _ => Reason::NoEndpoint,
    }
}

/// How a relay ended; `cut` is the reason of whoever cut it.
#[must_use]
pub fn of_end(end: End, cut: Option<Reason>) -> Reason {
    match end {
        End::Closed => Reason::Closed,
        End::ClientReset => Reason::ClientReset,
        End::UpstreamReset => Reason::UpstreamReset,
        End::Cut => cut.unwrap_or(Reason::Internal),
        End::Internal => Reason::Internal,
    }
}

/// Why bytes that are not a whole, valid hello are refused; `None` for those that may still become
/// one.
#[must_use]
pub fn of_hello(parsed: &Parsed<'_>) -> Option<Reason> {
    match parsed {
        Parsed::Hello(_) | Parsed::NeedMore { .. } => None,
        Parsed::NotTls(_) => Some(Reason::NotTls),
        Parsed::Malformed(_) => Some(Reason::HelloMalformed),
        Parsed::TooLarge { .. } => Some(Reason::HelloTooLarge),
    }
}
