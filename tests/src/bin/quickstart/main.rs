//! Two datacenters on this machine, joined by two mesh gateways as real processes; a call through them, hop by hop,
//! with what each hop recorded.
//!
//! Started by `scripts/quickstart`, which builds the gateways first. Stays until Ctrl-C; `--once` checks and ends.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

mod by_hand;
mod report;
mod tour;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use report::Report;
use world::World;

#[tokio::main]
async fn main() -> ExitCode {
    let once = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--once" => true,
        other => {
            eprintln!("quickstart: unknown arguments {other:?} (there is only --once)");
            return ExitCode::from(2);
        }
    };
    match quickstart(once).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\nquickstart: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was as expected.
async fn quickstart(once: bool) -> Result<bool> {
    // Listened for from the start: an early Ctrl-C also ends in order.
    let mut interrupt = Interrupt::new()?;
    let dir = folder()?;
    let mut report = Report::new();
    let shown = show(dir.path(), &mut report, once, &mut interrupt).await;
    if matches!(shown, Ok(Shown::Interrupted)) {
        eprintln!("quickstart: interrupted before it was through");
        return Ok(!once);
    }
    if shown.is_err() || !report.is_good() {
        // What went wrong is in there.
        println!("\nThe gateways' logs are kept in {}", dir.keep().display());
    }
    shown?;
    report.summary();
    Ok(report.is_good())
}

async fn show(dir: &Path, report: &mut Report, once: bool, interrupt: &mut Interrupt) -> Result<Shown> {
    let world = tokio::select! {
        world = World::start(dir) => world?,
        () = interrupt.wait() => return Ok(Shown::Interrupted),
    };
    world.introduce(report);
    tokio::select! {
        toured = tour::run(&world, report) => toured?,
        () = interrupt.wait() => {
            world.stop(report).await?;
            return Ok(Shown::Interrupted);
        }
    }
    if once {
        by_hand::check(&world, report).await?;
    } else {
        by_hand::print(&world, report);
        tokio::select! {
            () = interrupt.wait() => report.text("\nDraining the gateways ..."),
            died = world.gateway_died() => anyhow::bail!("{died}"),
        }
    }
    world.stop(report).await?;
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
