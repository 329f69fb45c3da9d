//! The table of all settings.
//!
//! Flags, variables, keys of the file and the reference are made from these rows.

use std::time::Duration;

use super::DEFAULT_PORT;
use super::keys::Key;
use super::kind::{Kind, Span, address};
use Kind::{Address, Bytes, Choice, Count, Duration as Time, Listeners, OwnAddress, PowerOfTwo, Text};

macro_rules! key {
    ($name:literal, $kind:expr, $default:expr, $meaning:literal) => {
        Key { name: $name, kind: $kind, default: $default, meaning: $meaning }
    };
}

const WORDS_OF_LEVEL: &[&str] = &["error", "warn", "info", "debug", "trace"];

pub(super) static TOP: &[Key] = &[
    key!(
        "catalog",
        Kind::Path(|s, v| s.catalog = v.into()),
        "",
        "File or folder with the static catalog. It is watched: changes go live with no connection cut."
    ),
    key!(
        "service",
        Text(|s, v| name(v).map(|v| s.service = v)),
        "",
        "Name of the gateway's own service in the catalog. Limits come from the `service-defaults` of this name. Default: the role's, `mesh-gateway`."
    ),
    key!(
        "address",
        OwnAddress(|s, v| s.listen = vec![("default".to_owned(), v)]),
        "0.0.0.0:8443",
        "Address to listen on. The port is 8443 where none is given. Not used when `bind_address` is given."
    ),
    key!(
        "wan_address",
        Text(|s, v| host_port(v).map(|v| s.wan_address = Some(v))),
        "",
        "Address by which other datacenters reach this gateway. Where it is an IP, an endpoint with this address is the gateway itself: dialling it would be a loop and is refused. The port is 8443 where none is given."
    ),
    key!(
        "bind_address",
        Listeners(|s, v| if !v.is_empty() {
            s.listen = v;
        }),
        "",
        "Listeners with names, in place of `address`. The flag may be repeated; the variable takes a list with commas. All listeners serve the same names."
    ),
    key!(
        "admin_bind",
        Address(|s, v| s.admin_bind = v),
        "127.0.0.1:19000",
        "Address of the admin endpoint. Whoever reaches it reads everything but secrets: keep it on loopback."
    ),
    key!(
        "admin_token_file",
        Kind::Path(|s, v| s.admin_token_file = Some(v.into())),
        "",
        "File with the token for what changes state on the admin endpoint (`PUT /log-level`). Without it nothing does."
    ),
    key!(
        "log_level",
        Choice(WORDS_OF_LEVEL, |s, v| v.clone_into(&mut s.log_level)),
        "info",
        "Least important lines that are logged."
    ),
    key!(
        "log_format",
        Choice(&["text", "json"], |s, v| s.log_format = v.parse().unwrap_or_default()),
        "text",
        "How log lines and access records are written."
    ),
    key!(
        "access_log",
        Choice(&["off", "problems", "all"], |s, v| s.access_log = v.parse().unwrap_or_default()),
        "problems",
        "Which connections get an access record. `problems`: those refused, cut or failed, rate limited."
    ),
    key!(
        "access_log_file",
        Kind::Path(|s, v| s.access_log_file = Some(v.into())),
        "",
        "File for access records, opened again on SIGHUP. Default: standard error."
    ),
    key!(
        "drain_time",
        Time(
            Span {
                zero: Some("cutting them at once"),
                least: MS,
                most: DAY,
                why: "a process that waits longer looks stuck"
            },
            |s, v| s.drain_time = v
        ),
        "30s",
        "Time that open connections get after SIGTERM or SIGINT."
    ),
    key!(
        "workers",
        Count(
            Span {
                zero: Some("one per CPU"),
                least: 1,
                most: 1024,
                why: "threads beyond the number of CPUs only cost"
            },
            |s, v| s.workers = size(v)
        ),
        "0",
        "Threads that carry traffic."
    ),
];

