//! Deadlines and periods.

use super::*;

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
];
