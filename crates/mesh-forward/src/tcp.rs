//! TCP: sockets, dialling and the relays.

pub mod dial;
pub mod pipes;
pub mod relay;
pub mod socket;
pub mod streams;

mod closing;
mod copy;
mod scratch;
mod splice;

pub use dial::{DialError, DialFailure, DialPlan, Dialled, Dialling, Start};
pub use pipes::{PipeConfig, PipeCounters, Pipes};
pub use relay::{End, Meter, Relay, RelayConfig};
pub use scratch::with_scratch;
pub use streams::{Side, StreamRelay};
