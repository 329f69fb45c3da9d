//! Adapter of a benchmark of gateways that run from a living Consul: becomes the gateway.
//!
//! `living-mesh ROLE SPEC` reads SPEC (JSON) and replaces itself by the gateway of ROLE, `mesh` or
//! `terminating`, which registers itself and finds everything else in Consul. SPEC has `service`, `listen`, `admin`, `via` (`http` or `https`)
//! and `consul` with `http`, `https` and `ca`.

#![expect(clippy::print_stderr, reason = "a program for the command line")]

use std::error::Error;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use serde::Deserialize;

#[derive(Deserialize)]
struct Spec {
    service: String,
    listen: String,
    admin: String,
    via: String,
    consul: Consul,
}

#[derive(Deserialize)]
struct Consul {
    http: String,
    https: String,
    ca: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["mesh", spec] => become_gateway("mesh-gw", spec),
        ["terminating", spec] => become_gateway("terminating-gw", spec),
        _ => Err("usage: living-mesh mesh|terminating SPEC".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("living-mesh: {error}");
            ExitCode::FAILURE
        }
    }
}

fn become_gateway(name: &str, file: &str) -> Result<(), Box<dyn Error>> {
    let text = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let spec: Spec = serde_json::from_slice(&text).map_err(|error| format!("{file}: {error}"))?;
    // It is built beside this program, by the same profile.
    let gateway = std::env::current_exe()?.with_file_name(name);
    let mut command = Command::new(&gateway);
    command.args(["--register", "--service", &spec.service, "--address", &spec.listen]);
    command.args(["--admin-bind", &spec.admin, "--access-log", "off"]);
    match spec.via.as_str() {
        "http" => command.args(["--http-addr", &format!("http://{}", spec.consul.http)]),
        "https" => command.args([
            "--http-addr",
            &format!("https://{}", spec.consul.https),
            "--ca-file",
            &spec.consul.ca,
        ]),
        other => return Err(format!("via {other:?} is neither http nor https").into()),
    };
    Err(format!("{}: {}", gateway.display(), command.exec()).into())
}
