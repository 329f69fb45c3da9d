//! Programs of the system that some tests need. In CI a missing one is a failure; elsewhere the test says that it did
//! not run, and what to install.

use std::io::Write;
use std::path::PathBuf;

/// A program that a test may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `ip`, to lay out networks.
    Ip,
    /// `unshare`, to make network namespaces.
    Unshare,
    /// `setpriv`, to bind the life of a process to that of its test.
    Setpriv,
    /// `openssl`, as a client that is not ours.
    OpenSsl,
    /// `curl`, as a reader of admin pages that is not ours.
    Curl,
    /// `nginx`, as an external service with TLS that is not ours.
    Nginx,
}

impl Tool {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Tool::Ip => "ip",
            Tool::Unshare => "unshare",
            Tool::Setpriv => "setpriv",
            Tool::OpenSsl => "openssl",
            Tool::Curl => "curl",
            Tool::Nginx => "nginx",
        }
    }

    /// Debian's package that has it.
    pub fn package(self) -> &'static str {
        match self {
            Tool::Ip => "iproute2",
            Tool::Unshare | Tool::Setpriv => "util-linux",
            Tool::OpenSsl => "openssl",
            Tool::Curl => "curl",
            Tool::Nginx => "nginx-light",
        }
    }

    /// Where it is; also looks where an ordinary user's PATH does not.
    pub fn path(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
            .map(|folder| folder.join(self.program()))
            .find(|candidate| candidate.is_file())
    }
}

/// Whether this run is CI's (`CI=true`), where nothing may be left out.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Whether all `tools` are there. If not, the test returns: this has said why.
///
/// # Panics
/// In CI, when one is missing.
#[track_caller]
pub fn have(tools: &[Tool]) -> bool {
    let missing: Vec<_> = tools.iter().filter(|tool| tool.path().is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    let packages: Vec<_> = missing.iter().map(|tool| tool.package()).collect();
    not_run(&format!("{missing:?} not found (apt install {})", packages.join(" ")))
}

/// Says why a test does not run, and fails it in CI. Always gives `false`.
///
/// # Panics
/// In CI.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub(crate) fn not_run(why: &str) -> bool {
    let test = crate::test_name();
    if in_ci() {
        panic!("{test} cannot run: {why}");
    }
    // Not with `eprintln`: the test runner keeps back what a passing test prints that way.
    let _ = writeln!(std::io::stderr(), "\nNOT RUN: {test}: {why}");
    false
}