pub(super) static TIMERS: &[Key] = &[
    key!(
        "timers.hello",
        Time(
            Span {
                zero: None,
                least: MS,
                most: HOUR,
                why: "without a deadline a silent client holds its place for ever"
            },
            |s, v| s.timers.hello = v
        ),
        "10s",
        "Deadline for a whole ClientHello, from accepting on, however slowly its bytes arrive."
    ),
    key!(
        "timers.connect",
        Time(
            Span {
                zero: None,
                least: MS,
                most: HOUR,
                why: "without a deadline a silent endpoint holds its clients for ever"
            },
            |s, v| s.timers.connect = v
        ),
        "5s",
        "Time for connecting to an endpoint, all attempts together. The `ConnectTimeout` of a service's resolver wins for that service. A second endpoint is tried after a third of it."
    ),
    key!(
        "timers.idle",
        Time(Span { zero: Some("no limit"), least: MS, most: WEEK, why: "use 0 for no limit" }, |s, v| s
            .timers
            .idle =
            v),
        "1h",
        "Longest time without a byte in either direction. Consul's own connections need more than 2 minutes."
    ),
    key!(
        "timers.max_age",
        Time(Span { zero: Some("no limit"), least: MS, most: YEAR, why: "use 0 for no limit" }, |s, v| s
            .timers
            .max_age =
            v),
        "0s",
        "Longest life of a connection."
    ),
    key!(
        "timers.sweep",
        Time(
            Span {
                zero: None,
                least: MS,
                most: MINUTE,
                why: "idle and aged connections are cut this late at most"
            },
            |s, v| s.timers.sweep = v
        ),
        "1s",
        "How often idle and aged connections are looked for."
    ),
    key!(
        "timers.catalog_settle",
        Time(
            Span { zero: None, least: MS, most: MINUTE, why: "a file that is half written must not be read" },
            |s, v| s.timers.catalog_settle = v
        ),
        "50ms",
        "Quiet time after a change of the catalog before it is read."
    ),
    key!(
        "timers.catalog_poll",
        Time(
            Span {
                zero: None,
                least: Duration::from_millis(100),
                most: DAY,
                why: "looking costs a system call for each file"
            },
            |s, v| s.timers.catalog_poll = v
        ),
        "30s",
        "How often the catalog is looked at without being told of a change (network file systems tell nothing)."
    ),
    key!(
        "timers.dns_refresh",
        Time(
            Span {
                zero: None,
                least: Duration::from_millis(100),
                most: DAY,
                why: "name servers limit the rate of questions"
            },
            |s, v| s.timers.dns_refresh = v
        ),
        "10s",
        "How often host names of endpoints are resolved again. The last good answer stays while resolving fails."
    ),
    key!(
        "timers.dns_lookup",
        Time(
            Span {
                zero: None,
                least: Duration::from_millis(10),
                most: MINUTE,
                why: "a name server needs a moment, and nobody waits for longer"
            },
            |s, v| s.timers.dns_lookup = v
        ),
        "10s",
        "Longest time for one look-up of a host name."
    ),
    key!(
        "timers.dns_retry",
        Time(
            Span { zero: None, least: MS, most: HOUR, why: "a shorter pause is a flood of questions" },
            |s, v| s.timers.dns_retry = v
        ),
        "1s",
        "Pause after a look-up that failed; it doubles up to `timers.dns_retry_max`."
    ),
    key!(
        "timers.dns_retry_max",
        Time(
            Span {
                zero: None,
                least: MS,
                most: DAY,
                why: "it bounds how late a name that works again is noticed"
            },
            |s, v| s.timers.dns_retry_max = v
        ),
        "30s",
        "Longest pause after look-ups that failed."
    ),
    key!(
        "timers.accept_backoff",
        Time(
            Span {
                zero: None,
                least: MS,
                most: MINUTE,
                why: "a shorter pause is a busy loop, a longer one an outage"
            },
            |s, v| s.timers.accept_backoff = v
        ),
        "100ms",
        "First pause of accepting when descriptors, memory or `limits.max_connections` are out; it grows up to 16 times this."
    ),
    key!(
        "timers.closing_tick",
        Time(
            Span {
                zero: Some("waiting for each one's own event"),
                least: MS,
                most: Duration::from_secs(1),
                why: "bytes of a half-closed connection may wait as long, once"
            },
            |s, v| s.timers.closing_tick = v
        ),
        "8ms",
        "How long the end of a connection may wait for others, so that one wake-up serves many."
    ),
    key!(
        "timers.remote_keepalive",
        Time(
            Span {
                zero: Some("never"),
                least: Duration::from_secs(1),
                most: DAY,
                why: "the kernel counts it in seconds"
            },
            |s, v| s.timers.remote_keepalive = v
        ),
        "0s",
        "Silence after which a connection to a gateway of another datacenter or partition is probed (TCP keepalive)."
    ),
    key!(
        "timers.remote_keepalive_interval",
        Time(
            Span {
                zero: None,
                least: Duration::from_secs(1),
                most: HOUR,
                why: "the kernel counts it in seconds"
            },
            |s, v| s.timers.remote_keepalive_interval = v
        ),
        "15s",
        "Time between such probes."
    ),
];

