//! The admin endpoint as its clients see it: requests over real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails in the harness fails the test")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use gateway_runtime::admin::{Admin, AdminDeps, AdminLimits, AdminToken, Page, Pages};
use gateway_runtime::metrics::Metrics;
use gateway_runtime::ready::Ready;
use gateway_runtime::telemetry::LogControl;
use tokio::sync::oneshot;

/// Guard against a test that hangs; no test waits for it when all is well.
const LONG: Duration = Duration::from_secs(20);

struct TestPages;

impl Pages for TestPages {
    fn page(&self, path: &str, query: Option<&str>) -> Option<Page> {
        match path {
            "/snapshot" => Some(Page::json(format!("{{\"query\":{query:?}}}"))),
            "/large" => Some(Page::text("x".repeat(8 << 20))),
            "/panic" => panic!("a page that fails"),
            _ => None,
        }
    }

    fn index(&self) -> &[(&'static str, &'static str)] {
        &[("/snapshot", "what the gateway knows")]
    }
}

struct Running {
    address: SocketAddr,
    ready: Ready,
    log: LogControl,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(limits: AdminLimits, token: Option<AdminToken>) -> Running {
        let admin = Admin::bind("127.0.0.1:0".parse().unwrap()).unwrap().with_limits(limits);
        let address = admin.local_addr();
        let ready = Ready::new(&["catalog", "listeners"]);
        let log = LogControl::detached("info").unwrap();
        let deps = AdminDeps {
            ready: ready.clone(),
            metrics: Arc::new(Metrics::new(10)),
            pages: Arc::new(TestPages),
            log: log.clone(),
            token,
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(admin.serve(deps, async { drop(stopped.await) })).unwrap();
        });
        Running { address, ready, log, stop: Some(stop), thread: Some(thread) }
    }

    fn plain() -> Running {
        Running::start(AdminLimits::default(), None)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Sends a request head and body, reads the whole answer.
    fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Answer::parse(&answer)
    }

    fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address))
    }

    fn request_body(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let host = self.address;
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[test]
fn readiness_tells_its_reasons() {
    let admin = Running::plain();
    let answer = admin.request("GET", "/ready", "");
    assert_eq!((answer.status, &*answer.body), (503, "not ready\ncatalog: not yet\nlisteners: not yet\n"));
    admin.ready.set("catalog", Ok(()));
    admin.ready.set("listeners", Ok(()));
    let answer = admin.request("GET", "/ready", "");
    assert_eq!((answer.status, &*answer.body), (200, "ready\n"));
    assert_eq!(admin.request("GET", "/live", "").status, 200);
}

#[test]
fn metrics_come_in_the_format_that_the_header_says() {
    let admin = Running::plain();
    let answer = admin.request("GET", "/metrics", "");
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.body.ends_with("# EOF\n"));
    let prometheus =
        "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2\r\n";
    assert!(admin.request("GET", "/metrics", prometheus).body.ends_with("# EOF\n"));
    let browser = admin.request("GET", "/metrics", "Accept: text/html,*/*;q=0.8\r\n");
    assert_eq!(browser.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!browser.body.contains("# EOF"));
}

#[test]
fn pages_are_handed_in_with_their_query() {
    let admin = Running::plain();
    let answer = admin.request("GET", "/snapshot?limit=3", "");
    assert_eq!((answer.status, &*answer.body), (200, r#"{"query":Some("limit=3")}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(admin.request("GET", "/large", "").body.len(), 8 << 20);
}

#[test]
fn an_unknown_page_lists_the_known_ones() {
    let answer = Running::plain().request("GET", "/snapshots", "");
    assert_eq!(answer.status, 404);
    for path in ["/ready", "/live", "/metrics", "/snapshot"] {
        assert!(answer.body.contains(path), "{}", answer.body);
    }
}

#[test]
fn every_answer_forbids_caching_sniffing_and_scripts() {
    let admin = Running::plain();
    for path in ["/", "/style.css", "/ready", "/metrics", "/snapshot", "/nothing"] {
        let answer = admin.request("GET", path, "");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(
            answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"),
            "{path}"
        );
    }
}

#[test]
fn head_has_the_head_only() {
    let answer = Running::plain().request("HEAD", "/snapshot", "");
    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert_eq!(answer.header("content-length"), Some("14"));
}

#[test]
fn it_only_reads() {
    let admin = Running::plain();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUITQUITQUIT"] {
        let answer = admin.request(method, "/snapshot", "");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("get, head")), "{method}");
    }
}

