//! The command line, the same for all roles: `run` (the default), `check`, `explain`, `doctor`,
//! `ready`.
//!
//! Everything is handed in (arguments, environment, where to write), so that a test is an ordinary
//! call. Only `run` is left to the caller.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use gateway_runtime::process::exit;

use crate::settings::{Role, Settings, Sources};
use crate::{check, doctor, explain, ready_command, terminating};
use flags::Flags;

mod envoy;
mod flags;
mod rewrite;
#[cfg(test)]
mod tests;

/// What a program was called with, and where it writes.
pub struct Call<'a> {
    /// Which gateway the program is.
    pub role: Role,
    /// The arguments, the program's name first.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// For answers.
    pub out: &'a mut dyn Write,
    /// For what is wrong.
    pub err: &'a mut dyn Write,
}

/// What is left to do.
#[derive(Debug)]
pub enum Invocation {
    /// Serve with these settings.
    Run(Box<Settings>),
    /// End with this code of [`exit`]; everything has been said.
    Finished(u8),
}

#[derive(Parser)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the default)
    Run,
    /// Read settings, their files and the catalog and say all that is wrong with them; exit code 0 or 1
    Check {
        /// Catalogs to check in place of the one of the settings: files or folders, each on its own
        files: Vec<PathBuf>,
    },
    /// Say what would become of a connection, and why; exit code 1 if it is refused
    Explain(Explain),
    /// Try what this gateway needs and say what is missing; exit code 0 or 1
    Doctor,
    /// Ask the running gateway whether it is ready; exit code 0 or 1
    Ready,
}

#[derive(Debug, clap::Args)]
struct Explain {
    /// The server name (SNI)
    name: Option<String>,
    /// Who calls: a service, or a SPIFFE id
    #[arg(long, value_name = "SERVICE")]
    from: Option<String>,
    /// Which linked service is called, in place of its server name
    #[arg(long, value_name = "SERVICE", conflicts_with = "name")]
    to: Option<String>,
    /// Also ask the running gateway for open connections and ejections
    #[arg(long)]
    live: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Does what the command line says, or gives back the settings to serve with.
pub fn invoke(mut call: Call<'_>) -> Invocation {
    match prepare(&mut call) {
        Ok((Command::Run, settings)) => Invocation::Run(Box::new(settings)),
        Ok((command, settings)) => Invocation::Finished(answer(&command, &settings, call.out)),
        Err(code) => Invocation::Finished(code),
    }
}

fn prepare(call: &mut Call<'_>) -> Result<(Command, Settings), u8> {
    let role = call.role;
    let rewritten = rewrite::rewrite(role, &call.arguments);
    for message in &rewritten.refused {
        complain(call.err, role, message, exit::USAGE);
    }
    if !rewritten.refused.is_empty() {
        return Err(exit::USAGE);
    }
    let parsed = command(role).try_get_matches_from(rewritten.arguments).and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, Flags::from_matches(role, &matches)))
    });
    let (cli, flags) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if error.use_stderr() => {
            write(call.err, &error.to_string());
            return Err(exit::USAGE);
        }
        // --help and --version
        Err(error) => {
            write(call.out, &error.to_string());
            return Err(exit::CLEAN);
        }
    };
    let sources =
        Sources { flags: flags.values, environment: call.environment.clone(), config: flags.config };
    let mut settings = Settings::load(role, &sources).map_err(|error| {
        let code = if error.is_usage() { exit::USAGE } else { exit::BAD_SETTINGS };
        for problem in &error.problems {
            complain(call.err, role, &problem.to_string(), code);
        }
        code
    })?;
    settings.notes.splice(0..0, rewritten.notes);
    Ok((cli.command.unwrap_or(Command::Run), settings))
}

fn answer(command: &Command, settings: &Settings, out: &mut dyn Write) -> u8 {
    let good = match command {
        Command::Run => true,
        Command::Check { files } => check::check(settings, files, out),
        Command::Explain(Explain { name, from, to, live, json }) => {
            let options = explain::Options { live: *live, json: *json };
            match settings.role {
                Role::Mesh => explain::explain(settings, name.as_deref().unwrap_or_default(), options, out),
                Role::Terminating => {
                    let question = terminating::Question {
                        name: name.as_deref(),
                        from: from.as_deref(),
                        to: to.as_deref(),
                    };
                    terminating::explain(settings, &question, options, out)
                }
            }
        }
        Command::Doctor => doctor::doctor(settings, out),
        Command::Ready => ready_command::ready(settings, out),
    };
    if good { exit::CLEAN } else { exit::BAD_SETTINGS }
}

fn command(role: Role) -> clap::Command {
    let explained = |explain: clap::Command| match role {
        // What it asks is only about names.
        Role::Mesh => explain
            .mut_arg("name", |name| name.required(true))
            .mut_arg("from", |from| from.hide(true).value_parser(no_such_flag))
            .mut_arg("to", |to| to.hide(true).value_parser(no_such_flag)),
        Role::Terminating => explain
            .mut_arg("name", |name| name.required_unless_present("to"))
            .after_help("terminating-gw explain --from web --to billing-db"),
    };
    Flags::augment(role, Cli::command())
        .mut_subcommand("explain", explained)
        .name(role.program())
        .bin_name(role.program())
        .about(role.about())
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Every flag is also a key of the settings file and a variable GATEWAY_<KEY>; timers, limits and \
             ejection are set there only. Consul's own variables (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, ...) hold, \
             too. A flag beats GATEWAY_<KEY>, which beats CONSUL_..., which beats the file.\n\n\
             Without --catalog the gateway runs from Consul, as `consul connect envoy` does, and takes the \
             flags of that command with one dash or two.",
        )
}

fn no_such_flag(_: &str) -> Result<String, String> {
    Err("a mesh gateway does not look at who calls: give the server name alone".to_owned())
}

fn complain(err: &mut dyn Write, role: Role, message: &str, code: u8) -> u8 {
    write(err, &format!("{}: {message}\n", role.program()));
    code
}

/// Nobody is left to tell when standard error or standard output is gone.
fn write(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
