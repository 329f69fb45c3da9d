//! Which Consul the program is: some settings changed their names.

use std::fmt;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};

use crate::Fetched;

/// A release, to be compared with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Asked once per test program.
    pub(super) fn of_program() -> Result<Self> {
        static FOUND: OnceLock<Result<Version, String>> = OnceLock::new();
        let ask = || Fetched::Consul.version_line().and_then(|line| Self::parse(&line));
        let found = FOUND.get_or_init(|| ask().map_err(|error| format!("{error:#}")));
        found.clone().map_err(|error| anyhow!(error))
    }

    /// From `Consul v1.21.0-dev` or `1.8.7`.
    fn parse(line: &str) -> Result<Self> {
        let strange = || format!("no version in {line:?}");
        let text = line.trim().rsplit(' ').next().unwrap_or_default().trim_start_matches('v');
        let mut numbers = text.split(['.', '-', '+']).map(str::parse);
        let mut next = || numbers.next().and_then(Result::ok).with_context(strange);
        Ok(Version(next()?, next()?, next()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_build_has_a_version_too() {
        assert_eq!(Version::parse("Consul v1.8.7").unwrap(), Version(1, 8, 7));
        assert_eq!(Version::parse("Consul v1.21.0-dev").unwrap().to_string(), "1.21.0");
        assert!(Version(1, 8, 7) < Version(1, 21, 0) && Version::parse("Consul").is_err());
    }
}
