//! The process and its system: signals, exit codes, descriptors, panics.

use std::fmt;
use std::io;
use std::panic::PanicHookInfo;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{self, SignalKind};

/// Exit codes of all gateways. They are part of the interface: supervisors decide by them whether to try again.
pub mod exit {
    /// Clean end, after draining.
    pub const CLEAN: u8 = 0;
    /// Settings or own files are bad. Found before any socket is opened; trying again does not help.
    pub const BAD_SETTINGS: u8 = 1;
    /// Wrong use of the command line.
    pub const USAGE: u8 = 2;
    /// An address of our own is in use, or a registration was refused. Trying again may help.
    pub const ADDRESS_IN_USE: u8 = 3;
    /// The process failed by a fault of its own.
    pub const INTERNAL: u8 = 4;
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The first SIGTERM or SIGINT: stop accepting, let connections end, then exit.
    Drain,
    /// Another SIGTERM or SIGINT: end at once.
    Now,
    /// SIGHUP: read files again.
    Reload,
}

/// The signals of the process, in place of their default actions.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
    draining: bool,
}

impl Signals {
    /// Takes over SIGTERM, SIGINT and SIGHUP. From then on they only arrive through [`Signals::next`].
    /// Call it inside a runtime, before the process says that it has started.
    ///
    /// # Errors
    /// What the system says when it refuses a handler.
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
            draining: false,
        })
    }

    /// The next signal. Cancel safe. An end beats a reload that came at the same time.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => return Signal::Reload,
        }
        if std::mem::replace(&mut self.draining, true) { Signal::Now } else { Signal::Drain }
    }
}

/// How many file descriptors the process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdLimit {
    /// The limit in force. `None`: none.
    pub soft: Option<u64>,
    /// The limit that was in force when the process started.
    pub before: Option<u64>,
}

impl fmt::Display for FdLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.soft {
            Some(soft) => write!(f, "{soft}"),
            None => f.write_str("unlimited"),
        }
    }
}

/// Raises the soft limit of file descriptors to the hard limit, which every process may do. A refusal is no error: the
/// answer then shows the limit unchanged.
#[must_use]
pub fn raise_fd_limit() -> FdLimit {
    let Rlimit { current: before, maximum } = getrlimit(Resource::Nofile);
    if before == maximum {
        return FdLimit { soft: before, before };
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => FdLimit { soft: maximum, before },
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it is");
            FdLimit { soft: before, before }
        }
    }
}

/// Sends panics to the log, as one line, in place of the default text on stderr. A task's panic does not end the process,
/// so the log is the only place that tells of it.
pub fn log_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if tracing::dispatcher::has_been_set() {
            let thread = std::thread::current();
            let location = info.location().map(ToString::to_string);
            tracing::error!(
                thread = thread.name().unwrap_or("unnamed"),
                location = location.as_deref().unwrap_or("unknown"),
                panic = panic_text(info),
                "a panic: this is a bug, please report it"
            );
        } else {
            default(info);
        }
    }));
}

fn panic_text<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    let text =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("not a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        let raised = raise_fd_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, now.maximum);
        assert_eq!(raised.soft, now.current);
        assert_eq!(raise_fd_limit().before, raised.soft, "a second call finds nothing to do");
    }
}