pub(super) static LIMITS: &[Key] = &[
    key!(
        "timers.admin_request",
        Time(Span { zero: None, least: MS, most: HOUR, why: "a page needs a moment" }, |s, v| s
            .timers
            .admin_request =
            v),
        "10s",
        "Time for the head of a request to the admin endpoint, and for its answer."
    ),
    key!(
        "timers.admin_connection",
        Time(
            Span { zero: None, least: MS, most: HOUR, why: "it bounds a reader who does not read" },
            |s, v| s.timers.admin_connection = v
        ),
        "30s",
        "Longest life of a connection to the admin endpoint."
    ),
    key!(
        "timers.log_quiet",
        Time(
            Span { zero: None, least: MS, most: DAY, why: "shorter fills the log with one line" },
            |s, v| s.timers.log_quiet = v
        ),
        "10s",
        "Time in which a line of the same kind and cause is logged once; the others are counted."
    ),
    key!(
        "timers.last_words",
        Time(
            Span { zero: None, least: MS, most: MINUTE, why: "longer keeps a supervisor waiting" },
            |s, v| s.timers.last_words = v
        ),
        "1s",
        "At the end of the process: longest wait for each of its parts, logs included."
    ),
    key!(
        "limits.hello_bytes",
        Bytes(
            Span {
                zero: None,
                least: 1 << 10,
                most: 1 << 20,
                why: "smaller ones refuse ordinary clients, larger ones are no ClientHello"
            },
            |s, v| s.limits.hello_bytes = size(v)
        ),
        "64KiB",
        "Longest ClientHello, record headers included."
    ),
    key!(
        "limits.hello_memory",
        Bytes(
            Span {
                zero: None,
                least: 64 << 10,
                most: 64 << 30,
                why: "it must hold at least one ClientHello"
            },
            |s, v| s.limits.hello_memory = size(v)
        ),
        "64MiB",
        "Memory of all ClientHellos that wait: three quarters for incomplete ones, one for whole ones whose endpoint is being dialled."
    ),
    key!(
        "limits.max_connections",
        Count(
            Span {
                zero: Some("what the limit of open files allows"),
                least: 1,
                most: 10_000_000,
                why: "no host has descriptors for more"
            },
            |s, v| s.limits.max_connections = size(v)
        ),
        "0",
        "Open connections of the process; at the limit accepting pauses. Each needs two descriptors."
    ),
    key!(
        "limits.connections_per_service",
        Count(Span { zero: Some("none"), least: 1, most: U32, why: "it is counted in 32 bits" }, |s, v| s
            .limits
            .connections_per_service =
            word(v)),
        "0",
        "Open connections of one name whose documents set no limit. One more is closed at once."
    ),
    key!(
        "limits.pending_per_service",
        Count(Span { zero: Some("none"), least: 1, most: U32, why: "it is counted in 32 bits" }, |s, v| s
            .limits
            .pending_per_service =
            word(v)),
        "0",
        "Connections of one name that wait for their endpoint, where its documents set no limit. One more is closed at once."
    ),
    key!(
        "limits.pipe_memory",
        Bytes(
            Span {
                zero: Some("copying bulk instead of splicing"),
                least: 64 << 10,
                most: 64 << 30,
                why: "it must hold at least one pipe"
            },
            |s, v| s.limits.pipe_memory = size(v)
        ),
        "48MiB",
        "Kernel memory of all pipes that carry bulk. Linux grants 64 MiB to an ordinary user, all processes together; beyond either bound bulk is copied."
    ),
    key!(
        "limits.pipe_size",
        PowerOfTwo(
            Span {
                zero: None,
                least: 64 << 10,
                most: 1 << 20,
                why: "a smaller pipe is no faster than copying, a larger one is refused to ordinary users"
            },
            |s, v| s.limits.pipe_size = size(v)
        ),
        "512KiB",
        "Size of one pipe."
    ),
    key!(
        "limits.pipe_spare",
        Count(Span { zero: None, least: 0, most: 100_000, why: "each holds two descriptors" }, |s, v| s
            .limits
            .pipe_spare =
            size(v)),
        "32",
        "Pipes kept open while nobody uses them."
    ),
    key!(
        "limits.closing_per_tick",
        Count(
            Span { zero: None, least: 0, most: 100_000, why: "more than a worker closes in a tick" },
            |s, v| s.limits.closing_per_tick = size(v)
        ),
        "16",
        "Connections of one worker that share a `timers.closing_tick`; more wait for events of their own."
    ),
    key!(
        "limits.admin_connections",
        Count(Span { zero: None, least: 1, most: 100_000, why: "each holds a descriptor" }, |s, v| s
            .limits
            .admin_connections =
            size(v)),
        "64",
        "Connections to the admin endpoint at one time; more wait."
    ),
    key!(
        "limits.services_in_metrics",
        Count(
            Span { zero: None, least: 0, most: 100_000, why: "each adds about 30 series to every scrape" },
            |s, v| s.limits.services_in_metrics = size(v)
        ),
        "2000",
        "Services with metrics of their own; the others share `other`."
    ),
    key!(
        "limits.names",
        Count(
            Span { zero: None, least: 1, most: 1_000_000, why: "each is resolved again and again" },
            |s, v| s.limits.names = size(v)
        ),
        "4096",
        "Host names of endpoints that are resolved."
    ),
    key!(
        "limits.catalog_files",
        Count(
            Span { zero: None, least: 1, most: 1_000_000, why: "each is looked at on every poll" },
            |s, v| s.limits.catalog_files = size(v)
        ),
        "20000",
        "Files of the catalog."
    ),
    key!(
        "limits.catalog_bytes",
        Bytes(
            Span { zero: None, least: 1 << 10, most: 16 << 30, why: "a catalog is read into memory" },
            |s, v| s.limits.catalog_bytes = v
        ),
        "256MiB",
        "Bytes of all files of the catalog."
    ),
    key!(
        "limits.access_log_per_second",
        Count(
            Span { zero: None, least: 1, most: 1_000_000, why: "use access_log = \"off\" for none" },
            |s, v| s.limits.access_log_per_second = word(v)
        ),
        "100",
        "Access records a second with `access_log = \"problems\"`. What is left out is counted."
    ),
    key!(
        "limits.remote_keepalive_probes",
        Count(Span { zero: None, least: 1, most: 127, why: "the kernel takes no more" }, |s, v| s
            .limits
            .remote_keepalive_probes =
            word(v)),
        "4",
        "Unanswered probes after which a connection to a remote gateway is dead."
    ),
];

