//! Where a value comes from, kept with it: the first question when a gateway does not do what its
//! file says.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The settings file.
    File {
        /// Its path as given.
        path: PathBuf,
        /// Line, counted from 1; absent when the file as a whole is meant.
        line: Option<usize>,
    },
    /// This variable of the environment.
    Environment(String),
    /// This flag, without dashes.
    Flag(String),
}

impl Origin {
    /// Whether nobody said anything.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A key, its value as a person writes it, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shown {
    /// The key, as in the settings file: `timers.hello`.
    pub key: &'static str,
    /// The value; `(set)` for a secret.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}
