//! One key of the settings, and finding it by name.

use super::kind::Kind;
use super::{environment, file, table};

/// A row of the table.
pub(crate) struct Key {
    /// As in the settings file, with its table in front: `timers.hello`.
    pub(crate) name: &'static str,
    pub(super) kind: Kind,
    /// As a person writes it; empty = not set, and the value is then never read.
    pub(crate) default: &'static str,
    /// One or more sentences for the reference; the first one is also the help of the flag.
    pub(crate) meaning: &'static str,
}

impl Key {
    /// All keys, in the order of the reference.
    pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
        table::TOP.iter().chain(table::TIMERS).chain(table::LIMITS).chain(table::EJECTION)
    }

    /// The key of this name, with `-` or `_`.
    pub(super) fn named(name: &str) -> Option<&'static Key> {
        let name = name.replace('-', "_");
        Self::all().find(|key| key.name == name)
    }

    /// The variable of the environment.
    pub(crate) fn variable(&self) -> String {
        format!("{}{}", environment::PREFIX, self.name.replace('.', "_").to_uppercase())
    }

    /// The keys that are also flags: those outside of tables.
    pub(crate) fn flags() -> impl Iterator<Item = &'static Key> {
        table::TOP.iter()
    }

    /// The flag without its dashes.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// What stands for the value in the help text.
    pub(crate) fn placeholder(&self) -> String {
        match &self.kind {
            Kind::Choice(words, _) => words.join("|"),
            kind => match kind.name() {
                "list of NAME=IP:PORT" => "NAME=IP:PORT".to_owned(),
                "text" if self.name == "wan_address" => "HOST[:PORT]".to_owned(),
                "text" => "NAME".to_owned(),
                name => name.to_uppercase(),
            },
        }
    }

    /// Whether the flag may be given more than once.
    pub(crate) fn repeats(&self) -> bool {
        matches!(self.kind, Kind::Listeners(_))
    }
}

/// What a wrong key probably was meant to be.
pub(super) fn near(name: &str) -> Option<String> {
    let name = name.replace('-', "_").to_lowercase();
    let bare = |full: &'static str| full.rsplit('.').next().unwrap_or(full);
    // The right key in the wrong table, or without one.
    let last = name.rsplit('.').next().unwrap_or(&name);
    let misplaced = Key::all().map(|key| key.name).find(|known| bare(known) == last);
    misplaced.map(str::to_owned).or_else(|| {
        let distance = |known| {
            let whole = strsim::damerau_levenshtein(&name, known);
            whole.min(strsim::damerau_levenshtein(&name, bare(known)))
        };
        let known = Key::all().map(|key| key.name).chain(file::TABLES);
        known
            .map(|known| (distance(known), known))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= 2.max(name.len() / 5))
            .map(|(_, known)| known.to_owned())
    })
}
