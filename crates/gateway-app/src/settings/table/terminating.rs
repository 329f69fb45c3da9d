//! What only a terminating gateway has.

use intentions::DefaultPolicy;

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

pub(super) static CONSUL: &[Key] = &[
    key!(
        "default_intention_policy",
        Choice(&["auto", "allow", "deny"], |s, v| {
            s.terminating.default_policy = match v {
                "allow" => Some(DefaultPolicy::Allow),
                "deny" => Some(DefaultPolicy::Deny),
                _ => None,
            };
        }),
        "auto",
        "What happens where no intention decides. `auto`: what Consul says, which is `deny` as long as it says nothing. A catalog of files says it itself (`DefaultPolicy` of `[Mesh]`)."
    ),
    key!(
        "timers.consul_intentions",
        Time(span(SECOND, HOUR, "more often is a load"), |s, v| s.terminating.intentions_every = v),
        "1m",
        "How often the intentions of each linked service are read although nothing says that they were written."
    ),
    key!(
        "timers.consul_leaf",
        Time(span(SECOND, HOUR, "leaves last for days"), |s, v| s.terminating.leaves.every = v),
        "5m",
        "How often a leaf that has no held read of its own is read."
    ),
    key!(
        "timers.consul_leaf_renew",
        Time(span(SECOND, HOUR, "an agent has to make keys and have them signed"), |s, v| s
            .terminating
            .leaves
            .renew_within =
            v),
        "1m",
        "Time in which all of these are read after a change of the active root."
    ),
    key!(
        "timers.consul_leaf_renew_for",
        Time(span(SECOND, DAY, "the CA may take its time"), |s, v| s.terminating.leaves.renew_for = v),
        "10m",
        "How long leaves of the old root are asked for so."
    ),
    key!(
        "timers.consul_leaf_overdue",
        Time(span(SECOND, HOUR, "more often is a load"), |s, v| s.terminating.leaves.overdue_every = v),
        "30s",
        "How often a leaf that should have been renewed is read."
    ),
    key!(
        "limits.consul_held_leaves",
        Count(span(0, 1_000, "over HTTP/1.1 each costs a connection"), |s, v| s.terminating.leaves.held =
            size(v)),
        "8",
        "Leaves with a held read of their own."
    ),
    key!(
        "limits.consul_leaf_reads",
        Count(span(1, 1_000, "an agent has to make a key and have it signed for each"), |s, v| s
            .terminating
            .leaves
            .reads =
            size(v)),
        "8",
        "Reads of leaves under way at a time."
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
