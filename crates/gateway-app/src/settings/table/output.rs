//! What the process writes, and how it ends.

use super::*;

const WORDS_OF_LEVEL: &[&str] = &["error", "warn", "info", "debug", "trace"];

pub(super) static OUTPUT: &[Key] = &[
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
        Path(|s, v| s.access_log_file = Some(v.into())),
        "",
        "File for access records, opened again on SIGHUP. Default: standard error."
    ),
];

pub(super) static PROCESS: &[Key] = &[
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
