//! `doctor`: tries what the gateway needs, as the user it is run by, and says what is missing.
//!
//! Nothing stays: sockets are closed again, nothing is written, and Consul is only asked. Where the gateway itself runs
//! already, its own addresses are in use, which is said and no failure.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_state::mesh::MeshSnapshot;

use crate::catalog;
use crate::role::MeshGateway;
use crate::settings::{Role, Settings, Source};
use crate::terminating::TerminatingGateway;
use report::Report;

mod addresses;
mod consul;
mod host;
mod remote;
mod report;
mod services;
#[cfg(test)]
mod tests;

/// How long the admin endpoint of a running gateway may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tries everything and prints one line for each thing; true if nothing failed.
pub fn doctor(settings: &Settings, out: &mut dyn Write) -> bool {
    let mut report = Report::new(out);
    let (listeners, snapshot) = match &settings.source {
        Source::Catalog(path) if settings.role == Role::Terminating => {
            terminating(settings, path, &mut report);
            (settings.listen.clone(), None)
        }
        Source::Catalog(path) => (settings.listen.clone(), files(settings, path, &mut report)),
        Source::Consul(of_consul) if settings.role == Role::Terminating => {
            let found = consul::try_all::<TerminatingGateway>(settings, of_consul, &mut report);
            (found.listeners, None)
        }
        Source::Consul(of_consul) => {
            let found = consul::try_all::<MeshGateway>(settings, of_consul, &mut report);
            (found.listeners, found.snapshot)
        }
    };
    if let Some(file) = &settings.access_log_file {
        access_log(file, &mut report);
    }
    addresses::try_all(settings, &listeners, PATIENCE, &mut report);
    host::descriptors(settings, host::descriptor_limit(), &mut report);
    if settings.role == Role::Mesh {
        host::pipes(settings, &host::PipeRules::of_this_host(), &mut report);
    }
    if let Some(snapshot) = snapshot {
        remote::try_all(&snapshot, &remote::Network::system(settings), &mut report);
    }
    report.is_good()
}

/// The catalog of files of a terminating gateway, and its services as the gateway would serve them.
fn terminating(settings: &Settings, path: &Path, report: &mut Report<'_>) {
    let what = "catalog";
    match catalog::load::<TerminatingGateway>(settings, path) {
        Ok(snapshot) => {
            let services = snapshot.services.len();
            report.ok(what, format!("{} is good and links {services} services", path.display()));
            for warning in &snapshot.warnings {
                report.warn(what, warning.to_string());
            }
            services::try_all(settings, &snapshot, report);
        }
        Err(problems) => {
            for problem in &problems.problems {
                report.fail(what, problem.to_string());
            }
        }
    }
}

/// The catalog of files.
fn files(settings: &Settings, path: &Path, report: &mut Report<'_>) -> Option<Arc<MeshSnapshot>> {
    let what = "catalog";
    match catalog::load::<MeshGateway>(settings, path) {
        Ok(snapshot) => {
            let names = snapshot.table.targets().len();
            report.ok(what, format!("{} is good and has {names} names", path.display()));
            for warning in &snapshot.warnings {
                report.warn(what, warning.to_string());
            }
            Some(snapshot)
        }
        Err(problems) => {
            for problem in &problems.problems {
                report.fail(what, problem.to_string());
            }
            None
        }
    }
}

/// Whether the file, or one new in its folder, can be written to; nothing is written.
fn access_log(file: &Path, report: &mut Report<'_>) {
    let what = "access log";
    let existed = file.exists();
    match std::fs::OpenOptions::new().append(true).create(true).open(file) {
        Ok(_) => {
            if !existed {
                // It was made to see that it can be.
                let _ = std::fs::remove_file(file);
            }
            report.ok(what, format!("{} can be written", file.display()));
        }
        Err(error) => report.fail(
            what,
            format!("cannot open {}: {error}; make its folder, or let this user write there", file.display()),
        ),
    }
}
