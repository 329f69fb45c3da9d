//! Signals, drain and exit codes of a real process: the example `process`.

#![expect(clippy::unwrap_used, reason = "what fails in the harness fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Guard against a test that hangs; no test waits for it when all is well.
const LONG: Duration = Duration::from_secs(20);

struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(drain_seconds: u64) -> Process {
        let mut child = Command::new(example())
            .env("DRAIN_SECONDS", drain_seconds.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("admin endpoint: http://").unwrap();
        let address = url.trim_end_matches('/').to_owned();
        Process { child, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Status and body of a page, or nothing if the process is gone.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(LONG)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn wait_for(&self, path: &str, what: impl Fn(u16, &str) -> bool) {
        let deadline = Instant::now() + LONG;
        loop {
            let answer = self.get(path);
            if answer.as_ref().is_some_and(|(status, body)| what(*status, body)) {
                return;
            }
            assert!(Instant::now() < deadline, "{path}: last answer {answer:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end; gives the exit status and the log.
    fn end(mut self) -> (ExitStatus, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let deadline = Instant::now() + LONG;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "the process does not end"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        (status, log.join().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a test that failed; else it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example, brought up to date: cargo builds examples only when a package is tested as a whole.
fn example() -> &'static Path {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        // target/<profile>/deps/process-<hash>
        let folder = test.ancestors().nth(2).unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--example", "process", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
        folder.join("examples/process")
    })
}

#[test]
fn sigterm_drains_and_ends_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let process = Process::start(0);
        process.wait_for("/ready", |status, _| status == 200);
        process.signal(signal);
        let (status, log) = process.end();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("INFO draining") && log.contains("INFO drained"), "{log}");
    }
}

#[test]
fn a_draining_process_is_alive_but_not_ready_and_a_second_signal_ends_it() {
    for second in [Signal::TERM, Signal::INT] {
        let process = Process::start(3600);
        process.wait_for("/ready", |status, _| status == 200);
        process.signal(Signal::TERM);
        process.wait_for("/ready", |status, body| status == 503 && body.contains("draining"));
        assert_eq!(process.get("/live").unwrap().0, 200);
        process.signal(second);
        let (status, log) = process.end();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("WARN ended at once"), "{log}");
    }
}

#[test]
fn sighup_reloads_and_does_not_end() {
    let process = Process::start(0);
    for reloads in ["1\n", "2\n"] {
        process.signal(Signal::HUP);
        process.wait_for("/reloads", |_, body| body == reloads);
    }
    process.wait_for("/metrics", |_, text| text.contains("gateway_example_reloads_total 2\n"));
    process.signal(Signal::TERM);
    assert_eq!(process.end().0.code(), Some(0));
}

#[test]
fn an_address_in_use_has_its_own_exit_code() {
    let first = Process::start(0);
    let second = Command::new(example()).arg(&first.address).output().unwrap();
    assert_eq!(second.status.code(), Some(3));
    let log = String::from_utf8(second.stderr).unwrap();
    assert!(
        log.contains(&format!("address={}", first.address)) && log.contains("Address already in use"),
        "{log}"
    );
}
