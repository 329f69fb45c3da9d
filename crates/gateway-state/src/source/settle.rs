//! When a changed file may be read.
//!
//! What was renamed into place is whole and may be read at once. What was written in place may be
//! half of something: it has to be quiet for a while first, though not for ever. Pure: the time is
//! passed in.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Paths remembered one by one; beyond that everything counts as being written.
const MAX_PATHS: usize = 16_384;

/// A path waits at most this many times the time of quiet.
const PATIENCE: u32 = 10;

/// What has been written to and is not quiet yet.
#[derive(Debug)]
pub(super) struct Settle {
    quiet: Duration,
    waiting: HashMap<PathBuf, Wait>,
    /// More paths than are remembered were written to.
    all: Option<Wait>,
    ready: Ready,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    first: Instant,
    last: Instant,
}

/// What may be read now.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) all: bool,
    paths: HashSet<PathBuf>,
}

impl Ready {
    /// Everything, settled or not.
    pub(super) fn all() -> Self {
        Self { all: true, paths: HashSet::new() }
    }

    /// Whether a path that is reached by these ways may be read. A folder stands for all below it.
    pub(super) fn holds(&self, ways: &[PathBuf]) -> bool {
        self.all || ways.iter().any(|way| way.ancestors().any(|path| self.paths.contains(path)))
    }
}

impl Settle {
    pub(super) fn new(quiet: Duration) -> Self {
        Self { quiet, waiting: HashMap::new(), all: None, ready: Ready::default() }
    }

    /// Something was written, created or removed in place.
    pub(super) fn written(&mut self, path: PathBuf, now: Instant) {
        if self.waiting.len() >= MAX_PATHS && !self.waiting.contains_key(&path) {
            self.all_written(now);
            return;
        }
        self.ready.paths.remove(&path);
        self.waiting.entry(path).or_insert(Wait { first: now, last: now }).last = now;
    }

    /// It is not known what was written.
    pub(super) fn all_written(&mut self, now: Instant) {
        self.all.get_or_insert(Wait { first: now, last: now }).last = now;
    }

    /// Something whole was renamed to this path.
    pub(super) fn replaced(&mut self, path: PathBuf) {
        self.waiting.remove(&path);
        self.ready.paths.insert(path);
    }

    /// When something will be ready if nothing more happens; `None`: nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().chain(&self.all).map(|wait| wait.due(self.quiet)).min()
    }

    /// Whether a path that is reached by these ways is still being written.
    pub(super) fn waits(&self, ways: &[PathBuf]) -> bool {
        self.all.is_some() || ways.iter().any(|way| self.waiting.contains_key::<Path>(way))
    }

    /// Takes what is ready by now. `None`: nothing is.
    pub(super) fn take(&mut self, now: Instant) -> Option<Ready> {
        let quiet = self.quiet;
        let ready = &mut self.ready;
        self.waiting.retain(|path, wait| {
            let waits = wait.due(quiet) > now;
            if !waits {
                ready.paths.insert(path.clone());
            }
            waits
        });
        if self.all.is_some_and(|wait| wait.due(quiet) <= now) {
            self.all = None;
            ready.all = true;
        }
        let any = ready.all || !ready.paths.is_empty();
        any.then(|| std::mem::take(ready))
    }
}

impl Wait {
    fn due(&self, quiet: Duration) -> Instant {
        (self.last + quiet).min(self.first + quiet * PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_millis(50);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_written_file_is_ready_once_it_is_quiet() {
        let start = Instant::now();
        let mut settle = Settle::new(QUIET);
        let file = vec![PathBuf::from("/a/b.toml")];
        assert_eq!(settle.due(), None);
        settle.written(file[0].clone(), start);
        settle.written(file[0].clone(), start + ms(20));
        assert_eq!(settle.due(), Some(start + ms(70)));
        assert!(settle.take(start + ms(69)).is_none());
        assert!(settle.waits(&file));
        let ready = settle.take(start + ms(70)).expect("it is quiet");
        assert!(ready.holds(&file) && !settle.waits(&file));
        assert!(!ready.holds(&[PathBuf::from("/a/c.toml")]));
        assert!(settle.take(start + ms(500)).is_none());
    }

    #[test]
    fn a_file_that_is_never_quiet_is_read_in_the_end() {
        let start = Instant::now();
        let mut settle = Settle::new(QUIET);
        for step in 0..60 {
            settle.written("/a".into(), start + ms(step * 10));
        }
        assert_eq!(settle.due(), Some(start + QUIET * PATIENCE));
    }

    #[test]
    fn what_is_renamed_into_place_is_ready_at_once() {
        let start = Instant::now();
        let mut settle = Settle::new(QUIET);
        settle.written("/a/x".into(), start);
        settle.replaced("/a/x".into());
        settle.replaced("/links/..data".into());
        let ready = settle.take(start).expect("it is whole");
        assert!(ready.holds(&["/a/x".into()]));
        assert!(ready.holds(&["/links/..data/x".into()]), "a folder stands for what is in it");
        // Written again after the rename: it has to be quiet again.
        settle.replaced("/a/x".into());
        settle.written("/a/x".into(), start);
        assert!(settle.take(start).is_none());
    }

    #[test]
    fn beyond_the_limit_everything_waits() {
        let start = Instant::now();
        let mut settle = Settle::new(QUIET);
        for number in 0..=MAX_PATHS {
            settle.written(format!("/{number}").into(), start);
        }
        assert!(settle.waits(&["/other".into()]));
        assert!(settle.take(start + QUIET).expect("quiet").holds(&["/other".into()]));
    }
}
