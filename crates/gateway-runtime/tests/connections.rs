//! Listeners, workers and the registry together, on real sockets.

#![allow(clippy::unwrap_used, reason = "a test ends where its support fails")]

use std::future::poll_fn;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use gateway_runtime::drain::Drain;
use gateway_runtime::listener::{AcceptConfig, Accepted, Bound, Handler, Pause, PauseCause};
use gateway_runtime::metrics::{Metrics, ServiceMetrics};
use gateway_runtime::reason::Reason;
use gateway_runtime::record::{ConnRecord, Verdict};
use gateway_runtime::registry::{
    Authorization, ConnGuard, ConnRoute, Judgement, RecordSink, Refusal, Registry, SweepLimits,
};
use gateway_runtime::worker::Workers;

const LONG: Duration = Duration::from_secs(10);

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Reason>>>);

impl RecordSink for Records {
    fn finished(&self, record: &ConnRecord<'_>, _service: Option<&ServiceMetrics>) {
        self.0.lock().unwrap().push(record.reason);
    }
}

impl Records {
    fn reasons(&self) -> Vec<Reason> {
        self.0.lock().unwrap().clone()
    }
}

/// Greets, then waits until it is cut or the client goes.
struct Greeter {
    pauses: Mutex<Vec<PauseCause>>,
    resumed: Mutex<usize>,
    workers: Mutex<Vec<String>>,
    metrics: Metrics,
}

impl Greeter {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            pauses: Mutex::default(),
            resumed: Mutex::default(),
            workers: Mutex::default(),
            metrics: Metrics::new(10),
        })
    }

    fn route(&self, guard: &ConnGuard) {
        guard.set_route(ConnRoute {
            sni: "web".into(),
            alpn: None,
            service: self.metrics.service("web"),
            rule: "service",
            endpoint: SocketAddr::from(([127, 0, 0, 1], 1)),
            attempts: 1,
            connect: Duration::from_millis(1),
        });
    }
}

impl Handler for Greeter {
    fn accept(&self, conn: Accepted) {
        let Accepted { socket, mut guard } = conn;
        self.route(&guard);
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        self.workers.lock().unwrap().push(thread);
        let stream = tokio::net::TcpStream::from_std(socket.into()).unwrap();
        tokio::spawn(async move {
            stream.writable().await.unwrap();
            stream.try_write(b"hi").unwrap();
            let cut = poll_fn(|cx| if guard.entry().poll_cut(cx) { Poll::Ready(()) } else { Poll::Pending });
            let reason = tokio::select! {
                () = cut => None,
                _ = stream.readable() => Some(Reason::Closed),
            };
            let reason = reason.or(guard.entry().cut_reason()).unwrap();
            guard.finish(reason);
        });
    }

    fn paused(&self, pause: &Pause<'_>) {
        self.pauses.lock().unwrap().push(pause.cause);
    }

    fn resumed(&self, _listener: &str) {
        *self.resumed.lock().unwrap() += 1;
    }
}

struct Server {
    workers: Workers,
    registry: Arc<Registry>,
    records: Records,
    handler: Arc<Greeter>,
    drain: Drain,
    address: SocketAddr,
}

