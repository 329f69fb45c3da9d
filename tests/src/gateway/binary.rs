//! Which programs are tested: the ones that variables name, else those of this source tree, built when needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

/// A gateway of this source tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `mesh-gw`, or the one in `MESH_GW_BIN`.
    MeshGw,
    /// `terminating-gw`, or the one in `TERMINATING_GW_BIN`.
    TerminatingGw,
}

/// The path of `mesh-gw`, built once per test program with the profile of the test program. Cargo decides whether there
/// is anything to build, so that a test never runs against yesterday's gateway.
///
/// # Errors
/// When `MESH_GW_BIN` names nothing that can be run, or the build fails.
pub fn gateway_binary() -> Result<PathBuf> {
    Program::MeshGw.binary()
}

impl Program {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Program::MeshGw => "mesh-gw",
            Program::TerminatingGw => "terminating-gw",
        }
    }

    /// Names another one.
    pub fn variable(self) -> &'static str {
        match self {
            Program::MeshGw => "MESH_GW_BIN",
            Program::TerminatingGw => "TERMINATING_GW_BIN",
        }
    }

    /// Its path, built once per test program as [`gateway_binary`] says.
    ///
    /// # Errors
    /// When its variable names nothing that can be run, or the build fails.
    pub fn binary(self) -> Result<PathBuf> {
        static FOUND: [OnceLock<Result<PathBuf, String>>; 2] = [const { OnceLock::new() }; 2];
        let found = FOUND[self as usize].get_or_init(|| self.find().map_err(|error| format!("{error:#}")));
        found.clone().map_err(|error| anyhow!(error))
    }

    fn find(self) -> Result<PathBuf> {
        let variable = self.variable();
        if let Some(path) = std::env::var_os(variable) {
            let path = PathBuf::from(path);
            ensure!(path.is_file(), "{variable} names {}, which is not a file", path.display());
            return Ok(std::path::absolute(path)?);
        }
        let target = crate::target_dir()?;
        let release = std::env::current_exe()?.starts_with(target.join("release"));
        self.build(&target, release)?;
        let path = target.join(if release { "release" } else { "debug" }).join(self.name());
        ensure!(path.is_file(), "cargo built no {}", path.display());
        Ok(path)
    }

    fn build(self, target: &Path, release: bool) -> Result<()> {
        let (name, variable) = (self.name(), self.variable());
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--package", name, "--bin", name, "--target-dir"]).arg(target);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        if release {
            command.arg("--release");
        }
        let output = command.output();
        let output = output
            .with_context(|| format!("cannot run cargo to build {name}; set {variable} to a built one"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name} does not build:\n{}", said.trim());
        Ok(())
    }
}