#[test]
fn a_rebound_name_gets_no_answer() {
    let admin = Running::plain();
    for path in ["/", "/ready", "/snapshot", "/metrics"] {
        let answer = admin.send(&format!("GET {path} HTTP/1.1\r\nHost: rebound.example.com:19000\r\n\r\n"));
        assert_eq!(answer.status, 421, "{path}");
        let answer =
            admin.send(&format!("GET http://rebound.example.com{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(answer.status, 421, "{path}");
    }
    assert_eq!(admin.send("GET /live HTTP/1.1\r\nHost: localhost:19000\r\n\r\n").status, 200);
    assert_eq!(admin.send("GET /live HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn without_a_token_file_there_is_no_log_level() {
    let admin = Running::plain();
    assert_eq!(admin.request("GET", "/log-level", "").status, 404);
    assert_eq!(admin.request_body("PUT", "/log-level", "", "debug").status, 405);
    assert_eq!(admin.log.level(), "info");
}

#[test]
fn the_token_changes_the_log_level() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "s3cret\n").unwrap();
    let admin = Running::start(AdminLimits::default(), Some(AdminToken::from_file(&file).unwrap()));
    let put = |headers: &str, body: &str| admin.request_body("PUT", "/log-level", headers, body);

    for wrong in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic s3cret\r\n"] {
        let answer = put(wrong, "debug");
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("bearer")), "{wrong}");
    }
    assert_eq!(admin.log.level(), "info");

    let right = "Authorization: Bearer s3cret\r\n";
    let answer = put(right, "loud");
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("off, error, warn, info, debug, trace"), "{}", answer.body);
    assert_eq!(put(right, &format!("debug{}", " ".repeat(1000))).status, 400, "more than a level");
    assert_eq!(admin.log.level(), "info");

    assert_eq!(put(right, "debug\n").status, 200);
    assert_eq!(admin.log.level(), "debug");
    assert_eq!(admin.request("GET", "/log-level", "").body, "debug\n");
    assert_eq!(admin.request("POST", "/log-level", right).status, 405);
}

#[test]
fn a_client_that_stalls_is_cut_and_disturbs_nobody() {
    let limits = AdminLimits { header: Duration::from_millis(50), ..AdminLimits::default() };
    let admin = Running::start(limits, None);
    let mut slow = admin.connect();
    slow.write_all(b"GET /live HTTP/1.1\r\nHost: loc").unwrap();
    assert_eq!(admin.request("GET", "/live", "").status, 200);
    let mut rest = Vec::new();
    match slow.read_to_end(&mut rest) {
        Ok(_) => assert!(!rest.starts_with(b"HTTP/1.1 200")),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "not closed by the endpoint");
        }
    }
}

#[test]
fn a_body_that_never_comes_is_timed_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "s3cret").unwrap();
    let limits = AdminLimits { request: Duration::from_millis(50), ..AdminLimits::default() };
    let admin = Running::start(limits, Some(AdminToken::from_file(&file).unwrap()));
    let answer = admin.request("PUT", "/log-level", "Authorization: Bearer s3cret\r\nContent-Length: 5\r\n");
    assert_eq!(answer.status, 408);
}

#[test]
fn a_reader_who_does_not_read_is_cut() {
    let limits =
        AdminLimits { connection: Duration::from_millis(100), connections: 1, ..AdminLimits::default() };
    let admin = Running::start(limits, None);
    let mut stuck = admin.connect();
    write!(stuck, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // The one place is taken until the reader is cut; then this one is served.
    assert_eq!(admin.request("GET", "/live", "").status, 200);
}

#[test]
fn connections_above_the_bound_wait() {
    let limits = AdminLimits { connections: 2, ..AdminLimits::default() };
    let admin = Running::start(limits, None);
    let held = [admin.connect(), admin.connect()];
    let mut waiting = admin.connect();
    write!(waiting, "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut byte = [0];
    assert!(waiting.read(&mut byte).is_err(), "no place yet");
    drop(held);
    waiting.set_read_timeout(Some(LONG)).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert_eq!(Answer::parse(&answer).status, 200);
}

#[test]
fn a_page_that_panics_ends_only_its_connection() {
    let admin = Running::plain();
    let mut stream = admin.connect();
    write!(stream, "GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty());
    assert_eq!(admin.request("GET", "/live", "").status, 200);
}

#[test]
fn rubbish_is_refused() {
    let admin = Running::plain();
    assert_eq!(admin.send("\u{16}\u{3}\u{1} no http\r\n\r\n").status, 400);
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(admin.request("GET", "/live", &many).status, 431);
    let long = format!("/{}", "x".repeat(100_000));
    assert!([400, 414, 431].contains(&admin.request("GET", &long, "").status));
    assert_eq!(admin.request("GET", "/live", "").status, 200);
}

#[test]
fn an_address_in_use_is_an_error() {
    let admin = Running::plain();
    assert_eq!(Admin::bind(admin.address).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}
