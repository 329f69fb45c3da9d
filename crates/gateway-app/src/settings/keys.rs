//! One key of the settings, and finding it by name.

use super::kind::Kind;
use super::{Role, environment, file, table};

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
    /// Only settings of this role.
    pub(super) only: Option<Role>,
}

impl Group {
    /// The groups of a role whose keys are flags.
    pub(crate) fn of_flags(role: Role) -> impl Iterator<Item = &'static Self> {
        table::GROUPS.iter().filter(move |group| group.flags && group.is_for(role))
    }

    pub(crate) fn keys(&self, role: Role) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().filter(move |key| key.is_for(role))
    }

    fn is_for(&self, role: Role) -> bool {
        self.only.is_none_or(|only| only == role)
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
    /// All keys of a role, in the order of the reference.
    pub(crate) fn all(role: Role) -> impl Iterator<Item = &'static Key> {
        table::GROUPS.iter().filter(move |group| group.is_for(role)).flat_map(move |group| group.keys(role))
    }

    /// The keys of all roles: those of others have their defaults.
    pub(super) fn of_every_role() -> impl Iterator<Item = &'static Key> {
        table::GROUPS.iter().flat_map(|group| group.keys.iter())
    }

    /// The key of this name, with `-` or `_`.
    pub(super) fn named(role: Role, name: &str) -> Option<&'static Key> {
        let name = name.replace('-', "_");
        Self::all(role).find(|key| key.name == name)
    }

    /// Whether a role has it: a gateway that ends TLS cannot splice, and has one deadline for the whole
    /// handshake.
    pub(super) fn is_for(&self, role: Role) -> bool {
        const OF_PASSING_ON: [&str; 6] = [
            "timers.hello",
            "timers.closing_tick",
            "limits.closing_per_tick",
            "limits.pipe_memory",
            "limits.pipe_size",
            "limits.pipe_spare",
        ];
        role == Role::Mesh || !OF_PASSING_ON.contains(&self.name)
    }

    /// Its default in a role.
    pub(crate) fn default_in(&self, role: Role) -> &'static str {
        match (role, self.name) {
            (role, "service") => role.service(),
            // Names of external services change less often than those of gateways, and say how long they
            // hold (terminating-gateway rules 6.3).
            (Role::Terminating, "timers.dns_refresh") => "1m",
            _ => self.default,
        }
    }

    /// The variable of the environment.
    pub(crate) fn variable(&self) -> String {
        format!("{}{}", environment::PREFIX, self.name.replace('.', "_").to_uppercase())
    }

    /// The keys of a role that are also flags.
    pub(crate) fn flags(role: Role) -> impl Iterator<Item = &'static Key> {
        Group::of_flags(role).flat_map(move |group| group.keys(role))
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
                "list" if self.name == "dns_guard" => "KIND".to_owned(),
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
pub(super) fn near(role: Role, name: &str) -> Option<String> {
    let name = name.replace('-', "_").to_lowercase();
    let bare = |full: &'static str| full.rsplit('.').next().unwrap_or(full);
    // The right key in the wrong table, or without one.
    let last = name.rsplit('.').next().unwrap_or(&name);
    let misplaced = Key::all(role).map(|key| key.name).find(|known| bare(known) == last);
    misplaced.map(str::to_owned).or_else(|| {
        let distance = |known| {
            let whole = strsim::damerau_levenshtein(&name, known);
            whole.min(strsim::damerau_levenshtein(&name, bare(known)))
        };
        let known = Key::all(role).map(|key| key.name).chain(file::TABLES);
        known
            .map(|known| (distance(known), known))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= 2.max(name.len() / 5))
            .map(|(_, known)| known.to_owned())
    })
}