fn server(max_connections: usize) -> Server {
    let workers = Workers::start(NonZeroUsize::new(2).unwrap()).unwrap();
    let records = Records::default();
    let registry = Arc::new(Registry::new(2, Box::new(records.clone())));
    let handler = Greeter::new();
    let (drain, watch) = Drain::new();
    let bound = Bound::bind("default", SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = bound.local_addr();
    let config =
        AcceptConfig { max_connections: Arc::new(max_connections.into()), backoff: Duration::from_millis(1) };
    bound.serve(&workers, &registry, &handler, &watch, &config).unwrap();
    Server { workers, registry, records, handler, drain, address }
}

fn greeted(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.read_exact(&mut [0; 2]).unwrap();
    stream
}

fn client() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

#[test]
fn a_bound_port_refuses_until_it_serves() {
    let bound = Bound::bind("default", SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let error = TcpStream::connect(bound.local_addr()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// With `SO_REUSEPORT` alone the kernel would let a second gateway of the same user share the port,
/// and give it half of the connections.
#[test]
fn a_port_of_another_gateway_is_taken() {
    let server = server(10);
    let error = Bound::bind("wan", server.address).unwrap_err().to_string();
    assert!(error.contains("listener wan") && error.contains("another process has this port"), "{error}");
    drop(greeted(server.address));
}

/// Two gateways that start at the same moment both bind, because neither listens yet.
#[test]
fn of_two_that_bind_at_once_only_one_listens() {
    let (one, two) = (server(10), server(10));
    let first = Bound::bind("first", SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let second = Bound::bind("second", first.local_addr());
    let config = AcceptConfig { max_connections: Arc::new(10.into()), backoff: LONG };
    let serve = |bound: Bound, s: &Server| {
        bound.serve(&s.workers, &s.registry, &s.handler, &s.drain.watch(), &config)
    };
    serve(first, &one).unwrap();
    let refused = second.and_then(|second| serve(second, &two)).unwrap_err().to_string();
    assert!(refused.contains("another process has this port"), "{refused}");
}

#[test]
fn both_workers_accept() {
    let server = server(1_000);
    let _clients: Vec<_> = (0..64).map(|_| greeted(server.address)).collect();
    assert_eq!(server.registry.open(), 64);
    let mut workers = server.handler.workers.lock().unwrap().clone();
    workers.sort();
    workers.dedup();
    assert_eq!(workers, ["worker-0", "worker-1"]);
}

#[test]
fn at_the_bound_accepting_pauses_and_goes_on() {
    let server = server(2);
    let (one, _two) = (greeted(server.address), greeted(server.address));
    // It is in the kernel's queue: connected, not accepted.
    let mut third = TcpStream::connect(server.address).unwrap();
    eventually("a pause is announced", || {
        server.handler.pauses.lock().unwrap().contains(&PauseCause::Connections)
    });
    assert_eq!(server.registry.open(), 2);
    drop(one);
    third.set_read_timeout(Some(LONG)).unwrap();
    third.read_exact(&mut [0; 2]).unwrap();
    eventually("it is said that accepting goes on", || *server.handler.resumed.lock().unwrap() >= 1);
}

#[test]
fn draining_refuses_new_ones_and_keeps_the_open_ones() {
    let server = server(10);
    let mut open = greeted(server.address);
    server.drain.start(tokio::time::Instant::now() + LONG);
    eventually("new connections are refused", || TcpStream::connect(server.address).is_err());
    eventually("only the open one is left", || server.registry.open() == 1);
    assert_eq!(server.registry.cut_all(Reason::DrainCut), 1);
    assert_eq!(open.read(&mut [0; 1]).unwrap(), 0);
    eventually("the record is there", || server.records.reasons().contains(&Reason::DrainCut));
    assert_eq!(server.registry.cut_all(Reason::DrainCut), 0);
}

#[test]
fn a_sweep_cuts_the_idle_and_the_old() {
    let server = server(10);
    let mut idle = greeted(server.address);
    let limits = SweepLimits { idle: Duration::from_secs(3600), age: Duration::ZERO };
    assert_eq!(server.registry.sweep(limits), 0, "nobody is idle for an hour");
    assert_eq!(server.registry.sweep(SweepLimits::default()), 0, "zero is no limit");
    let cut = || server.registry.sweep(SweepLimits { idle: Duration::from_millis(1), age: Duration::ZERO });
    eventually("the idle one is cut", || cut() == 1);
    eventually("by its reason", || server.records.reasons() == [Reason::IdleLimit]);
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    let _old = greeted(server.address);
    let cut = || server.registry.sweep(SweepLimits { idle: Duration::ZERO, age: Duration::from_millis(1) });
    eventually("the old one is cut", || cut() == 1);
    eventually("by its reason", || server.records.reasons() == [Reason::IdleLimit, Reason::MaxAge]);
}

/// Bytes in either direction count as life, whatever the sweep saw before.
#[test]
fn bytes_keep_a_connection_from_being_idle() {
    let registry = Registry::new(1, Box::new(Records::default()));
    let guard = registry.register(0, &"default".into(), client()).unwrap();
    Greeter::new().route(&guard);
    let idle = SweepLimits { idle: Duration::from_secs(2), age: Duration::ZERO };
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        guard.entry().count_down(1);
        assert_eq!(registry.sweep(idle), 0);
        std::thread::sleep(Duration::from_millis(1));
    }
    eventually("without bytes it is", || registry.sweep(idle) == 1);
    assert_eq!(guard.entry().cut_reason(), Some(Reason::IdleLimit));
}

#[test]
fn every_connection_is_recorded_exactly_once() {
    let records = Records::default();
    let registry = Registry::new(1, Box::new(records.clone()));
    let register = || registry.register(0, &"default".into(), client()).unwrap();
    register().refuse(Reason::UnknownSni, Refusal { sni: Some("nosuch"), ..Refusal::default() });
    drop(register());
    let mut finished = register();
    Greeter::new().route(&finished);
    assert_eq!(registry.view(10).len(), 1);
    assert_eq!(registry.view(10)[0].route.as_ref().unwrap().rule, "service");
    finished.finish(Reason::Closed);
    finished.finish(Reason::Internal);
    drop(finished);
    assert_eq!(records.reasons(), [Reason::UnknownSni, Reason::Internal, Reason::Closed]);
    assert_eq!(registry.open(), 0);
    assert!(registry.view(10).is_empty());
}

#[test]
fn the_end_of_the_workers_is_the_end_of_their_connections() {
    let Server { workers, registry, records, address, drain: _drain, .. } = server(10);
    let mut client = greeted(address);
    drop(workers);
    assert_eq!(registry.open(), 0);
    assert_eq!(records.reasons(), [Reason::Internal]);
    assert!(!matches!(client.read(&mut [0; 1]), Ok(1..)));
}

/// A registry without sockets, and what it recorded: the reason, the verdict, what decided.
#[derive(Clone, Default)]
struct Judged(Arc<Mutex<Vec<JudgedRow>>>);

type JudgedRow = (Reason, Option<Verdict>, Option<String>);

impl RecordSink for Judged {
    fn finished(&self, record: &ConnRecord<'_>, _service: Option<&ServiceMetrics>) {
        let row = (record.reason, record.verdict, record.intention.map(str::to_owned));
        self.0.lock().unwrap().push(row);
    }
}

fn authorization(verdict: Verdict, intention: &str, proof: u32) -> Authorization {
    Authorization { source: "web".into(), verdict, intention: intention.into(), proof: Arc::new(proof) }
}

fn registered(registry: &Registry) -> ConnGuard {
    registry.register(0, &"default".into(), SocketAddr::from(([127, 0, 0, 1], 9))).unwrap()
}

#[test]
fn open_connections_are_judged_again_and_cut_with_a_reason() {
    let records = Judged::default();
    let registry = Registry::new(1, Box::new(records.clone()));
    let guards: Vec<_> = (0..4).map(|_| registered(&registry)).collect();
    for (proof, guard) in (0..).zip(&guards[..3]) {
        guard.authorize(authorization(Verdict::Allow, "old", proof));
    }
    let mut seen = Vec::new();
    let done = registry.reauthorize(|authorization| {
        let proof = *authorization.proof.downcast_ref::<u32>().unwrap();
        seen.push(proof);
        match proof {
            0 => Judgement::Keep,
            1 => Judgement::Change(self::authorization(Verdict::WouldDeny, "new", 1)),
            _ => Judgement::Cut(Reason::IntentionChanged, self::authorization(Verdict::Deny, "new", 2)),
        }
    });
    assert_eq!(seen, [0, 1, 2], "the one that was not judged yet is left alone");
    assert_eq!((done.changed, done.cut, done.expiring), (1, 1, 0));
    let cut: Vec<_> = guards.iter().map(|guard| guard.entry().cut_reason()).collect();
    assert_eq!(cut, [None, None, Some(Reason::IntentionChanged), None]);
    let shown = registry.view(10);
    let verdicts: Vec<_> = shown.iter().map(|row| row.authorization.as_ref().map(|it| it.verdict)).collect();
    assert_eq!(verdicts, [Some(Verdict::Allow), Some(Verdict::WouldDeny), Some(Verdict::Deny), None]);
    for mut guard in guards {
        let reason = guard.entry().cut_reason().unwrap_or(Reason::Closed);
        guard.finish(reason);
    }
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(
        *records.0.lock().unwrap(),
        [
            (Reason::Closed, Some(Verdict::Allow), said("old")),
            (Reason::Closed, Some(Verdict::WouldDeny), said("new")),
            (Reason::IntentionChanged, Some(Verdict::Deny), said("new")),
            (Reason::Closed, None, None),
        ]
    );
}

#[test]
fn a_connection_expires_once_its_time_has_passed_unless_it_may_stay_again() {
    let registry = Registry::new(1, Box::new(Judged::default()));
    let guards = [registered(&registry), registered(&registry)];
    for guard in &guards {
        guard.authorize(authorization(Verdict::Allow, "old", 0));
    }
    let expire = |after| registry.reauthorize(|_| Judgement::Expire(after, Reason::Unlinked));
    assert_eq!(expire(Duration::from_secs(600)).expiring, 2);
    assert_eq!(expire(Duration::ZERO).expiring, 0, "the first word counts");
    assert_eq!(registry.sweep(SweepLimits::default()), 0);
    registry.reauthorize(|_| Judgement::Keep);
    assert_eq!(expire(Duration::ZERO).expiring, 2);
    eventually("both are cut", || {
        registry.sweep(SweepLimits::default());
        guards.iter().all(|guard| guard.entry().cut_reason() == Some(Reason::Unlinked))
    });
}

/// Who is refused names what is known of it although it was never registered with it.
#[test]
fn a_denied_client_is_recorded_with_what_denied_it() {
    let records = Judged::default();
    let registry = Registry::new(1, Box::new(records.clone()));
    let denied = authorization(Verdict::Deny, "default policy: deny", 0);
    let refusal = Refusal { authorization: Some(&denied), ..Refusal::default() };
    registered(&registry).refuse(Reason::Denied, refusal);
    // Allowed a moment ago, by rules that have changed since.
    let changed = registered(&registry);
    changed.authorize(authorization(Verdict::Allow, "old", 0));
    changed.refuse(Reason::Denied, refusal);
    let row = (Reason::Denied, Some(Verdict::Deny), Some("default policy: deny".to_owned()));
    assert_eq!(*records.0.lock().unwrap(), [row.clone(), row]);
}