pub(super) static EJECTION: &[Key] = &[
    key!(
        "ejection.consecutive_failures",
        Count(
            Span { zero: Some("never"), least: 1, most: 1_000_000, why: "it would never happen" },
            |s, v| s.ejection.consecutive_failures = word(v)
        ),
        "5",
        "Failed connects in a row after which an endpoint is left out for a while. Never the last one of a set."
    ),
    key!(
        "ejection.base",
        Time(
            Span { zero: None, least: MS, most: DAY, why: "use consecutive_failures = 0 to leave none out" },
            |s, v| s.ejection.base = v
        ),
        "30s",
        "Length of the first ejection; the n-th lasts n times this."
    ),
    key!(
        "ejection.max",
        Time(
            Span {
                zero: None,
                least: MS,
                most: DAY,
                why: "an endpoint that has recovered should come back the same day"
            },
            |s, v| s.ejection.max = v
        ),
        "5m",
        "Longest ejection."
    ),
    key!(
        "ejection.max_percent",
        Count(Span { zero: None, least: 0, most: 100, why: "it is a percentage" }, |s, v| s
            .ejection
            .max_percent =
            percent(v)),
        "10",
        "Share of a set that may be left out at one time, in percent; one endpoint may always."
    ),
    key!(
        "ejection.panic_threshold",
        Count(Span { zero: Some("never"), least: 1, most: 100, why: "it is a percentage" }, |s, v| s
            .panic_threshold =
            percent(v)),
        "0",
        "Percent of healthy endpoints below which health is ignored and all are used. Consul's own proxy uses 50."
    ),
];

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const U32: u64 = u32::MAX as u64;

// The spans of the table keep values within these types; the fall-backs are never used.
fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn word(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn percent(value: u64) -> u8 {
    u8::try_from(value).unwrap_or(100)
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 255 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("{text:?} is not a name: 1 to 255 bytes without spaces are"));
    }
    Ok(text.to_owned())
}

/// `HOST:PORT` or `HOST`, where the host may be a name.
fn host_port(text: &str) -> Result<String, String> {
    if let Ok(address) = address(text, Some(DEFAULT_PORT)) {
        return Ok(address.to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("\"{port}\" is not a port"))?),
        None => (text, DEFAULT_PORT),
    };
    match mesh_id::is_valid_sni_host(host) {
        Ok(()) => Ok(format!("{}:{port}", host.to_ascii_lowercase())),
        Err(why) => Err(format!("\"{host}\" is neither an IP address nor a host name: {why}")),
    }
}
