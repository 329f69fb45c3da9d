//! Programs that no package of the system has: a script of the project fetches them into a cache folder, and a variable
//! names any other. The tests themselves never fetch; without the program they say `NOT RUN`, in CI they fail.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::requires::not_run;

/// A program that `scripts/fetch-*` fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// Consul 1.8.7, or the one in `CONSUL`.
    Consul,
    /// Envoy 1.40.0, or the one in `ENVOY`.
    Envoy,
}

impl Fetched {
    /// Names another program.
    pub fn variable(self) -> &'static str {
        match self {
            Fetched::Consul => "CONSUL",
            Fetched::Envoy => "ENVOY",
        }
    }

    /// Fetches the usual one.
    pub fn script(self) -> &'static str {
        match self {
            Fetched::Consul => "scripts/fetch-consul",
            Fetched::Envoy => "scripts/fetch-envoy",
        }
    }

    /// Where that script puts it, below the cache folder.
    fn cached(self) -> &'static str {
        match self {
            Fetched::Consul => "consul-gateways/consul-1.8.7/consul",
            Fetched::Envoy => "consul-gateways/envoy-1.40.0/envoy",
        }
    }

    /// The program, if it is there.
    pub fn path(self) -> Option<PathBuf> {
        // An empty variable is none, as everywhere.
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = set(self.variable()) {
            return path.is_file().then_some(path);
        }
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
        Some(cache.join(self.cached())).filter(|path| path.is_file())
    }

    /// The same, or an error that says how to get it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn need(self) -> Result<PathBuf> {
        self.path().with_context(|| self.missing())
    }

    /// First line of a test that uses it: `if !Fetched::Consul.is_there() { return; }`.
    ///
    /// # Panics
    /// In CI, when it is missing.
    #[track_caller]
    pub fn is_there(self) -> bool {
        self.path().is_some() || not_run(&self.missing())
    }

    /// The first line of what it says about its version.
    ///
    /// # Errors
    /// When it is not there, or does not run.
    pub(crate) fn version_line(self) -> Result<String> {
        let path = self.need()?;
        let argument = match self {
            Fetched::Consul => "version",
            Fetched::Envoy => "--version",
        };
        let output = Command::new(&path).arg(argument).output();
        let output = output.with_context(|| format!("cannot start {}", path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned())
    }

    fn missing(self) -> String {
        let (variable, script) = (self.variable(), self.script());
        match std::env::var_os(variable).filter(|value| !value.is_empty()) {
            Some(path) => format!("{variable}={} is no file", path.display()),
            None => format!("{self:?} is missing: run {script}, or name a program in {variable}"),
        }
    }
}
