//! Tests of the access log against real files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::SystemTime;

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn record(id: u64, reason: Reason) -> ConnRecord<'static> {
    ConnRecord {
        id,
        listener: "wan",
        peer: "192.0.2.1:50000".parse().unwrap(),
        sni: None,
        alpn: None,
        service: None,
        rule: None,
        source: None,
        verdict: None,
        intention: None,
        endpoint: None,
        attempts: 0,
        opened: SystemTime::UNIX_EPOCH,
        duration: Duration::ZERO,
        connect: None,
        bytes_up: 0,
        bytes_down: 0,
        spliced: false,
        reason,
        detail: None,
    }
}

fn ids(file: &Path) -> Vec<u64> {
    let text = fs::read_to_string(file).unwrap();
    let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_u64().unwrap();
    text.lines().map(id).collect()
}

fn open(mode: AccessLogMode, file: &Path) -> AccessLog {
    AccessLog::open(mode, LogFormat::Json, Some(file), 100).unwrap()
}

#[test]
fn each_mode_writes_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let written = |mode| {
        let file = folder.path().join(format!("{mode:?}"));
        let log = open(mode, &file);
        log.write(&record(1, Reason::Closed));
        log.write(&record(2, Reason::UnknownSni));
        log.write(&record(3, Reason::Probe));
        drop(log);
        if file.exists() { ids(&file) } else { Vec::new() }
    };
    assert!(written(AccessLogMode::Off).is_empty());
    assert_eq!(written(AccessLogMode::Problems), [2]);
    assert_eq!(written(AccessLogMode::All), [1, 2, 3]);
}

#[test]
fn the_order_is_kept_and_the_end_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let log = open(AccessLogMode::All, &file);
    (0..2_000).for_each(|id| log.write(&record(id, Reason::Closed)));
    drop(log);
    assert_eq!(ids(&file), (0..2_000).collect::<Vec<_>>());
}

#[test]
fn many_threads_write_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let log = Arc::new(open(AccessLogMode::All, &file));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = Arc::clone(&log);
            scope.spawn(move || (0..500).for_each(|n| log.write(&record(thread * 500 + n, Reason::Closed))));
        }
    });
    assert!(log.flush(LONG));
    let mut ids = ids(&file);
    ids.sort_unstable();
    assert_eq!(ids, (0..2_000).collect::<Vec<_>>());
}

#[test]
fn the_file_is_appended_to_and_not_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    for id in 0..2 {
        open(AccessLogMode::All, &file).write(&record(id, Reason::Closed));
    }
    assert_eq!(ids(&file), [0, 1]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o137, 0);
}

#[test]
fn a_full_buffer_drops_and_counts_but_does_not_wait() {
    let metrics = Metrics::new(1);
    let config = AccessLogConfig { mode: AccessLogMode::All, buffer: 100, ..AccessLogConfig::default() };
    let log = AccessLog::open_with(&config, &metrics).unwrap();
    // A line is longer than the whole buffer.
    (0..10).for_each(|id| log.write(&record(id, Reason::Closed)));
    assert_eq!(metrics.access_log_dropped.get(), 10);
    drop(log);
}

#[test]
fn a_full_disk_is_counted_and_does_not_stop_the_log() {
    let metrics = Metrics::new(1);
    let config = AccessLogConfig {
        mode: AccessLogMode::All,
        file: Some("/dev/full".into()),
        ..AccessLogConfig::default()
    };
    let log = AccessLog::open_with(&config, &metrics).unwrap();
    log.write(&record(1, Reason::Closed));
    assert!(log.flush(LONG));
    log.write(&record(2, Reason::Closed));
    assert!(log.flush(LONG));
    assert_eq!(metrics.access_log_dropped.get(), 2);
}

#[test]
fn the_rate_limit_holds_for_problems_only() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new(1);
    let written = |mode, name: &str| {
        let file = folder.path().join(name);
        let config = AccessLogConfig {
            mode,
            format: LogFormat::Json,
            file: Some(file.clone()),
            per_second: 1,
            ..AccessLogConfig::default()
        };
        let log = AccessLog::open_with(&config, &metrics).unwrap();
        (0..1_000).for_each(|id| log.write(&record(id, Reason::NoSni)));
        drop(log);
        ids(&file).len()
    };
    assert_eq!(written(AccessLogMode::All, "all"), 1_000);
    // The test may run over the end of some seconds.
    let problems = written(AccessLogMode::Problems, "problems");
    assert!((1..100).contains(&problems), "{problems}");
    assert_eq!(metrics.access_log_suppressed.get(), 1_000 - problems as u64);
}

#[test]
fn rotation_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = open(AccessLogMode::All, &file);
    log.write(&record(1, Reason::Closed));
    fs::rename(&file, &old).unwrap();
    log.write(&record(2, Reason::Closed));
    log.reopen();
    assert!(log.flush(LONG));
    log.write(&record(3, Reason::Closed));
    drop(log);
    assert_eq!(ids(&old), [1, 2]);
    assert_eq!(ids(&file), [3]);
}

#[test]
fn a_reopen_that_fails_keeps_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, moved) = (folder.path().join("logs"), folder.path().join("moved"));
    fs::create_dir(&inside).unwrap();
    let log = open(AccessLogMode::All, &inside.join("access.log"));
    fs::rename(&inside, &moved).unwrap();
    log.reopen();
    assert!(log.flush(LONG));
    log.write(&record(1, Reason::Closed));
    drop(log);
    assert_eq!(ids(&moved.join("access.log")), [1]);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let error = AccessLog::open(AccessLogMode::All, LogFormat::Text, Some(Path::new("/nowhere/a.log")), 1)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot open access log /nowhere/a.log: No such file or directory (os error 2)"
    );
    assert!("some".parse::<AccessLogMode>().is_err());
}
