//! The log of the process: one line per event on stderr, as text or as flat JSON.
//!
//! The subscriber is our own and small: a line is written whole or not at all, everything that came from outside is
//! escaped, JSON is flat (`timestamp`, `level`, `message`, `target`, then the fields), and the level changes at run time.
//! Spans are not shown: what belongs to an event is a field of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

pub use self::limiter::LineLimiter;
use crate::access_log::writer::{Sink, Writer};
use crate::line::{Line, rfc3339};
use crate::metrics::Counter;

mod limiter;

/// How lines of the logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a person: `time LEVEL message name=value …`.
    #[default]
    Text,
    /// For a machine: one JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(word: &str) -> Result<LogFormat, LogError> {
        match word {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(LogError::UnknownFormat(word.to_owned())),
        }
    }
}

/// Why logging did not start or did not change. All are mistakes of the caller; trying again does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Not a level.
    #[error("unknown log level {0:?}: it is one of off, error, warn, info, debug, trace")]
    UnknownLevel(String),
    /// Not a format.
    #[error("unknown log format {0:?}: it is text or json")]
    UnknownFormat(String),
    /// The process logs already.
    #[error("logging has been started already")]
    AlreadyStarted,
    /// The system has no thread for the log.
    #[error("cannot start the thread of the log: {0}")]
    Thread(#[source] std::io::Error),
}

/// Starts logging to stderr for the whole process.
///
/// Lines are written by a thread of their own from a bounded buffer, so that a reader of stderr who
/// hangs never holds up whoever logs; what does not fit is dropped and counted. Call
/// [`LogControl::flush`] before the process ends.
///
/// # Errors
/// The level is unknown, or somebody else has started logging.
pub fn start_logging(level: &str, format: LogFormat) -> Result<LogControl, LogError> {
    let mut control = LogControl::detached(level)?;
    let dropped = control.dropped.clone();
    let writer = Writer::start("log", Sink::Stderr, LOG_BUFFER, dropped).map_err(LogError::Thread)?;
    control.writer = Some(Arc::new(writer));
    let log = StderrLog { control: control.clone(), format };
    tracing::subscriber::set_global_default(log).map_err(|_| LogError::AlreadyStarted)?;
    Ok(control)
}

/// Bytes of lines that wait to be written.
const LOG_BUFFER: usize = 1 << 20;

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Changes the level of a running log. A clone controls the same log.
#[derive(Debug, Clone)]
pub struct LogControl {
    /// Place in `LEVELS`.
    level: Arc<AtomicU8>,
    writer: Option<Arc<Writer>>,
    dropped: Counter,
}

impl LogControl {
    /// A control with no log behind it, for tests and tools.
    ///
    /// # Errors
    /// The level is unknown.
    pub fn detached(level: &str) -> Result<LogControl, LogError> {
        let level = Arc::new(AtomicU8::new(place(level)?));
        Ok(LogControl { level, writer: None, dropped: Counter::default() })
    }

    /// Waits until every line is written, but no longer than `limit`. Returns whether they are.
    pub fn flush(&self, limit: Duration) -> bool {
        self.writer.as_ref().is_none_or(|writer| writer.flush(limit))
    }

    /// Lines that were lost because they could not be written in time.
    #[must_use]
    pub fn dropped(&self) -> &Counter {
        &self.dropped
    }

    /// Changes the level: `off`, `error`, `warn`, `info`, `debug` or `trace`.
    ///
    /// # Errors
    /// The level is unknown; the old one stays.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        self.level.store(place(level)?, Ordering::Relaxed);
        // Call sites remember whether they are wanted.
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// The level in force.
    #[must_use]
    pub fn level(&self) -> &'static str {
        self.current().0
    }

    fn current(&self) -> (&'static str, LevelFilter) {
        LEVELS[usize::from(self.level.load(Ordering::Relaxed)).min(LEVELS.len() - 1)]
    }

    fn wants(&self, level: &Level) -> bool {
        *level <= self.current().1
    }
}

fn place(word: &str) -> Result<u8, LogError> {
    let found = (0..).zip(LEVELS).find(|(_, (name, _))| *name == word);
    found.map(|(place, _)| place).ok_or_else(|| LogError::UnknownLevel(word.to_owned()))
}

/// Writes each wanted event as one line to stderr.
struct StderrLog {
    control: LogControl,
    format: LogFormat,
}

impl Subscriber for StderrLog {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.control.wants(metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.control.current().1)
    }

    fn event(&self, event: &Event<'_>) {
        let line = render(event, self.format, SystemTime::now());
        if let Some(writer) = &self.control.writer {
            writer.push(line.as_bytes());
        }
    }

    // Spans are never enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn render(event: &Event<'_>, format: LogFormat, now: SystemTime) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let level = event.metadata().level().as_str();
    let mut out = String::with_capacity(256);
    let mut line = Line::begin(&mut out, format);
    line.head("timestamp", &rfc3339(now));
    match format {
        LogFormat::Text => line.head("level", &format!("{level:>5}")),
        LogFormat::Json => line.head("level", &level.to_ascii_lowercase()),
    }
    line.head("message", &fields.message);
    if format == LogFormat::Json {
        line.text("target", event.metadata().target());
    }
    for (name, value) in &fields.rest {
        // A name twice would be two answers to one question: the event's own field gives way.
        let name = if RESERVED.contains(name) { &format!("field_{name}") } else { *name };
        match value {
            Value::Bare(value) => line.bare(name, value),
            Value::Text(value) => line.text(name, value),
        }
    }
    line.end();
    out
}

const RESERVED: [&str; 5] = ["timestamp", "level", "message", "target", "log"];

/// The fields of an event, in their order.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

enum Value {
    /// Number or boolean.
    Bare(String),
    Text(String),
}

impl Fields {
    fn text(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.rest.push((name, Value::Text(value))),
        }
    }

    fn bare(&mut self, field: &Field, value: String) {
        self.rest.push((field.name(), Value::Bare(value)));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value.to_string());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value.to_string());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value.to_string());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for NaN and infinity.
        let text = value.to_string();
        if value.is_finite() { self.bare(field, text) } else { self.text(field, text) }
    }
}

#[cfg(test)]
mod tests;
