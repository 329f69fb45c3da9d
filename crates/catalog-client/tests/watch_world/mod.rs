//! A catalog and its agent in simulated time: answers, long polls, faults on demand, and a record of
//! what was asked. No sockets.

#![allow(dead_code, reason = "each test binary uses another part of it")]

use bytes::Bytes;
use catalog_client::{
    Error, Query,
    client::Capacity,
    error::Cause,
    query::{Answer, Ask},
    watch::Asker,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// How the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Up,
    /// Killed: connections are cut, new ones refused.
    Killed,
    /// Packets are swallowed, those under way too.
    BlackHole,
    /// SIGSTOP: it answers when it goes on.
    Stopped,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) ask: Ask,
}

#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Rises with every event.
    bell: watch::Sender<u64>,
}

pub(crate) struct State {
    pub(crate) life: Life,
    /// Rises when all connections are lost.
    pub(crate) lives: u64,
    pub(crate) index: u64,
    pub(crate) bodies: HashMap<String, (u64, Option<String>)>,
    pub(crate) latency: Duration,
    pub(crate) capacity: Capacity,
    /// Whoever asks for the leader gets it, and no other server.
    pub(crate) leader_answers: bool,
    /// Answers to come first, by path.
    pub(crate) script: HashMap<String, VecDeque<Result<Answer, Cause>>>,
    pub(crate) requests: Vec<Request>,
    pub(crate) reading: usize,
    pub(crate) most_reading: usize,
    pub(crate) holding: usize,
    pub(crate) most_holding: usize,
}

impl World {
    /// Plain HTTP: 56 long polls.
    pub(crate) fn http1() -> Self {
        Self::new(Capacity { multiplexed: Some(false), blocking: 56, reads: 64 })
    }

    pub(crate) fn http2() -> Self {
        Self::new(Capacity { multiplexed: Some(true), blocking: 11_200, reads: 256 })
    }

    fn new(capacity: Capacity) -> Self {
        let state = State {
            life: Life::Up,
            lives: 0,
            index: 100,
            bodies: HashMap::new(),
            latency: MS,
            capacity,
            leader_answers: true,
            script: HashMap::new(),
            requests: Vec::new(),
            reading: 0,
            most_reading: 0,
            holding: 0,
            most_holding: 0,
        };
        Self(Arc::new(Inner { state: Mutex::new(state), bell: watch::Sender::new(0) }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.0.bell.send_modify(|n| *n += 1);
    }

    /// Changes something and lets whoever waits look.
    pub(crate) fn change(&self, what: impl FnOnce(&mut State)) {
        what(&mut self.lock());
        self.ring();
    }

    /// Writes what a path answers.
    pub(crate) fn put(&self, path: &str, body: &str) {
        self.change(|state| {
            state.index += 1;
            state.bodies.insert(path.to_owned(), (state.index, Some(body.to_owned())));
        });
    }

    /// Instances of a service.
    pub(crate) fn service(&self, name: &str, body: &str) {
        self.put(&path(name), body);
    }

    /// Raises the index of a path whose body stays.
    pub(crate) fn touch(&self, path: &str) {
        self.change(|state| {
            state.index += 1;
            let index = state.index;
            if let Some((at, _)) = state.bodies.get_mut(path) {
                *at = index;
            }
        });
    }

    pub(crate) fn live(&self, life: Life) {
        self.change(|state| {
            state.lives += u64::from(life == Life::Killed);
            state.life = life;
        });
    }

    /// An answer that a path gives once, before all others.
    pub(crate) fn once(&self, path: &str, result: Result<Answer, Cause>) {
        self.change(|state| state.script.entry(path.to_owned()).or_default().push_back(result));
    }

    pub(crate) fn forget_requests(&self) {
        self.lock().requests.clear();
    }

    /// Requests so far that are no probes.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.iter().filter(|request| request.path != LEADER).cloned().collect()
    }

    pub(crate) fn probes(&self) -> Vec<Request> {
        self.lock().requests.iter().filter(|request| request.path == LEADER).cloned().collect()
    }

    /// When a path was asked.
    pub(crate) fn times(&self, path: &str) -> Vec<Instant> {
        self.requests().iter().filter(|request| request.path == path).map(|request| request.at).collect()
    }

    async fn answer(&self, path: &str, ask: &Ask, wait: Duration) -> Result<Answer, Cause> {
        let blocking = matches!(ask, Ask::Above(_));
        let deadline = Instant::now() + if blocking { wait + wait / 16 + 15 * SECOND } else { 15 * SECOND };
        let (lives, latency) = {
            let state = self.lock();
            (state.lives, state.latency)
        };
        let mut bell = self.0.bell.subscribe();
        let mut swallowed = false;
        sleep(latency).await;
        let held_until = Instant::now() + wait;
        loop {
            let step = {
                let mut state = self.lock();
                swallowed |= state.life == Life::BlackHole;
                match state.life {
                    Life::Killed => Some(Err(Cause::Unreachable("connection refused".to_owned()))),
                    _ if state.lives != lives => Some(Err(Cause::Cut("connection reset".to_owned()))),
                    _ if swallowed => None,
                    Life::BlackHole | Life::Stopped => None,
                    Life::Up => state.say(path, ask, Instant::now() >= held_until),
                }
            };
            if let Some(result) = step {
                return result;
            }
            let next =
                if Instant::now() < held_until && blocking { held_until.min(deadline) } else { deadline };
            tokio::select! {
                _ = bell.changed() => {}
                () = sleep_until(next) => if Instant::now() >= deadline {
                    return Err(Cause::Timeout("no answer".to_owned()));
                },
            }
        }
    }
}

impl State {
    fn say(&mut self, path: &str, ask: &Ask, over: bool) -> Option<Result<Answer, Cause>> {
        if let Some(first) = self.script.get_mut(path).and_then(VecDeque::pop_front) {
            return Some(first);
        }
        let (index, body) = self.bodies.get(path).cloned().unwrap_or((self.index, Some("[]".to_owned())));
        match ask {
            Ask::Above(above) if index <= *above && !over => None,
            _ => {
                let by_leader = *ask == Ask::Leader && self.leader_answers;
                Some(Ok(Answer { by_leader, ..answer(index, body.as_deref()) }))
            }
        }
    }
}

impl Asker for World {
    async fn ask<Q: Query>(&self, query: &Q, ask: &Ask, wait: Duration) -> Result<Answer, Error> {
        let path = query.path();
        let blocking = matches!(ask, Ask::Above(_));
        {
            let mut state = self.lock();
            let request = Request { at: Instant::now(), path: path.clone(), ask: ask.clone() };
            state.requests.push(request);
            if blocking {
                state.holding += 1;
                state.most_holding = state.most_holding.max(state.holding);
            } else if path != LEADER {
                state.reading += 1;
                state.most_reading = state.most_reading.max(state.reading);
            }
        }
        let _busy = Busy(self, blocking, path == LEADER);
        self.answer(&path, ask, wait).await.map_err(|cause| Error {
            request: format!("GET {path}"),
            agent: "simulated".to_owned(),
            cause,
            rule: query.rule(),
        })
    }

