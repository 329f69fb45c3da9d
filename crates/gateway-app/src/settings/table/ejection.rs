//! When an endpoint that fails is left out.

use super::*;

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
