//! What only a terminating gateway has.

use super::super::terminating::{Reauthorize, guard};
use super::*;

pub(super) static SERVICES: &[Key] = &[
    key!(
        "dry_run",
        Bool(|s, v| s.terminating.dry_run = v),
        "false",
        "Judge and report, but let pass what the intentions deny. For one service alone: `dry_run` below `[services.\"NAME\"]`."
    ),
    key!(
        "source_address",
        Ip(|s, v| s.terminating.source_address = Some(v)),
        "",
        "Address of this host that connections to external services leave from. Each holds a port of it, about 28,000 at a time. For one service alone: `source_address` below `[services.\"NAME\"]`."
    ),
    key!(
        "dns_guard",
        Texts(|s, v| guard(v).map(|guard| s.terminating.dns_guard = guard)),
        "loopback,link-local,metadata",
        "Kinds of addresses that host names may not stand for: `loopback`, `link-local`, `metadata`, `private`; `none` lets all pass. Addresses that documents write themselves are not looked at."
    ),
    key!(
        "reauthorize_tcp",
        Choice(&["cut", "keep"], |s, v| {
            s.terminating.reauthorize = if v == "keep" { Reauthorize::Keep } else { Reauthorize::Cut };
        }),
        "cut",
        "What becomes of an open TCP connection that a change of intentions denies: `cut` within a second, or `keep` until it ends, as Consul documents it."
    ),
];

pub(super) static TIMERS: &[Key] = &[
    key!(
        "timers.handshake",
        Time(
            Span {
                zero: None,
                least: MS,
                most: HOUR,
                why: "without a deadline a silent client holds its place for ever"
            },
            |s, v| s.terminating.handshake = v
        ),
        "15s",
        "Deadline for a whole TLS handshake with a client, from accepting on, however slowly its bytes arrive."
    ),
    key!(
        "timers.denied_close",
        Time(
            Span {
                zero: Some("closing at once"),
                least: MS,
                most: MINUTE,
                why: "a denied client holds its place so long"
            },
            |s, v| s.terminating.denied_close = v
        ),
        "1s",
        "Longest wait for a denied client to close its side, so that it sees an orderly end and not a reset."
    ),
    key!(
        "timers.unlinked",
        Time(
            Span {
                zero: Some("cutting them at once"),
                least: MS,
                most: WEEK,
                why: "use max_age for a bound on all"
            },
            |s, v| s.terminating.unlinked = v
        ),
        "10m",
        "Time that open connections get when their service is no longer linked."
    ),
    key!(
        "timers.session",
        Time(
            Span {
                zero: Some("a full handshake each time"),
                least: SECOND,
                most: HOUR,
                why: "a session must not outlive what was checked by much"
            },
            |s, v| s.terminating.session = v
        ),
        "1h",
        "How long a client may resume a TLS session. A change of the leaf or the roots ends all sessions of a service sooner."
    ),
    key!(
        "timers.dns_floor",
        Time(
            Span { zero: None, least: TENTH, most: DAY, why: "name servers limit the rate of questions" },
            |s, v| s.terminating.dns_floor = v
        ),
        "5s",
        "Shortest time after which a host name is resolved again, whatever its answer says. `timers.dns_refresh` is the longest."
    ),
];

pub(super) static LIMITS: &[Key] = &[
    key!(
        "limits.handshakes",
        Count(Span { zero: None, least: 1, most: 1_000_000, why: "each holds about 40 KiB" }, |s, v| s
            .terminating
            .handshakes =
            size(v)),
        "1024",
        "TLS handshakes with clients that one worker has under way; one more is refused."
    ),
    key!(
        "limits.session_memory",
        Bytes(
            Span {
                zero: Some("no session is kept"),
                least: 64 << 10,
                most: 16 << 30,
                why: "a session takes about 1 KiB"
            },
            |s, v| s.terminating.session_memory = size(v)
        ),
        "16MiB",
        "Memory of all TLS sessions that clients may resume."
    ),
    key!(
        "limits.session_memory_per_service",
        Bytes(
            Span {
                zero: Some("no session is kept"),
                least: 64 << 10,
                most: 16 << 30,
                why: "a session takes about 1 KiB"
            },
            |s, v| s.terminating.session_memory_per_service = size(v)
        ),
        "4MiB",
        "What of it one service may take."
    ),
];
