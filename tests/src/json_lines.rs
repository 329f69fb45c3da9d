//! A file of JSON lines that another process is writing: a gateway's log or its access log.
//!
//! A file and not a pipe: it stays when the test fails, and a slow test cannot make the gateway wait.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use serde_json::Value;

use crate::{Deadline, wait_for};

/// Reads what has been written so far; only whole lines that are JSON objects count.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    read: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    offset: u64,
    lines: Vec<Value>,
}

impl JsonLines {
    /// A reader of `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        JsonLines { path: path.into(), read: Mutex::default() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All objects so far, oldest first.
    pub fn all(&self) -> Vec<Value> {
        let mut progress = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        progress.catch_up(&self.path);
        progress.lines.clone()
    }

    /// How many there are: `since(count())` are those that come from now on.
    pub fn count(&self) -> usize {
        let mut progress = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        progress.catch_up(&self.path);
        progress.lines.len()
    }

    /// The first object after the first `skip` ones that `wanted` accepts.
    pub fn find(&self, skip: usize, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let mut progress = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        progress.catch_up(&self.path);
        progress.lines.iter().skip(skip).find(|line| wanted(line)).cloned()
    }

    /// Waits for the first object after the first `skip` ones that `wanted` accepts.
    ///
    /// # Errors
    /// When none has come by the deadline.
    pub async fn wait(
        &self,
        skip: usize,
        deadline: Deadline,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        Ok(wait_for(deadline, what, async || self.find(skip, &wanted)).await?)
    }
}

impl Progress {
    fn catch_up(&mut self, path: &Path) {
        // A file that is not there yet has no lines; what is wrong with it shows when the wait for a line ends.
        let Ok(mut file) = std::fs::File::open(path) else { return };
        if file.metadata().is_ok_and(|meta| meta.len() < self.offset) {
            self.offset = 0; // rotated
        }
        let mut text = Vec::new();
        if file.seek(SeekFrom::Start(self.offset)).is_err() || file.read_to_end(&mut text).is_err() {
            return;
        }
        let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else { return };
        self.offset += end as u64 + 1;
        let lines = text[..end].split(|byte| *byte == b'\n');
        self.lines
            .extend(lines.filter_map(|line| serde_json::from_slice(line).ok()).filter(Value::is_object));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn half_a_line_waits_for_its_end_and_other_text_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let lines = JsonLines::new(&path);
        assert_eq!(lines.count(), 0);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"{\"n\":1}\nplain words\n{\"n\":").unwrap();
        assert_eq!(lines.count(), 1);
        file.write_all(b"2}\n").unwrap();
        assert_eq!(lines.all().iter().map(|line| line["n"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(lines.find(1, |_| true).unwrap()["n"], 2);
    }
}
