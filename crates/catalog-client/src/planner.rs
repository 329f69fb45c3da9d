//! Many names within a budget: which are watched, which are read in turn, and when.
//!
//! ```text
//! Planner ── owns watches and families, delivers what they say through one bounded channel
//!   ├─ Watch, each with a task: the few wide queries that are always long-polled
//!   └─ Family: one query per name, thousands of them
//!        ├─ Schedule ── which name is due, and how it is asked (pure: time is passed in)
//!        └─ the runner ── starts what is due, within the bounds
//! ```
//!
//! A family is followed in one of two ways (consul-api 4.4), chosen by the number of its names and by
//! what the agent speaks, and again whenever that changes:
//!
//! * [`Mode::Block`]: a long poll for each name. Over HTTP/2, or up to 40 names.
//! * [`Mode::Sweep`]: every name is read once in 2 s (up to 100 names), 10 s (up to 1,000) or 60 s,
//!   spread evenly, over few connections. What wakes nearby brings reads forward:
//!   [`read_now`](Planner::read_now), [`fast_round`](Planner::fast_round).
//!
//! What is known of a name is kept when the way changes. Names that were empty at their last answer can
//! be marked [`idle`](Planner::idle): they are never long-polled and read five times as seldom.

mod config;
mod family;
mod mode;
mod plan;
mod run;
mod schedule;
mod status;
#[cfg(test)]
mod tests;

pub use config::{PlanConfig, Rounds};
pub use mode::Mode;
pub use plan::{FamilyId, Planner, WatchId};
pub use status::{FamilyStatus, PlanStatus, ScheduleCounts};
