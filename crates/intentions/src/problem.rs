//! What was found wrong in a document, and what that does.

use std::fmt;

/// Something in an intention that is not understood or that Consul would not have written. It is for the log, a metric
/// and `check`; the rule set already acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands: `billing[3]`, `Sources[0]`, `web => billing (precedence 9)`.
    pub place: String,
    /// What is wrong, as a sentence without a full stop.
    pub what: String,
    /// What follows from it.
    pub effect: Effect,
}

/// What follows from a [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Everything that the intention covers is denied.
    Denies,
    /// One permission: if it allows it never matches, if it denies it always does.
    PermissionCloses,
    /// The intention has no effect; it could only have allowed something, or its source cannot be told apart yet.
    Ignored,
    /// The intention is in force; the value that is wrong was replaced by the one that follows from the rest.
    Corrected,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Denies => "what it covers is denied",
            Effect::PermissionCloses => "the permission allows nothing, and denies all if it denies",
            Effect::Ignored => "it is ignored",
            Effect::Corrected => "it is in force",
        };
        write!(f, "{}: {}; {effect}", self.place, self.what)
    }
}