    fn capacity(&self) -> Capacity {
        self.lock().capacity
    }
}

struct Busy<'a>(&'a World, bool, bool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        match (self.1, self.2) {
            (true, _) => state.holding -= 1,
            (_, false) => state.reading -= 1,
            _ => {}
        }
    }
}

pub(crate) const LEADER: &str = "/v1/status/leader";

pub(crate) fn answer(index: u64, body: Option<&str>) -> Answer {
    Answer {
        body: body.map(|body| Bytes::copy_from_slice(body.as_bytes())),
        index: Some(index),
        content_hash: None,
        streaming: false,
        filtered: false,
        default_deny: None,
        last_contact: None,
        known_leader: None,
        cache_age: None,
        by_leader: false,
    }
}

pub(crate) fn status(status: u16, text: &str) -> Cause {
    Cause::Status { status, text: text.to_owned(), unknown_endpoint: status == 404 }
}

pub(crate) fn path(name: &str) -> String {
    format!("/v1/health/connect/{name}")
}

/// `health/connect` of a name; its document is the text.
#[derive(Clone, Debug)]
pub(crate) struct Connect(pub String);

impl Query for Connect {
    type Document = String;

    fn endpoint(&self) -> &'static str {
        "health/connect"
    }

    fn path(&self) -> String {
        path(&self.0)
    }

    fn decode(&self, body: &Bytes) -> Result<String, String> {
        let text = String::from_utf8_lossy(body).into_owned();
        if text.starts_with('<') { Err("expected value at line 1 column 1".to_owned()) } else { Ok(text) }
    }
}

/// Any path; its document is the text.
#[derive(Clone, Debug)]
pub(crate) struct Text(pub &'static str);

impl Query for Text {
    type Document = String;

    fn endpoint(&self) -> &'static str {
        "text"
    }

    fn path(&self) -> String {
        format!("/v1/{}", self.0)
    }

    fn may_be_absent(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        if self.0 == "free" { String::new() } else { format!("text {:?} {{ policy = \"read\" }}", self.0) }
    }

    fn decode(&self, body: &Bytes) -> Result<String, String> {
        Connect(String::new()).decode(body)
    }
}

/// Counts lines of the log by their message.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }

    /// Keeps what this thread logs from now on.
    pub(crate) fn keep() -> (Self, tracing::subscriber::DefaultGuard) {
        // Threads without a subscriber of their own would have whole lines of code taken for silent, for
        // this thread, too.
        static EVERYBODY: std::sync::Once = std::sync::Once::new();
        EVERYBODY.call_once(|| drop(tracing::subscriber::set_global_default(Self::default())));
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                use std::fmt::Write as _;
                let _ = write!(self.0, "{}={value:?} ", field.name());
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
