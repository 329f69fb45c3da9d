//! The flags of the settings, made from their table.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::settings::{Group, Key};

/// The flags that were given: not yet read, because all mistakes are reported together. They may hold
/// secrets.
#[derive(Default)]
pub(super) struct Flags {
    pub(super) config: Option<PathBuf>,
    pub(super) values: Vec<(&'static str, String)>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .global(true)
            .help("Settings file, TOML.");
        let keys = Group::of_flags().flat_map(|group| group.keys().map(move |key| flag(group, key)));
        keys.fold(command.arg(config), Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>("config").cloned();
        self.values = Key::flags()
            .flat_map(|key| {
                let given = matches.get_many::<String>(key.name).into_iter().flatten();
                given.map(|value| (key.name, value.clone()))
            })
            .collect();
        Ok(())
    }
}

fn flag(group: &'static Group, key: &'static Key) -> Arg {
    let first_sentence = key.meaning.split_inclusive(". ").next().unwrap_or(key.meaning).trim_end();
    let help = match key.default {
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
