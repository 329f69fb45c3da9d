//! Settings, as the parts of the process take them.

use std::path::Path;

use gateway_runtime::access_log::{AccessLog, AccessLogConfig};
use gateway_runtime::admin::{AdminLimits, AdminToken};
use gateway_runtime::metrics::Metrics;
use mesh_endpoints::{Limits as SetLimits, SetPolicy};
use mesh_forward::dns::NamesConfig;
use mesh_forward::tcp::socket::Keepalive;
use mesh_forward::tcp::{PipeConfig, Pipes, RelayConfig};

use super::Failure;
use crate::settings::{Role, Settings};

pub(super) fn admin_limits(settings: &Settings) -> AdminLimits {
    let timers = &settings.timers;
    AdminLimits {
        connections: settings.limits.admin_connections,
        header: timers.admin_request,
        request: timers.admin_request,
        connection: timers.admin_connection,
    }
}

pub(super) fn relay_config(settings: &Settings) -> RelayConfig {
    let limits = &settings.limits;
    RelayConfig {
        pipes: Pipes::new(PipeConfig {
            size: limits.pipe_size,
            memory: limits.pipe_memory,
            spare: limits.pipe_spare,
        }),
        closing_tick: settings.timers.closing_tick,
        closing_per_tick: limits.closing_per_tick,
    }
}

pub(super) fn remote_keepalive(settings: &Settings) -> Option<Keepalive> {
    let timers = &settings.timers;
    (!timers.remote_keepalive.is_zero()).then_some(Keepalive {
        idle: Some(timers.remote_keepalive),
        interval: Some(timers.remote_keepalive_interval),
        probes: Some(settings.limits.remote_keepalive_probes),
    })
}

/// What the settings add to every endpoint set.
pub(super) fn set_policy(settings: &Settings) -> SetPolicy {
    let bound = |limit: u32| (limit > 0).then_some(limit);
    SetPolicy {
        ejection: settings.ejection,
        panic_threshold: settings.panic_threshold,
        limits: SetLimits {
            max_connections: bound(settings.limits.connections_per_service),
            max_pending: bound(settings.limits.pending_per_service),
        },
        ..SetPolicy::default()
    }
}

pub(super) fn names_config(settings: &Settings) -> NamesConfig {
    let of_role = match settings.role {
        // Names of gateways lead where the mesh's own documents say.
        Role::Mesh => NamesConfig::default(),
        Role::Terminating => NamesConfig {
            floor: settings.terminating.dns_floor,
            guard: settings.terminating.dns_guard,
            ..NamesConfig::default()
        },
    };
    NamesConfig {
        refresh: settings.timers.dns_refresh,
        lookup_timeout: settings.timers.dns_lookup,
        retry: settings.timers.dns_retry,
        retry_max: settings.timers.dns_retry_max,
        max_names: settings.limits.names,
        ..of_role
    }
}

pub(super) fn read_token(file: &Path) -> Result<AdminToken, Failure> {
    AdminToken::from_file(file).map_err(|error| Failure::Files(vec![error.to_string()]))
}

/// `identities`: clients are known by certificates, and lines name them.
pub(super) fn open_access_log(
    settings: &Settings,
    metrics: &Metrics,
    identities: bool,
) -> Result<AccessLog, Failure> {
    let config = AccessLogConfig {
        mode: settings.access_log,
        format: settings.log_format,
        file: settings.access_log_file.clone(),
        per_second: settings.limits.access_log_per_second,
        identities,
        ..AccessLogConfig::default()
    };
    AccessLog::open_with(&config, metrics).map_err(|error| Failure::Files(vec![error.to_string()]))
}
