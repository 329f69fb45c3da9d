//! What can be seen of a registration from outside.

use super::request::Place;
use crate::error::Error;
use std::time::Instant;

/// Why a registration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The first one.
    Start,
    /// The agent, or the catalog, does not have it any more.
    Missing,
    /// There is another token: the agent keeps the one of the last registration.
    Token,
    /// The catalog's copy is due, since no agent keeps it.
    Refresh,
    /// Readiness or maintenance changed and no agent runs the check.
    Health,
}

impl Reason {
    /// The word for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Missing => "missing",
            Self::Token => "token",
            Self::Refresh => "refresh",
            Self::Health => "health",
        }
    }
}

/// Where the registration stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Never registered yet.
    #[default]
    Starting,
    /// Registered, as far as is known.
    Registered,
    /// It was, and is to be again.
    Lost,
    /// Refused at the start; nothing is tried any more.
    Refused,
    /// Taken back, or never made and not wanted any more.
    Ended,
}

impl State {
    /// The word for pages and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Registered => "registered",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Ended => "ended",
        }
    }
}

/// The state of a registration, for an admin page.
#[derive(Clone, Debug)]
pub struct RegistrationStatus {
    /// With the agent or in the catalog.
    pub place: Place,
    /// The service ID.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// Since when it is registered without a gap.
    pub registered_since: Option<Instant>,
    /// The last try to register.
    pub last_try: Option<Instant>,
    /// When the next write is due.
    pub next_try: Option<Instant>,
    /// Why the last try failed; `None` after a success.
    pub last_error: Option<Error>,
    /// The reason of the maintenance that is switched on.
    pub maintenance: Option<String>,
    /// Whether the token can see the registration; `None` while that is not known.
    pub visible: Option<bool>,
    /// What was counted.
    pub counts: RegistrationCounts,
    /// The last request for maintenance that is settled, and how it failed.
    pub(super) settled: (u64, Option<Error>),
    /// How taking it back ended.
    pub(super) left: Option<Result<(), Error>>,
}

/// Counters of a registration. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrationCounts {
    /// Tries to register.
    pub tries: u64,
    /// Successful ones.
    pub registered: u64,
    /// Failed without an answer.
    pub unreachable: u64,
    /// Failed with 5xx, 429 or nonsense.
    pub trouble: u64,
    /// Failed with 400, 403 and the rest.
    pub refusals: u64,
    /// Times that the agent or the catalog had forgotten it.
    pub missing: u64,
    /// Times that the token was changed.
    pub tokens: u64,
    /// Writes to the catalog that only renewed what was there.
    pub refreshes: u64,
    /// Times that maintenance was switched on or off.
    pub maintenance: u64,
}

impl RegistrationStatus {
    pub(super) fn new(place: Place, id: &str) -> Self {
        Self {
            place,
            id: id.to_owned(),
            state: State::default(),
            registered_since: None,
            last_try: None,
            next_try: None,
            last_error: None,
            maintenance: None,
            visible: None,
            counts: RegistrationCounts::default(),
            settled: (0, None),
            left: None,
        }
    }
}
