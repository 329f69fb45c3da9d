//! Which program is tested: the one in `MESH_GW_BIN`, else the one of this source tree, built when needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

const VARIABLE: &str = "MESH_GW_BIN";

/// The path of `mesh-gw`, built once per test program with the profile of the test program. Cargo decides whether there
/// is anything to build, so that a test never runs against yesterday's gateway.
///
/// # Errors
/// When `MESH_GW_BIN` names nothing that can be run, or the build fails.
pub fn gateway_binary() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.clone().map_err(|error| anyhow!(error))
}

fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "{VARIABLE} names {}, which is not a file", path.display());
        return Ok(std::path::absolute(path)?);
    }
    let target = crate::target_dir()?;
    let release = std::env::current_exe()?.starts_with(target.join("release"));
    build(&target, release)?;
    let path = target.join(if release { "release" } else { "debug" }).join("mesh-gw");
    ensure!(path.is_file(), "cargo built no {}", path.display());
    Ok(path)
}

fn build(target: &Path, release: bool) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", "mesh-gw", "--bin", "mesh-gw", "--target-dir"])
        .arg(target);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    if release {
        command.arg("--release");
    }
    let output =
        command.output().context("cannot run cargo to build mesh-gw; set MESH_GW_BIN to a built one")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mesh-gw does not build:\n{}", said.trim());
    Ok(())
}
