//! Adapter of a side-by-side benchmark of gateway proxies: reads what is to be done, writes a
//! catalog, and becomes the gateway.
//!
//! `side-by-side ROLE SPEC` writes the catalog that SPEC (JSON) asks for into the folder `dir` of SPEC
//! and replaces itself by the gateway of ROLE, `mesh` or `terminating`; `side-by-side mesh SPEC change`
//! writes the catalog anew for the running gateway, which watches it. Every SPEC has `dir`, `listen`,
//! `admin`, `trust_domain`, `datacenter` and `ca`; the rest is in the module of the role.

#![expect(clippy::print_stderr, reason = "a program for the command line")]

mod mesh;
mod terminating;

use std::error::Error;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

/// What SPEC holds for every role.
#[derive(Deserialize)]
struct Common<'a> {
    dir: PathBuf,
    listen: &'a str,
    admin: &'a str,
    trust_domain: &'a str,
    datacenter: &'a str,
    ca: &'a str,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["mesh", spec] => read(spec).and_then(|text| mesh::become_gateway(&text)),
        ["mesh", spec, "change"] => read(spec).and_then(|text| mesh::change(&text)),
        ["terminating", spec] => read(spec).and_then(|text| terminating::become_gateway(&text)),
        _ => Err("usage: side-by-side mesh SPEC [change] | side-by-side terminating SPEC".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(file: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    fs::read(file).map_err(|error| format!("{file}: {error}").into())
}

impl Common<'_> {
    /// Makes the folder for the catalog, or takes it as it is.
    fn catalog(&self) -> std::io::Result<PathBuf> {
        let folder = self.dir.join("catalog");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Replaces this program by the gateway `name`. It is built beside this one, by the same profile.
    fn exec(&self, name: &str, catalog: &Path) -> Result<(), Box<dyn Error>> {
        let gateway = std::env::current_exe()?.with_file_name(name);
        let mut command = Command::new(&gateway);
        command.arg("--catalog").arg(catalog).args(["--address", self.listen, "--admin-bind", self.admin]);
        Err(format!("{}: {}", gateway.display(), command.exec()).into())
    }
}

/// Puts a document in place by a rename, unless it is there already: as a program that writes catalogs does.
fn replace(file: &Path, document: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let contents = serde_json::to_vec(document)?;
    if fs::read(file).is_ok_and(|before| before == contents) {
        return Ok(());
    }
    let new = file.with_extension("new");
    fs::write(&new, contents)?;
    Ok(fs::rename(new, file)?)
}
