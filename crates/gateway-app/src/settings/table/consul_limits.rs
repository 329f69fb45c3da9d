//! Bounds of the conversation with Consul.

use catalog_client::planner::Mode;

use super::*;

fn mode(word: &str) -> Option<Mode> {
    match word {
        "block" => Some(Mode::Block),
        "sweep" => Some(Mode::Sweep),
        _ => None,
    }
}

pub(super) static LIMITS: &[Key] = &[
    key!(
        "limits.consul_connections",
        Count(
            span(2, 10_000, "an agent allows 200 connections an address unless it is told otherwise"),
            |s, v| s.tuning.limits.connections = size(v)
        ),
        "64",
        "Connections to Consul, those included whose reads Consul still holds."
    ),
    key!(
        "limits.consul_reserved",
        Count(span(1, 1_000, "what cannot wait must find a connection"), |s, v| s.tuning.limits.reserved =
            size(v)),
        "8",
        "How many of these are kept for reads that do not wait and for registration."
    ),
    key!(
        "limits.consul_idle_connections",
        Count(span(0, 10_000, "each takes a place at the agent"), |s, v| s.tuning.limits.idle = size(v)),
        "32",
        "Connections to Consul that are kept without work."
    ),
    key!(
        "limits.consul_streams",
        Count(
            span(1, 250, "Consul serves 250 requests on one connection at a time, and reads need some"),
            |s, v| s.tuning.limits.streams = size(v)
        ),
        "200",
        "Waiting reads on one connection where Consul speaks HTTP/2 (over TLS)."
    ),
    key!(
        "limits.consul_answer_bytes",
        Bytes(span(64 << 10, 4 << 30, "an answer is read into memory"), |s, v| s.tuning.limits.answer =
            size(v)),
        "64MiB",
        "Largest answer, decompressed; one that is larger is an error, and what was known stays."
    ),
    key!(
        "limits.consul_queries_per_second",
        Count(span(1, U32, "it is counted in 32 bits"), |s, v| s.tuning.limits.queries_per_second = word(v)),
        "2000",
        "Requests a second, all together, whatever happens; those above it wait."
    ),
    key!(
        "limits.consul_burst",
        Count(span(1, U32, "it is counted in 32 bits"), |s, v| s.tuning.limits.burst = word(v)),
        "500",
        "Requests that may come at once before that bound is felt."
    ),
    key!(
        "limits.consul_requests",
        Count(span(1, 1_000_000, "each of them is work for the agent at the same time"), |s, v| s
            .tuning
            .limits
            .reads =
            size(v)),
        "256",
        "Requests at one time that Consul does not hold back."
    ),
    key!(
        "limits.consul_resets_per_second",
        Count(span(1, 10_000, "agents close connections on which many requests are given up"), |s, v| s
            .tuning
            .limits
            .resets_per_second =
            word(v)),
        "10",
        "Requests of HTTP/2 that are given up in a second; the others run to their end unread."
    ),
    key!(
        "limits.consul_addresses_per_name",
        Count(span(1, 1_000, "each that is silent costs a part of timers.consul_connect"), |s, v| s
            .tuning
            .limits
            .addresses_per_name =
            size(v)),
        "8",
        "Addresses of one host name in `http_addr` that are tried."
    ),
    key!(
        "limits.consul_rounds_at_once",
        Count(span(1, 1_000, "more is a flood of requests"), |s, v| s.tuning.plan.watch.burst = word(v)),
        "3",
        "Answers of one read without news that may follow each other at once."
    ),
    key!(
        "limits.consul_early_returns",
        Count(span(1, 1_000_000, "one early answer is normal"), |s, v| s.tuning.plan.watch.early_returns =
            word(v)),
        "10",
        "Early answers of one read without news, in a row, that slow it down to `timers.consul_slow_round`."
    ),
    key!(
        "limits.consul_changes_at_once",
        Count(span(1, 1_000_000, "the first change must pass at once"), |s, v| s
            .tuning
            .plan
            .watch
            .change_burst = word(v)),
        "20",
        "Changes of one read that may follow each other at once."
    ),
    key!(
        "limits.consul_looks",
        Count(span(1, 1_000, "a registration takes a moment to reach the catalog"), |s, v| s
            .tuning
            .registrar
            .looks =
            word(v)),
        "5",
        "Misses after which the token counts as unable to see the own registration."
    ),
    key!(
        "limits.consul_events",
        Count(span(1, 1_000_000, "each waits in memory"), |s, v| s.tuning.plan.events = size(v)),
        "1024",
        "Answers that may wait to be worked on."
    ),
    key!(
        "limits.consul_reads",
        Count(span(1, 10_000, "each of them is work for the agent at the same time"), |s, v| s
            .tuning
            .plan
            .reads =
            size(v)),
        "32",
        "Reads at one time where names are read in turn."
    ),
    key!(
        "limits.consul_turns",
        Count(span(1, 10_000, "each of them is work for the agent at the same time"), |s, v| s
            .tuning
            .plan
            .sweep_reads =
            size(v)),
        "8",
        "Those among them that are only their turn."
    ),
    key!(
        "limits.consul_quiet_burst",
        Count(span(0, 1_000, "each lists all names"), |s, v| s.tuning.plan.quiet_burst = word(v)),
        "3",
        "Lists of all names without a new one that may follow each other at once before `timers.consul_quiet` counts."
    ),
    key!(
        "limits.consul_watched_names",
        Count(span(0, 10_000, "over HTTP/1.1 each holds a connection"), |s, v| s.tuning.plan.block_up =
            size(v)),
        "40",
        "Over HTTP/1.1: with more names than this each one is read in turn, in place of a waiting read for each."
    ),
    key!(
        "limits.consul_watched_again",
        Count(span(0, 10_000, "over HTTP/1.1 each holds a connection"), |s, v| s.tuning.plan.block_down =
            size(v)),
        "30",
        "With no more names than this each one has a waiting read again."
    ),
    key!(
        "limits.consul_few_names",
        Count(span(0, 1_000_000, "more names take longer to read"), |s, v| s.tuning.plan.rounds.few =
            size(v)),
        "100",
        "Up to so many names are read in turn within `timers.consul_few`."
    ),
    key!(
        "limits.consul_some_names",
        Count(span(0, 1_000_000, "more names take longer to read"), |s, v| s.tuning.plan.rounds.some =
            size(v)),
        "1000",
        "Up to so many within `timers.consul_some`, more within `timers.consul_many`."
    ),
    key!(
        "limits.consul_idle_names",
        Count(span(1, 1_000, "it bounds how late a name that comes alive is seen"), |s, v| s
            .tuning
            .plan
            .rounds
            .idle =
            word(v)),
        "5",
        "Names without anything behind them are read this many times as seldom."
    ),
    key!(
        "limits.consul_names",
        Count(span(1, 10_000_000, "each is read again and again"), |s, v| s.tuning.plan.max_names = size(v)),
        "20000",
        "Names that are read; those beyond are counted and logged."
    ),
    key!(
        "limits.consul_mode",
        Choice(&["auto", "block", "sweep"], |s, v| s.tuning.plan.mode = mode(v)),
        "auto",
        "`block`: a waiting read for each name, whatever their number; `sweep`: each name is read in turn; `auto`: by protocol and number of names."
    ),
];
