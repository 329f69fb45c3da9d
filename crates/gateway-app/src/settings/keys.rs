//! One key of the settings, and finding it by name.

use super::kind::Kind;
use super::{environment, file, table};

/// Rows of the table on one subject.
pub(crate) struct Group {
    /// For the help text.
    pub(crate) heading: &'static str,
    pub(super) keys: &'static [Key],
    /// Whether they are flags, too.
    pub(crate) flags: bool,
    /// Whether they ask for Consul: then they exclude a catalog of files, and a flag that is empty
    /// counts as not given, as in Consul's own commands.
    pub(super) consul: bool,
}

impl Group {
    /// The groups whose keys are flags.
    pub(crate) fn of_flags() -> impl Iterator<Item = &'static Self> {
        table::GROUPS.iter().filter(|group| group.flags)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter()
    }
}

/// A row of the table.
pub(crate) struct Key {
    /// As in the settings file, with its table in front: `timers.hello`.
    pub(crate) name: &'static str,
    pub(super) kind: Kind,
    /// As a person writes it; empty = not set, and the value is then never read.
    pub(crate) default: &'static str,
    /// One or more sentences for the reference; the first one is also the help of the flag.
    pub(crate) meaning: &'static str,
    /// The variables that Consul's own commands read for it, the weakest first.
    pub(super) consul: &'static [&'static str],
}

impl Key {
    /// All keys, in the order of the reference.
    pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
        table::GROUPS.iter().flat_map(Group::keys)
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

    /// The keys that are also flags.
    pub(crate) fn flags() -> impl Iterator<Item = &'static Key> {
        Group::of_flags().flat_map(Group::keys)
    }

    /// Whether it asks for Consul, and not only says how to talk to it.
    pub(super) fn asks_for_consul(&self) -> bool {
        let ours = |group: &&Group| group.keys.iter().any(|key| std::ptr::eq(key, self));
        table::GROUPS.iter().find(ours).is_some_and(|group| group.consul)
    }

    /// Whether the flag may stand alone, which means `true`.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self.kind, Kind::Bool(_))
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
                "list" => "ADDRESS".to_owned(),
                "[IP][:PORT]" => "IP:PORT".to_owned(),
                "secret" => "TOKEN".to_owned(),
                "text" if self.name == "wan_address" => "HOST[:PORT]".to_owned(),
                "text" if self.name == "proxy_id" => "ID".to_owned(),
                "text" => "NAME".to_owned(),
                name => name.to_uppercase(),
            },
        }
    }

    /// Whether the flag may be given more than once.
    pub(crate) fn repeats(&self) -> bool {
        matches!(self.kind, Kind::Listeners(_) | Kind::Texts(_))
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
