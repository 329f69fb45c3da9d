//! What is wrong with a document, and where: one line a person can act on.
//!
//! A problem is data, not an error type: one reading of a catalog collects all of them, and the same
//! value is printed by a check, logged while running and shown on the admin page.

use std::{fmt, path::PathBuf};

/// One thing that is wrong (or, as a warning, doubtful) in one place of one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// The file, as it was named or found.
    pub file: PathBuf,
    /// Line in that file, counted from 1; absent when the file as a whole is meant.
    pub line: Option<u32>,
    /// Where in the document, as `Instance[3].Port`: table, position in this file counted from 0,
    /// key. Empty when the file as a whole is meant.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// What was probably meant, where something known is near.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (did you mean {hint}?)"),
            None => Ok(()),
        }
    }
}

/// Why a catalog was refused: every problem found, in the order of files and lines, never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(problems))]
#[non_exhaustive]
pub struct Problems {
    /// All problems that were found, sorted by file and line.
    pub problems: Vec<Problem>,
    /// What else was doubtful; these alone would not have refused the catalog.
    pub warnings: Vec<Problem>,
}

/// Problems of one reading that are kept; the rest is counted.
const MAX_SHOWN: usize = 1000;

impl Problems {
    pub(crate) fn new(mut problems: Vec<Problem>, mut warnings: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        let not_shown = problems.len().saturating_sub(MAX_SHOWN);
        if let Some(last) = problems.get(MAX_SHOWN).filter(|_| not_shown > 0) {
            let message = format!("{not_shown} more problems, from here on");
            let last = Problem { path: String::new(), message, hint: None, ..last.clone() };
            problems.truncate(MAX_SHOWN);
            problems.push(last);
        }
        warnings.sort();
        Self { problems, warnings }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
