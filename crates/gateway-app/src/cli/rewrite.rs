//! Arguments as Consul's own commands take them: long flags with one dash, flags that are about Envoy,
//! and arguments for Envoy behind `--`.

use std::ffi::{OsStr, OsString};
use std::iter::Peekable;
use std::slice::Iter;

use super::envoy;
use crate::settings::Role;

/// The arguments as our own parser takes them, and what became of the others.
#[derive(Default)]
pub(super) struct Rewritten {
    /// With two dashes in front of every long flag.
    pub(super) arguments: Vec<OsString>,
    /// What was left out and why nothing is missing.
    pub(super) notes: Vec<String>,
    /// What cannot be left out: the command line is wrong.
    pub(super) refused: Vec<String>,
}

/// Commands that take arguments of their own behind `--`.
const WITH_ARGUMENTS: [&str; 2] = ["check", "explain"];

/// Rewrites the arguments, the program's name first.
///
/// `-h`, `-V`, a lone `-` and numbers stay as they are; so does everything behind `--` of a command
/// that takes arguments. Of the others it is meant for Envoy and left out.
pub(super) fn rewrite(role: Role, arguments: &[OsString]) -> Rewritten {
    let mut rewritten = Rewritten::default();
    let mut rest = arguments.iter().peekable();
    rewritten.arguments.extend(rest.next().cloned());
    while let Some(argument) = rest.next() {
        if argument == "--" {
            rewritten.behind_dashes(rest);
            break;
        }
        match argument.to_str().and_then(long_flag) {
            Some(flag) => rewritten.flag(role, flag, &mut rest),
            None => rewritten.arguments.push(argument.clone()),
        }
    }
    rewritten
}

impl Rewritten {
    fn flag(&mut self, role: Role, flag: &str, rest: &mut Peekable<Iter<'_, OsString>>) {
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        let Some(known) = envoy::flag(name) else {
            return self.arguments.push(format!("--{flag}").into());
        };
        let next = if value.is_none() && !known.switch { rest.next() } else { None };
        match known.judge(role, value.or_else(|| next.and_then(|next| next.to_str()))) {
            Ok(note) => self.notes.extend(note),
            Err(message) => self.refused.push(message),
        }
    }

    fn behind_dashes(&mut self, rest: Peekable<Iter<'_, OsString>>) {
        let takes_them = |argument: &OsString| WITH_ARGUMENTS.iter().any(|command| argument == command);
        if self.arguments.iter().skip(1).any(takes_them) {
            self.arguments.push("--".into());
            self.arguments.extend(rest.cloned());
            return;
        }
        let for_envoy: Vec<_> = rest.map(|argument| OsStr::to_string_lossy(argument)).collect();
        if !for_envoy.is_empty() {
            self.notes.push(format!(
                "what is behind -- is not used, because there is no Envoy here: {}",
                for_envoy.join(" ")
            ));
        }
    }
}

/// The flag without its dashes, if it is a long one.
fn long_flag(text: &str) -> Option<&str> {
    let name = match text.strip_prefix("--") {
        Some(name) => name,
        None => text.strip_prefix('-').filter(|name| name.len() > 1)?,
    };
    name.starts_with(|first: char| first.is_ascii_alphabetic()).then_some(name)
}
