//! What the host grants: descriptors and kernel memory for pipes.

use std::fs;

use rustix::process::{Resource, geteuid, getrlimit};

use super::report::Report;
use crate::settings::Settings;
use crate::settings::format::show_bytes;

/// Fewer connections than this surprise nearly everybody.
const FEW_CONNECTIONS: usize = 4096;

/// The limit that the gateway raises itself to; `None` = unlimited.
pub(super) fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

pub(super) fn descriptors(settings: &Settings, limit: Option<u64>, report: &mut Report<'_>) {
    let limits = &settings.limits;
    let shown = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let needed = limits.descriptors_for(limits.max_connections);
    let way_out = "raise LimitNOFILE of its unit, or the hard limit of `ulimit -n`";
    match limit {
        Some(limit) if limits.max_connections > 0 && limit < needed => report.warn(
            "descriptors",
            format!(
                "limits.max_connections = {} needs {needed} open files, {shown} are allowed; {way_out}",
                limits.max_connections
            ),
        ),
        _ => {
            let connections = limits.connections(limit);
            let message = format!("{shown} open files, enough for {connections} connections");
            if connections < FEW_CONNECTIONS && limits.max_connections == 0 {
                report.warn("descriptors", format!("{message}; for more {way_out}"));
            } else {
                report.ok("descriptors", message);
            }
        }
    }
}

/// The kernel's rules for pipes of one user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PipeRules {
    /// The rules do not hold for this user (root). A capability that lifts them is not looked for.
    pub(super) exempt: bool,
    /// Bytes that all pipes of a user may have before new ones are small; 0 or `None` = no bound, or
    /// not known.
    pub(super) user_bytes: Option<u64>,
    /// Bytes that one pipe may have.
    pub(super) pipe_bytes: Option<u64>,
}

impl PipeRules {
    pub(super) fn of_this_host() -> Self {
        let number =
            |name: &str| fs::read_to_string(format!("/proc/sys/fs/{name}")).ok()?.trim().parse::<u64>().ok();
        let page = rustix::param::page_size() as u64;
        Self {
            exempt: geteuid().is_root(),
            user_bytes: number("pipe-user-pages-soft").map(|pages| pages.saturating_mul(page)),
            pipe_bytes: number("pipe-max-size"),
        }
    }
}

pub(super) fn pipes(settings: &Settings, rules: &PipeRules, report: &mut Report<'_>) {
    let (memory, size) = (settings.limits.pipe_memory as u64, settings.limits.pipe_size as u64);
    if memory == 0 {
        return report.ok("pipe memory", "limits.pipe_memory is 0: bulk is copied");
    }
    let mut good = true;
    let over = |bound: Option<u64>, wanted: u64| {
        bound.filter(|bound| !rules.exempt && *bound > 0 && *bound < wanted)
    };
    if let Some(bound) = over(rules.user_bytes, memory) {
        good = false;
        report.warn(
            "pipe memory",
            format!(
                "the kernel grants this user {} for pipes, limits.pipe_memory is {}: bulk beyond that is copied, \
                 which costs more CPU; raise fs.pipe-user-pages-soft or lower the setting",
                show_bytes(bound),
                show_bytes(memory)
            ),
        );
    }
    if let Some(bound) = over(rules.pipe_bytes, size) {
        good = false;
        report.warn(
            "pipe memory",
            format!(
                "the kernel grants this user pipes of {}, limits.pipe_size is {}; raise fs.pipe-max-size or lower \
                 the setting",
                show_bytes(bound),
                show_bytes(size)
            ),
        );
    }
    if good {
        report.ok(
            "pipe memory",
            format!("{} in pipes of {} are granted", show_bytes(memory), show_bytes(size)),
        );
    }
}
