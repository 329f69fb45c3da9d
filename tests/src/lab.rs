//! One test's folder: the logs of its gateways, its catalogs and certificates. It goes when the test passes and stays
//! when it fails, with the end of each log printed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{CatalogDir, Gateway, GatewayBuilder};

/// Carries the test's name into a second run of it (inside a user namespace), where the thread is not named after it.
pub(crate) const NAME_VARIABLE: &str = "TESTKIT_TEST_NAME";
const TAIL_LINES: usize = 25;

/// The folder of the running test. Make it first in a test, so that it is dropped last.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
}

impl Lab {
    /// An empty folder `target/test-logs/<test file>/<test>`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        let dir = target_dir()?.join("test-logs").join(test_file()).join(test_name().replace("::", "--"));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Lab { dir })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A gateway whose logs are in this folder under `name`.
    pub fn gateway(&self, name: &str) -> GatewayBuilder {
        Gateway::builder(name, self.dir.join(name))
    }

    /// An empty catalog folder `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn catalog(&self, name: &str) -> Result<CatalogDir> {
        CatalogDir::new(self.dir.join(name))
    }
}

impl Drop for Lab {
    #[expect(clippy::print_stderr, reason = "a failed test shows its logs")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nlogs kept in {}", self.dir.display());
            print_tails(&self.dir);
        } else if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("cannot remove {}: {error}", self.dir.display());
        }
    }
}

/// The name of the running test: that of its thread, as the test runner gives it.
pub fn test_name() -> String {
    if let Ok(name) = std::env::var(NAME_VARIABLE) {
        return name;
    }
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => format!("unnamed-{}", std::process::id()),
    }
}

/// Cargo's target folder, found from where this program was built to.
///
/// # Errors
/// When the program is not in a folder that cargo made.
pub fn target_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell which program this is")?;
    let mut folders = exe.ancestors().skip(1);
    let folder = folders.next().context("a program without a folder")?;
    // A test is in <target>/<profile>/deps, a program in <target>/<profile>.
    let profile = if folder.ends_with("deps") { folders.next() } else { Some(folder) };
    let target = profile.and_then(Path::parent);
    target.map(Path::to_owned).with_context(|| format!("{} is not in cargo's target folder", exe.display()))
}

/// `forwarding` for a program `…/deps/forwarding-0123456789abcdef`.
fn test_file() -> String {
    let exe = std::env::current_exe().unwrap_or_default();
    let stem = exe.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    stem.rsplit_once('-').map_or(stem.clone(), |(name, _hash)| name.to_owned())
}

#[expect(clippy::print_stderr, reason = "a failed test shows its logs")]
fn print_tails(dir: &Path) {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            print_tails(&path);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            let text = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            let skipped = lines.len().saturating_sub(TAIL_LINES);
            eprintln!(
                "--- {} ({} lines{})",
                path.display(),
                lines.len(),
                if skipped > 0 { ", the last" } else { "" }
            );
            for line in &lines[skipped..] {
                eprintln!("    {line}");
            }
        }
    }
}
