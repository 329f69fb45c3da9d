//! Adapter of a side-by-side benchmark of gateway proxies: reads what is to be routed, writes a
//! catalog, and becomes the gateway.
//!
//! `side-by-side mesh SPEC` writes the catalog that SPEC (JSON) asks for into the folder `dir` of
//! SPEC and replaces itself by `mesh-gw`; `side-by-side mesh SPEC change` writes the catalog anew
//! for the running gateway, which watches it. SPEC has `dir`, `listen`, `admin`, `trust_domain`,
//! `datacenter`, `ca` and `routes`, a list of `{sni, service, endpoint}`.

#![expect(clippy::print_stderr, reason = "a program for the command line")]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize)]
struct Spec<'a> {
    dir: PathBuf,
    listen: &'a str,
    admin: &'a str,
    trust_domain: &'a str,
    datacenter: &'a str,
    ca: &'a str,
    #[serde(borrow)]
    routes: Vec<Route<'a>>,
}

#[derive(Deserialize)]
struct Route<'a> {
    service: &'a str,
    endpoint: SocketAddr,
}

/// A row of the catalog.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Instance<'a> {
    service: &'a str,
    kind: &'a str,
    address: IpAddr,
    port: u16,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["mesh", spec] => with(spec, become_gateway),
        ["mesh", spec, "change"] => with(spec, |spec| write_catalog(spec).map(drop)),
        _ => Err("usage: side-by-side mesh SPEC [change]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            ExitCode::FAILURE
        }
    }
}

fn with(file: &str, act: impl FnOnce(&Spec<'_>) -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let text = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    act(&serde_json::from_slice(&text).map_err(|error| format!("{file}: {error}"))?)
}

fn become_gateway(spec: &Spec<'_>) -> Result<(), Box<dyn Error>> {
    let catalog = write_catalog(spec)?;
    // It is built beside this program, by the same profile.
    let gateway = std::env::current_exe()?.with_file_name("mesh-gw");
    let mut command = Command::new(&gateway);
    command.arg("--catalog").arg(catalog).args(["--address", spec.listen, "--admin-bind", spec.admin]);
    Err(format!("{}: {}", gateway.display(), command.exec()).into())
}

/// A file for the mesh and one per hundred services, as a program that writes catalogs does: what
/// did not change is not written, and what did is put in place by a rename.
fn write_catalog(spec: &Spec<'_>) -> Result<PathBuf, Box<dyn Error>> {
    let folder = spec.dir.join("catalog");
    fs::create_dir_all(&folder)?;
    let mesh = json!({
        "Mesh": { "Datacenter": spec.datacenter, "TrustDomain": spec.trust_domain, "Roots": [spec.ca] },
    });
    replace(&folder.join("mesh.json"), &serde_json::to_vec(&mesh)?)?;
    for (number, routes) in spec.routes.chunks(100).enumerate() {
        let instances: Vec<_> = routes.iter().map(instance).collect();
        let services = serde_json::to_vec(&HashMap::from([("Instance", instances)]))?;
        replace(&folder.join(format!("services-{number:04}.json")), &services)?;
    }
    Ok(folder)
}

fn instance<'a>(route: &Route<'a>) -> Instance<'a> {
    let (address, port) = (route.endpoint.ip(), route.endpoint.port());
    Instance { service: route.service, kind: "connect-proxy", address, port }
}

fn replace(file: &Path, contents: &[u8]) -> std::io::Result<()> {
    if fs::read(file).is_ok_and(|before| before == contents) {
        return Ok(());
    }
    let new = file.with_extension("new");
    fs::write(&new, contents)?;
    fs::rename(new, file)
}
