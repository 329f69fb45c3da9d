//! One line per connection that has ended, or only per connection that ended badly.
//!
//! A worker never waits for a file: it formats the line into memory of its own, appends it to a bounded buffer, and one
//! thread writes what has gathered. When the buffer is full the line is dropped and counted. Lines keep their order, and
//! what is buffered is written at the end of the process.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::rate::PerSecond;
use self::writer::{Sink, Writer};
use crate::metrics::{Counter, Metrics};
use crate::reason::Reason;
use crate::record::ConnRecord;
use crate::telemetry::LogFormat;

mod format;
mod rate;
pub(crate) mod writer;

/// Which connections get a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLogMode {
    /// None.
    Off,
    /// Those that were refused, cut or failed, or would have been denied ([`ConnRecord::is_problem`]), within the rate
    /// limit.
    #[default]
    Problems,
    /// Each one.
    All,
}

impl FromStr for AccessLogMode {
    type Err = AccessLogError;

    fn from_str(word: &str) -> Result<AccessLogMode, AccessLogError> {
        match word {
            "off" => Ok(AccessLogMode::Off),
            "problems" => Ok(AccessLogMode::Problems),
            "all" => Ok(AccessLogMode::All),
            _ => Err(AccessLogError::UnknownMode(word.to_owned())),
        }
    }
}

/// Settings of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogConfig {
    /// Which connections get a line.
    pub mode: AccessLogMode,
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go; stderr without a file.
    pub file: Option<PathBuf>,
    /// Lines a second in mode [`AccessLogMode::Problems`]; 0 is no limit. What is above is counted, not written.
    pub per_second: u32,
    /// Bytes of lines that wait for the file; what is above is dropped and counted.
    pub buffer: usize,
    /// Whether clients are known by certificates and judged: then each line has `source`, `verdict` and `intention`.
    pub identities: bool,
}

impl Default for AccessLogConfig {
    /// Problems as text to stderr, 100 a second, 1 MiB of buffer.
    fn default() -> AccessLogConfig {
        AccessLogConfig {
            mode: AccessLogMode::default(),
            format: LogFormat::default(),
            file: None,
            per_second: 100,
            buffer: 1 << 20,
            identities: false,
        }
    }
}

/// Why the access log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessLogError {
    /// Not a mode: a mistake of the caller.
    #[error("unknown access log mode {0:?}: it is one of off, problems, all")]
    UnknownMode(String),
    /// The file cannot be opened for appending. The operator decides: permissions, folder, disk.
    #[error("cannot open access log {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refuses a thread. Trying again later may help.
    #[error("cannot start the thread of the access log: {0}")]
    Thread(#[source] io::Error),
}

/// The access log of the process. Dropping it writes what is buffered, for at most five seconds.
#[derive(Debug)]
pub struct AccessLog {
    mode: AccessLogMode,
    format: LogFormat,
    identities: bool,
    rate: PerSecond,
    suppressed: Counter,
    /// None in mode `Off`.
    writer: Option<Writer>,
}

impl AccessLog {
    /// Opens the log with the default buffer and counters that nobody reads. See [`AccessLog::open_with`].
    ///
    /// # Errors
    /// The file cannot be opened, or no thread can be had.
    pub fn open(
        mode: AccessLogMode,
        format: LogFormat,
        file: Option<&Path>,
        per_second: u32,
    ) -> Result<AccessLog, AccessLogError> {
        let file = file.map(Path::to_owned);
        let config = AccessLogConfig { mode, format, file, per_second, ..AccessLogConfig::default() };
        Self::start(&config, Counter::default(), Counter::default())
    }

    /// Opens the log; what it leaves out is counted in `metrics`. A file is made with mode 0640 and only appended to.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread can be had.
    pub fn open_with(config: &AccessLogConfig, metrics: &Metrics) -> Result<AccessLog, AccessLogError> {
        Self::start(config, metrics.access_log_suppressed.clone(), metrics.access_log_dropped.clone())
    }

    fn start(
        config: &AccessLogConfig,
        suppressed: Counter,
        dropped: Counter,
    ) -> Result<AccessLog, AccessLogError> {
        let writer = match config.mode {
            AccessLogMode::Off => None,
            AccessLogMode::Problems | AccessLogMode::All => {
                let sink = Sink::open(config.file.as_deref())?;
                Some(
                    Writer::start("access-log", sink, config.buffer, dropped)
                        .map_err(AccessLogError::Thread)?,
                )
            }
        };
        let rate = PerSecond::new(config.per_second, Instant::now());
        let AccessLogConfig { mode, format, identities, .. } = *config;
        Ok(AccessLog { mode, format, identities, rate, suppressed, writer })
    }

    /// Whether a connection that ended so would get a line, the rate limit aside.
    #[must_use]
    pub fn wants(&self, reason: Reason) -> bool {
        self.wants_all_or(reason.is_problem())
    }

    fn wants_all_or(&self, problem: bool) -> bool {
        match self.mode {
            AccessLogMode::Off => false,
            AccessLogMode::Problems => problem,
            AccessLogMode::All => true,
        }
    }

    /// Writes the line of a connection if it is wanted. Never waits for the file.
    pub fn write(&self, record: &ConnRecord<'_>) {
        let Some(writer) = self.writer.as_ref().filter(|_| self.wants_all_or(record.is_problem())) else {
            return;
        };
        if self.mode == AccessLogMode::Problems && !self.within_rate() {
            return;
        }
        // Formatting outside the lock of the buffer, without an allocation per line.
        thread_local!(static LINE: RefCell<String> = const { RefCell::new(String::new()) });
        LINE.with_borrow_mut(|line| {
            line.clear();
            format::record(line, self.format, self.identities, record);
            writer.push(line.as_bytes());
        });
    }

    /// Opens the file anew, for log rotation: what is buffered now still goes to the old one. If the file cannot be
    /// opened, the old one stays in use and the log says so. Nothing happens on stderr.
    pub fn reopen(&self) {
        if let Some(writer) = &self.writer {
            writer.reopen();
        }
    }

    /// Waits until everything that was written so far has been handed to the system, or `limit` has passed.
    /// Answers whether it has. Not for workers.
    pub fn flush(&self, limit: Duration) -> bool {
        self.writer.as_ref().is_none_or(|writer| writer.flush(limit))
    }

    fn within_rate(&self) -> bool {
        let verdict = self.rate.take(Instant::now());
        if let Some(left_out) = verdict.left_out_before {
            tracing::warn!(left_out, "access log: more problems than the rate limit lets through");
        }
        if !verdict.allowed {
            self.suppressed.inc();
        }
        verdict.allowed
    }
}

#[cfg(test)]
mod tests;
