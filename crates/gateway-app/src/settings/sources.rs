//! Reads all sources and lets the strongest one win.
//!
//! A default goes through the same reader and the same checks as a value of an operator, and a value
//! that is overruled is still checked: it would be a surprise on the day the flag goes away.

use super::keys::Key;
use super::kind::Raw;
use super::origin::{Origin, Shown};
use super::problem::{SettingProblem, SettingsError};
use super::{Role, Settings, Sources, cross, environment, file};

/// A value that somebody gave, waiting for its turn.
pub(super) struct Given {
    pub(super) key: &'static Key,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// Reads all sources: the last one that gives a key wins, but all are checked.
pub(super) fn load(role: Role, sources: &Sources) -> Result<Settings, SettingsError> {
    let mut problems = Vec::new();
    let mut given = Vec::new();
    let (variables, config) = environment::read(&sources.environment);
    if let Some(config) = sources.config.as_deref().or(config.as_deref()) {
        file::read(config, &mut given, &mut problems);
    }
    for variable in variables {
        match variable {
            Ok(variable) => given.push(variable),
            Err(problem) => problems.push(problem),
        }
    }
    flags(sources, &mut given, &mut problems);

    let mut settings = Settings::blank(role);
    for key in Key::all() {
        let default = if key.name == "service" { role.service() } else { key.default };
        let mut shown = Shown { key: key.name, value: String::new(), origin: Origin::Default };
        let values = given.iter().filter(|given| std::ptr::eq(given.key, key));
        let default = (!default.is_empty()).then(|| Given {
            key,
            raw: Raw::Loose(default.to_owned()),
            origin: Origin::Default,
        });
        for given in default.iter().chain(values) {
            match key.kind.apply(&mut settings, &given.raw) {
                Ok(value) => shown = Shown { key: key.name, value, origin: given.origin.clone() },
                Err(message) => problems.push(SettingProblem::new(given.origin.clone(), key.name, message)),
            }
        }
        settings.shown.push(shown);
    }
    // Rules between values only make sense between values that hold.
    if problems.is_empty() {
        cross::check(&mut settings, &mut problems);
    }
    if problems.is_empty() {
        return Ok(settings);
    }
    problems.sort_by_key(|problem| match &problem.origin {
        Origin::Default => (0, 0),
        Origin::File { line, .. } => (1, line.unwrap_or(0)),
        Origin::Environment(_) => (2, 0),
        Origin::Flag(_) => (3, 0),
    });
    Err(SettingsError { problems })
}

fn flags(sources: &Sources, given: &mut Vec<Given>, problems: &mut Vec<SettingProblem>) {
    for (name, value) in &sources.flags {
        let origin = Origin::Flag(name.replace('_', "-"));
        let Some(key) = Key::named(name) else {
            problems.push(SettingProblem::new(origin, name, "no such flag"));
            continue;
        };
        let earlier = given.iter_mut().find(|other| std::ptr::eq(other.key, key) && other.origin == origin);
        match (earlier, key.repeats()) {
            (Some(Given { raw: Raw::List(items), .. }), true) => items.push(value.clone()),
            (_, true) => given.push(Given { key, raw: Raw::List(vec![value.clone()]), origin }),
            (_, false) => given.push(Given { key, raw: Raw::Loose(value.clone()), origin }),
        }
    }
}
