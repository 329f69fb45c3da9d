//! Where a decoder puts what it finds wrong, and what it knows about the place it is in.

use std::{collections::HashSet, fmt::Write, sync::Arc};

/// Problems kept of one file; the rest is counted. A file of another kind under our name would give
/// one for each line.
const MAX_PROBLEMS: usize = 100;

/// Texts remembered to be shared. Those that are worth it are few and come early; names of ten thousand
/// services would only fill memory.
const MAX_SHARED: usize = 1024;

/// The state of decoding one file.
pub(crate) struct Cx<'t> {
    text: &'t str,
    lines: Lines,
    path: String,
    texts: HashSet<Arc<str>>,
    pub(crate) problems: Vec<Found>,
    pub(crate) warnings: Vec<Found>,
    /// Problems that were not kept.
    pub(crate) more: usize,
    /// Keys that nobody knows are somebody else's: in answers of a newer Consul, not in our own files.
    pub(crate) lenient: bool,
}

/// A problem of a file that is still to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) line: u32,
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// The last line that was looked for; places are asked for in about the order of the file.
struct Lines {
    at: usize,
    line: u32,
}

impl<'t> Cx<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            lines: Lines { at: 0, line: 1 },
            path: String::new(),
            texts: HashSet::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            more: 0,
            lenient: false,
        }
    }

    /// For an answer of Consul, which may be newer than we are.
    pub(crate) fn of_answer(text: &'t str) -> Self {
        Self { lenient: true, ..Self::new(text) }
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&mut self, at: usize) -> u32 {
        if at < self.lines.at {
            self.lines = Lines { at: 0, line: 1 };
        }
        let between = self.text.as_bytes().get(self.lines.at..at).unwrap_or_default();
        let newlines = between.iter().filter(|byte| **byte == b'\n').count();
        self.lines.line = self.lines.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        self.lines.at = at;
        self.lines.line
    }

    /// One allocation for texts that many documents share, such as the name of a datacenter.
    pub(crate) fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let shared: Arc<str> = text.into();
        if self.texts.len() < MAX_SHARED {
            self.texts.insert(shared.clone());
        }
        shared
    }

    /// Starts a document; what is found from now on is below this path.
    pub(crate) fn start(&mut self, table: &str, index: Option<u32>) {
        self.path.clear();
        self.path.push_str(table);
        if let Some(index) = index {
            // Writing to a String does not fail.
            let _ = write!(self.path, "[{index}]");
        }
    }

    /// Runs `inner` one step further down: a key, or the position in a list.
    pub(crate) fn below<'s, T>(
        &mut self,
        step: impl Into<Step<'s>>,
        inner: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let length = self.path.len();
        self.step(&step.into());
        let result = inner(self);
        self.path.truncate(length);
        result
    }

    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Key("") => {}
            Step::Key(key) => {
                if !self.path.is_empty() {
                    self.path.push('.');
                }
                self.path.push_str(key);
            }
            Step::Index(index) => {
                let _ = write!(self.path, "[{index}]");
            }
        }
    }

    /// The current place, as `Entry[3].Services[1]`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// An error at this key of the current place; the empty key is the place itself.
    pub(crate) fn problem(&mut self, at: usize, key: &str, message: impl Into<String>) {
        self.problem_with_hint(at, key, message, None);
    }

    pub(crate) fn problem_with_hint(
        &mut self,
        at: usize,
        key: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.problems.len() >= MAX_PROBLEMS {
            self.more += 1;
            return;
        }
        let found = self.found(at, key, message.into(), hint);
        self.problems.push(found);
    }

    pub(crate) fn warning(&mut self, at: usize, key: &str, message: impl Into<String>) {
        if self.warnings.len() < MAX_PROBLEMS {
            let found = self.found(at, key, message.into(), None);
            self.warnings.push(found);
        }
    }

    /// How many problems there are so far, to see whether there are more afterwards.
    pub(crate) fn count(&self) -> usize {
        self.problems.len() + self.more
    }

    fn found(&mut self, at: usize, key: &str, message: String, hint: Option<String>) -> Found {
        let line = self.line(at);
        let length = self.path.len();
        self.step(&Step::Key(key));
        let path = self.path.clone();
        self.path.truncate(length);
        Found { line, path, message, hint }
    }
}

/// One step of a path.
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Step::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}
