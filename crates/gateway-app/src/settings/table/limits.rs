//! Bounds.

use super::*;

pub(super) static LIMITS: &[Key] = &[
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
