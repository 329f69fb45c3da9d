//! Bounds of the conversation with Consul.

use super::*;

pub(super) static LIMITS: &[Key] = &[
    key!(
        "limits.consul_connections",
        Count(
            span(2, 10_000, "an agent allows 200 connections an address unless it is told otherwise"),
            |s, v| s.consul_limits.connections = size(v)
        ),
        "64",
        "Connections to Consul, those included whose reads Consul still holds."
    ),
    key!(
        "limits.consul_reserved",
        Count(span(1, 1_000, "what cannot wait must find a connection"), |s, v| s.consul_limits.reserved =
            size(v)),
        "8",
        "How many of these are kept for reads that do not wait and for registration."
    ),
    key!(
        "limits.consul_idle_connections",
        Count(span(0, 10_000, "each takes a place at the agent"), |s, v| s.consul_limits.idle = size(v)),
        "32",
        "Connections to Consul that are kept without work."
    ),
    key!(
        "limits.consul_streams",
        Count(
            span(1, 250, "Consul serves 250 requests on one connection at a time, and reads need some"),
            |s, v| s.consul_limits.streams = size(v)
        ),
        "200",
        "Waiting reads on one connection where Consul speaks HTTP/2 (over TLS)."
    ),
    key!(
        "limits.consul_answer_bytes",
        Bytes(span(64 << 10, 4 << 30, "an answer is read into memory"), |s, v| s
            .consul_limits
            .answer_bytes = size(v)),
        "64MiB",
        "Largest answer; one that is larger is an error, and what was known stays."
    ),
    key!(
        "limits.consul_queries_per_second",
        Count(span(1, U32, "a gateway must not be a load for Consul"), |s, v| s
            .consul_limits
            .queries_per_second =
            word(v)),
        "2000",
        "Requests a second, all together, whatever happens."
    ),
    key!(
        "limits.consul_burst",
        Count(span(1, U32, "it is counted in 32 bits"), |s, v| s.consul_limits.burst = word(v)),
        "200",
        "Requests that may come at once before that bound is felt."
    ),
    key!(
        "limits.consul_requests",
        Count(span(1, 1_000_000, "each of them is work for the agent at the same time"), |s, v| s
            .consul_limits
            .requests =
            size(v)),
        "256",
        "Requests at one time that Consul does not hold back."
    ),
    key!(
        "limits.consul_reads",
        Count(span(1, 10_000, "each of them is work for the agent at the same time"), |s, v| s
            .consul_limits
            .reads =
            size(v)),
        "32",
        "Reads at one time where names are read in turn."
    ),
    key!(
        "limits.consul_resets_per_second",
        Count(span(1, 10_000, "agents close connections on which many requests are given up"), |s, v| s
            .consul_limits
            .resets_per_second =
            word(v)),
        "10",
        "Requests of HTTP/2 that are given up in a second; the others run to their end unread."
    ),
    key!(
        "limits.consul_addresses_per_name",
        Count(span(1, 1_000, "each that is silent costs a part of timers.consul_connect"), |s, v| s
            .consul_limits
            .addresses_per_name =
            size(v)),
        "8",
        "Addresses of one host name in `http_addr` that are tried."
    ),
    key!(
        "limits.consul_watched_names",
        Count(span(0, 10_000, "over HTTP/1.1 each holds a connection"), |s, v| s
            .consul_limits
            .watched_names = size(v)),
        "40",
        "Over HTTP/1.1: with more names than this each one is read in turn, in place of a waiting read for each."
    ),
    key!(
        "limits.consul_watched_again",
        Count(span(0, 10_000, "over HTTP/1.1 each holds a connection"), |s, v| s
            .consul_limits
            .watched_again = size(v)),
        "30",
        "With no more names than this each one has a waiting read again."
    ),
    key!(
        "limits.consul_mode",
        Choice(&["auto", "block", "sweep"], |s, v| s.consul_limits.mode = v.parse().unwrap_or_default()),
        "auto",
        "`block`: a waiting read for each name, whatever their number; `sweep`: each name is read in turn; `auto`: by protocol and number of names."
    ),
];
