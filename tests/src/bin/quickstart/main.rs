//! Two datacenters on this machine, joined by two mesh gateways as real processes; a call through them, hop by hop,
//! with what each hop recorded; and a call to a service outside the mesh, through a terminating gateway. With `--consul` each datacenter has a real Consul, from which its gateway runs.
//!
//! Started by `scripts/quickstart`, which builds the gateways first. Stays until Ctrl-C; `--once` checks and ends.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

mod by_hand;
mod commands;
mod consul;
mod egress;
mod evidence;
mod report;
mod scene;
mod tour;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use report::Report;
use scene::Scene;

#[tokio::main]
async fn main() -> ExitCode {
    let (mut once, mut consul) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--once" => once = true,
            "--consul" => consul = true,
            other => {
                eprintln!("quickstart: unknown argument {other:?} (there are --once and --consul)");
                return ExitCode::from(2);
            }
        }
    }
    let outcome =
        if consul { quickstart::<consul::World>(once).await } else { quickstart::<world::World>(once).await };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\nquickstart: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was as expected.
async fn quickstart<S: Scene>(once: bool) -> Result<bool> {
    // Listened for from the start: an early Ctrl-C also ends in order.
    let mut interrupt = Interrupt::new()?;
    let dir = folder()?;
    let mut report = Report::new();
    let shown = show::<S>(dir.path(), &mut report, once, &mut interrupt).await;
    if matches!(shown, Ok(Shown::Interrupted)) {
        eprintln!("quickstart: interrupted before it was through");
        return Ok(!once);
    }
    if shown.is_err() || !report.is_good() {
        // What went wrong is in there.
        println!("\nAll logs are kept in {}", dir.keep().display());
    }
    shown?;
    report.summary();
    Ok(report.is_good())
}

async fn show<S: Scene>(
    dir: &Path,
    report: &mut Report,
    once: bool,
    interrupt: &mut Interrupt,
) -> Result<Shown> {
    let scene = tokio::select! {
        scene = S::start(dir) => scene?,
        () = interrupt.wait() => return Ok(Shown::Interrupted),
    };
    scene.introduce(report);
    tokio::select! {
        toured = scene.tour(report) => toured?,
        () = interrupt.wait() => {
            scene.stop(report).await?;
            return Ok(Shown::Interrupted);
        }
    }
    if once {
        scene.check_commands(report).await?;
    } else {
        scene.print_commands(report)?;
        tokio::select! {
            () = interrupt.wait() => report.text("\nDraining the gateways ..."),
            died = scene.gateway_died() => anyhow::bail!("{died}"),
        }
    }
    scene.stop(report).await?;
    Ok(Shown::Whole)
}

/// How far it came.
enum Shown {
    Whole,
    Interrupted,
}

/// A folder for certificates, catalogs and logs, beside the build; removed when dropped.
fn folder() -> Result<tempfile::TempDir> {
    let parent = gateway_testkit::target_dir()?;
    let made = tempfile::Builder::new().prefix("quickstart-").tempdir_in(&parent);
    made.with_context(|| format!("cannot make a folder in {}", parent.display()))
}

/// Ctrl-C, a service manager's request, or a closed terminal.
struct Interrupt([tokio::signal::unix::Signal; 3]);

impl Interrupt {
    fn new() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [a, b, c] = kinds.map(signal);
        Ok(Interrupt([a?, b?, c?]))
    }

    async fn wait(&mut self) {
        let [a, b, c] = &mut self.0;
        tokio::select! { _ = a.recv() => {} _ = b.recv() => {} _ = c.recv() => {} }
    }
}

/// How often what may end by itself is looked at.
const LOOK: Duration = Duration::from_millis(200);
