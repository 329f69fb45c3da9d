//! Reads all sources and lets the strongest one win.
//!
//! A default goes through the same reader and the same checks as a value of an operator, and a value
//! that is overruled is still checked: it would be a surprise on the day the flag goes away. Only the
//! variables of Consul's own commands are left alone where a catalog of files is used: they are there
//! for others.

use catalog_client::config::{Secret, TokenSource};

use super::consul::Source;
use super::draft::Draft;
use super::environment::Environment;
use super::keys::Key;
use super::kind::Raw;
use super::origin::{Origin, Shown};
use super::problem::{SettingProblem, SettingsError};
use super::{Role, Settings, Sources, cross, environment, file, own};

/// A value that somebody gave, waiting for its turn.
pub(super) struct Given {
    pub(super) key: &'static Key,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// Reads all sources: the last one that gives a key wins, but all are checked.
pub(super) fn load(role: Role, sources: &Sources) -> Result<Settings, SettingsError> {
    let mut problems = Vec::new();
    let mut draft = Draft::blank(role);
    let given = collect(sources, &mut draft, &mut problems);
    for key in Key::of_every_role() {
        apply(key, &given, &mut draft, &mut problems);
    }
    draft.tokens = tokens(&given);
    // Rules between values only make sense between values that hold.
    let mut source = Source::Catalog(draft.catalog.clone());
    if problems.is_empty() {
        cross::check(&mut draft, &mut problems);
        if draft.catalog.as_os_str().is_empty() {
            source = Source::Consul(Box::new(own::consul(&mut draft, &mut problems)));
        } else {
            own::no_consul(&draft, &mut problems);
        }
    }
    if problems.is_empty() {
        return Ok(Settings::finished(draft, source));
    }
    problems.sort_by_key(|problem| match &problem.origin {
        Origin::Default => (0, 0),
        Origin::File { line, .. } => (1, line.unwrap_or(0)),
        Origin::Environment(_) => (2, 0),
        Origin::Flag(_) => (3, 0),
    });
    Err(SettingsError { problems })
}

/// All values that hold, the weakest first.
fn collect(sources: &Sources, draft: &mut Draft, problems: &mut Vec<SettingProblem>) -> Vec<Given> {
    let mut given = Vec::new();
    let mut stronger = Vec::new();
    let role = draft.role;
    let Environment { config, ours, consul, unused } = environment::read(role, &sources.environment);
    if let Some(config) = sources.config.as_deref().or(config.as_deref()) {
        file::read(config, role, &mut given, &mut draft.terminating.services, problems);
    }
    keep(ours, &mut stronger, problems);
    flags(role, sources, &mut stronger, problems);
    let of_files = given.iter().chain(&stronger).any(|given| given.key.name == "catalog");
    if !of_files {
        keep(consul, &mut given, problems);
        draft.notes.extend(unused.iter().map(|name| format!("{name} is not used: {}", role.no_grpc())));
    } else if !consul.is_empty() {
        draft.notes.push(
            "there is a catalog, so Consul and its variables (CONSUL_…, CONNECT_…) are not used".to_owned(),
        );
    }
    given.append(&mut stronger);
    given
}

fn keep(
    read: Vec<Result<Given, SettingProblem>>,
    given: &mut Vec<Given>,
    problems: &mut Vec<SettingProblem>,
) {
    for value in read {
        match value {
            Ok(value) => given.push(value),
            Err(problem) => problems.push(problem),
        }
    }
}

fn apply(key: &'static Key, given: &[Given], draft: &mut Draft, problems: &mut Vec<SettingProblem>) {
    let default = key.default_in(draft.role);
    let mut shown = Shown { key: key.name, value: String::new(), origin: Origin::Default };
    let values = given.iter().filter(|given| std::ptr::eq(given.key, key));
    let default = (!default.is_empty()).then(|| Given {
        key,
        raw: Raw::Loose(default.to_owned()),
        origin: Origin::Default,
    });
    for given in default.iter().chain(values) {
        match key.kind.apply(draft, &given.raw) {
            Ok(value) => shown = Shown { key: key.name, value, origin: given.origin.clone() },
            Err(message) => problems.push(SettingProblem::new(given.origin.clone(), key.name, message)),
        }
    }
    if Key::all(draft.role).any(|own| std::ptr::eq(own, key)) {
        draft.shown.push(shown);
    }
}

/// All places of the token, the strongest first: by source, and in one source the file before the
/// token, as in Consul.
fn tokens(given: &[Given]) -> Vec<TokenSource> {
    let mut ranked: Vec<_> = given
        .iter()
        .enumerate()
        .filter_map(|(order, given)| {
            let (Raw::Loose(text) | Raw::Text(text)) = &given.raw else { return None };
            let source = match given.key.name {
                "token_file" => TokenSource::File(text.into()),
                "token" if !text.is_empty() => TokenSource::Value(Secret::new(text.as_str())),
                _ => return None,
            };
            let rank = match &given.origin {
                Origin::Default => 0,
                Origin::File { .. } => 1,
                Origin::Environment(name) if !name.starts_with(environment::PREFIX) => 2,
                Origin::Environment(_) => 3,
                Origin::Flag(_) => 4,
            };
            Some(((rank, matches!(source, TokenSource::File(_)), order), source))
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    ranked.into_iter().map(|(_, source)| source).collect()
}

fn flags(role: Role, sources: &Sources, given: &mut Vec<Given>, problems: &mut Vec<SettingProblem>) {
    for (name, value) in &sources.flags {
        let origin = Origin::Flag(name.replace('_', "-"));
        let Some(key) = Key::named(role, name) else {
            problems.push(SettingProblem::new(origin, name, "no such flag"));
            continue;
        };
        if value.is_empty() && key.asks_for_consul() {
            continue;
        }
        let earlier = given.iter_mut().find(|other| std::ptr::eq(other.key, key) && other.origin == origin);
        match (earlier, key.repeats()) {
            (Some(Given { raw: Raw::List(items), .. }), true) => items.push(value.clone()),
            (_, true) => given.push(Given { key, raw: Raw::List(vec![value.clone()]), origin }),
            (_, false) => given.push(Given { key, raw: Raw::Loose(value.clone()), origin }),
        }
    }
}
