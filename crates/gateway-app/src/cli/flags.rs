//! The flags of the settings, made from their table.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::settings::{Group, Key, Role};

/// The flags that were given: not yet read, because all mistakes are reported together. They may hold
/// secrets.
#[derive(Default)]
pub(super) struct Flags {
    pub(super) config: Option<PathBuf>,
    pub(super) values: Vec<(&'static str, String)>,
}

impl Flags {
    /// The flags of a role, put to its command.
    pub(super) fn augment(role: Role, command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .global(true)
            .help("Settings file, TOML.");
        let keys =
            Group::of_flags(role).flat_map(|group| group.keys(role).map(move |key| flag(role, group, key)));
        keys.fold(command.arg(config), Command::arg)
    }

    /// What of them was given.
    pub(super) fn from_matches(role: Role, matches: &ArgMatches) -> Self {
        let values = Key::flags(role).flat_map(|key| {
            let given = matches.get_many::<String>(key.name).into_iter().flatten();
            given.map(|value| (key.name, value.clone()))
        });
        Self { config: matches.get_one::<PathBuf>("config").cloned(), values: values.collect() }
    }
}

fn flag(role: Role, group: &'static Group, key: &'static Key) -> Arg {
    let first_sentence = key.meaning.split_inclusive(". ").next().unwrap_or(key.meaning).trim_end();
    let help = match key.default_in(role) {
        "" | "false" => first_sentence.to_owned(),
        default => format!("{first_sentence} [default: {default}]"),
    };
    let arg = Arg::new(key.name)
        .long(key.flag())
        .value_name(key.placeholder())
        .action(if key.repeats() { ArgAction::Append } else { ArgAction::Set })
        .help_heading(group.heading)
        .global(true)
        .help(help);
    if key.is_switch() {
        // `--register`, `--register=false`; what follows after a space is something else, as in Consul.
        return arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL");
    }
    arg
}
