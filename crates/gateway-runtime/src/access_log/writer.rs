//! The thread that writes lines, and the bounded buffer in front of it.
//!
//! Lines gather in one piece of memory while the thread writes the piece before it, so that under load one system call
//! writes many lines. The bound counts the waiting piece; the piece being written has at most the same size again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::AccessLogError;
use crate::metrics::Counter;
use crate::telemetry::LineLimiter;

/// How long the end of the process waits for the last lines: a file system that hangs must not keep it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Where lines go.
#[derive(Debug)]
pub(crate) enum Sink {
    Stderr,
    File { path: PathBuf, file: File },
}

impl Sink {
    pub(crate) fn open(path: Option<&Path>) -> Result<Sink, AccessLogError> {
        let Some(path) = path else { return Ok(Sink::Stderr) };
        let path = path.to_owned();
        match open_append(&path) {
            Ok(file) => Ok(Sink::File { path, file }),
            Err(source) => Err(AccessLogError::Open { path, source }),
        }
    }

    fn reopen(&mut self) {
        if let Sink::File { path, file } = self {
            match open_append(path) {
                Ok(new) => *file = new,
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "cannot open the access log anew: the old file stays in use");
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Stderr => io::stderr().lock().write_all(bytes),
            Sink::File { file, .. } => file.write_all(bytes),
        }
    }
}

/// Appending is what lets two processes, or a process and log rotation, share a file. Names of services and clients are
/// nobody else's business: not readable for others.
fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// The side of the workers.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    limit: usize,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something for the thread to do.
    work: Condvar,
    /// The thread has done something.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    lines: u64,
    /// Requests so far, and how many of them are done; a request is all that was pushed before it.
    asked: u64,
    answered: u64,
    reopen: bool,
    closing: bool,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    pub(crate) fn start(name: &str, sink: Sink, limit: usize, dropped: Counter) -> io::Result<Writer> {
        let shared = Arc::new(Shared::default());
        let thread = Thread {
            shared: Arc::clone(&shared),
            sink,
            dropped: dropped.clone(),
            complaints: LineLimiter::new(Duration::from_secs(10), 1, Counter::default()),
            torn: false,
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || thread.run())?;
        Ok(Writer { shared, limit, dropped })
    }

    /// Appends a line, or drops and counts it when the buffer is full.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.waiting.len() + line.len() > self.limit {
            drop(state);
            self.dropped.inc();
            return;
        }
        let wake = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        state.lines += 1;
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
    }

    pub(crate) fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.work.notify_one();
    }

    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.lock();
        state.asked += 1;
        let ticket = state.asked;
        self.shared.work.notify_one();
        self.wait(state, deadline, |state| state.answered >= ticket)
    }

    fn wait(&self, state: MutexGuard<'_, State>, deadline: Instant, done: impl Fn(&State) -> bool) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.shared.done.wait_timeout_while(state, left, |state| !done(state) && !state.ended);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        done(&state)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        self.shared.work.notify_one();
        if !self.wait(state, Instant::now() + LAST_WORDS, |state| state.ended) {
            tracing::error!("the access log could not be written to its end in time");
        }
    }
}

/// The side of the file.
struct Thread {
    shared: Arc<Shared>,
    sink: Sink,
    dropped: Counter,
    complaints: LineLimiter,
    /// The last write failed somewhere in the middle of a line.
    torn: bool,
}

impl Thread {
    fn run(mut self) {
        // Whatever ends this thread, nobody must wait for it any longer.
        let _ended = Ended(Arc::clone(&self.shared));
        let mut batch = Vec::new();
        let mut answer = 0;
        loop {
            let mut state = self.shared.lock();
            state.answered = state.answered.max(answer);
            self.shared.done.notify_all();
            let idle = |state: &mut State| {
                state.waiting.is_empty() && state.asked == state.answered && !state.reopen && !state.closing
            };
            state = self.shared.work.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut batch, &mut state.waiting);
            let lines = std::mem::take(&mut state.lines);
            let reopen = std::mem::take(&mut state.reopen);
            let closing = state.closing;
            answer = state.asked;
            drop(state);
            if !batch.is_empty() {
                self.write(&batch, lines);
            }
            batch.clear();
            if reopen {
                self.sink.reopen();
                self.torn = false;
            }
            if closing {
                return;
            }
        }
    }

    fn write(&mut self, batch: &[u8], lines: u64) {
        let torn = std::mem::take(&mut self.torn);
        // The rest of a torn line would run into the first new one.
        let written = if torn { self.sink.write(b"\n") } else { Ok(()) };
        if let Err(error) = written.and_then(|()| self.sink.write(batch)) {
            self.torn = true;
            // Some of them may have reached the file; which, nobody can tell.
            self.dropped.inc_by(lines);
            if self.complaints.allow("write", Instant::now()).is_some() {
                tracing::error!(%error, lines, "cannot write the access log: records are lost");
            }
        }
    }
}

/// Tells everybody who waits that the thread is gone, a panic included.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        state.answered = u64::MAX;
        self.0.done.notify_all();
    }
}
