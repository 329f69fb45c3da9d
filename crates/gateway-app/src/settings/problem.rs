//! What is wrong with the settings: all of it, one line each.

use std::fmt;

use super::origin::Origin;

/// One thing that is wrong in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingProblem {
    /// The place.
    pub origin: Origin,
    /// The key as it was written; empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

/// Why there are no settings: every problem that was found, never none. Whoever wrote them is at
/// fault; a retry does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(problems))]
#[non_exhaustive]
pub struct SettingsError {
    /// The problems: file first, then environment, then flags.
    pub problems: Vec<SettingProblem>,
}

impl SettingsError {
    /// Whether nothing but the command line is wrong, which is a usage error.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        self.problems.iter().all(|problem| matches!(problem.origin, Origin::Flag(_)))
    }
}

impl SettingProblem {
    pub(crate) fn new(origin: Origin, key: &str, message: impl Into<String>) -> Self {
        Self { origin, key: key.to_owned(), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        // A flag and a variable name their key already.
        if !self.key.is_empty() && matches!(self.origin, Origin::File { .. } | Origin::Default) {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (did you mean {hint}?)"),
            None => Ok(()),
        }
    }
}

fn lines(problems: &[SettingProblem]) -> String {
    problems.iter().map(SettingProblem::to_string).collect::<Vec<_>>().join("\n")
}
