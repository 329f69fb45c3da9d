//! Own addresses: bound as the gateway binds them, and released.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use gateway_runtime::admin::AdminToken;
use gateway_runtime::listener::Bound;

use super::report::Report;
use crate::admin_client::ask;
use crate::settings::Settings;

/// `listeners`: where the gateway would listen.
pub(super) fn try_all(
    settings: &Settings,
    listeners: &[(String, SocketAddr)],
    patience: Duration,
    report: &mut Report<'_>,
) {
    let running = ask(settings.admin_bind, "/live", patience).is_ok_and(|answer| answer.status == 200);
    for (name, address) in listeners {
        match Bound::bind(name, *address) {
            Ok(_) => report.ok("listener", format!("{name}: {address} can be bound")),
            Err(error) if running && error.source.kind() == std::io::ErrorKind::AddrInUse => report.warn(
                "listener",
                format!(
                    "{name}: {address} is in use, perhaps by the gateway that answers at {}",
                    settings.admin_bind
                ),
            ),
            Err(error) => report.fail("listener", error.to_string()),
        }
    }
    admin(settings, running, report);
    if let Some(file) = &settings.admin_token_file {
        token(file, report);
    }
    if !settings.admin_bind.ip().is_loopback() {
        report.warn(
            "admin endpoint",
            format!(
                "{} can be reached from other hosts, and whoever reaches it reads names, addresses and settings; \
                 bind it to loopback, or keep others away by a firewall",
                settings.admin_bind
            ),
        );
    }
}

fn admin(settings: &Settings, running: bool, report: &mut Report<'_>) {
    let address = settings.admin_bind;
    if running {
        return report.ok("admin endpoint", format!("a running gateway answers at {address}"));
    }
    match TcpListener::bind(address) {
        Ok(_) => report.ok("admin endpoint", format!("{address} can be bound")),
        Err(error) => report.fail(
            "admin endpoint",
            format!("cannot bind {address}: {error}; choose another with --admin-bind, or end who has it"),
        ),
    }
}

fn token(file: &Path, report: &mut Report<'_>) {
    match AdminToken::from_file(file) {
        Ok(_) => report.ok("admin token", format!("{} is good", file.display())),
        Err(error) => report.fail("admin token", error.to_string()),
    }
}
