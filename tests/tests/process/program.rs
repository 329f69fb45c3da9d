//! The program with any arguments, run to its end.

use std::path::Path;
use std::time::Duration;

use gateway_testkit::{CatalogDir, Document, Lab, Pki, gateway_binary};
use tokio::process::Command;

/// Far more than any command takes.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `mesh-gw` with these arguments, and no settings from the tester's environment.
pub(crate) async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(gateway_binary().unwrap());
    command.args(arguments);
    finish(command, environment).await
}

/// Runs a command line of the shell in which `$0` is the program.
pub(crate) async fn run_in_shell(line: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).arg(gateway_binary().unwrap()).args(arguments);
    finish(command, &[]).await
}

async fn finish(mut command: Command, environment: &[(&str, &str)]) -> Ran {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GATEWAY_") {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().copied()).kill_on_drop(true);
    let output = tokio::time::timeout(ENDS_WITHIN, command.output());
    let output = output.await.unwrap_or_else(|_| panic!("{command:?} does not end")).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A catalog with one service that nobody calls.
pub(crate) fn small_catalog(lab: &Lab) -> CatalogDir {
    let catalog = lab.catalog("catalog").unwrap();
    let billing = "10.0.0.1:20000".parse().unwrap();
    let mesh = Document::new().mesh("dc1", Pki::TRUST_DOMAIN).sidecar("billing", "billing-1", billing);
    catalog.write("mesh.toml", mesh).unwrap();
    catalog
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
