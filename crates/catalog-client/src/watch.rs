//! One query asked for ever: what changed, never less than what was known.
//!
//! ```text
//! Agent ── what all watches of a client share: the client, whether the agent answers, counters
//!   └─ Watch ── asks, decodes, says what changed            (the shell: time, sockets, log)
//!        └─ Loop ── what to ask next, and whether to believe the answer (pure: time is passed in)
//! ```
//!
//! The rules are Consul's own, learnt the hard way by all who watch it:
//!
//! * Data goes only when a good answer says so. A failed read, an empty list from a token that may not
//!   read, a state still being replayed after a crash: none of them takes anything away.
//! * An index means something for one query at one cluster. It is forgotten when either may have
//!   changed, and a lower one is believed only when a second answer, 5 s later, confirms it.
//! * A body is decoded only when its bytes differ from those applied.
//! * While the agent cannot be reached nobody dials but one prober; the others come back spread out.

mod agent;
mod asker;
mod chorus;
mod config;
mod driver;
mod limiter;
mod looper;
mod print;
mod reach;
mod row;
#[cfg(test)]
mod tests;
mod update;

pub use agent::{Agent, AgentCounters};
pub use asker::Asker;
pub use config::WatchConfig;
pub use driver::Watch;
pub use reach::AgentState;
pub use row::{How, Row, State};
pub use update::{Facts, Update};

pub use agent::Count;
pub(crate) use agent::{Failure, Locked, View, now};
pub(crate) use chorus::{Chorus, End, Voice};
pub(crate) use driver::{context, state, unreadable, verify, withheld};
pub(crate) use looper::{Context, Fresh, Loop, Nature, Sent, Verdict};
pub(crate) use print::Got;
pub(crate) use reach::Listener;
pub(crate) use row::{Live, Shown};
