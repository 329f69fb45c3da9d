//! What the agent has to say, and who waits for it to change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::lookup::Target;
use super::{Fault, Recording};
use crate::secret::Secret;

/// One answer.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) status: u16,
    /// Without the index and the hash.
    pub(super) headers: Vec<(String, String)>,
    pub(super) index: Option<u64>,
    pub(super) hash: Option<String>,
    pub(super) body: Bytes,
}

// A body may be a private key.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({}, index {:?}, {} bytes)", self.status, self.index, self.body.len())
    }
}

/// Which requests are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// All of them.
    All,
    /// Those whose path begins so, with parameters if there are any in it.
    Path(String),
    /// Those that wait: with an index above 0, or a hash.
    Blocking,
    /// Those that do not.
    Plain,
}

impl On {
    /// Those whose path begins so.
    pub fn path(prefix: &str) -> Self {
        On::Path(prefix.to_owned())
    }

    /// `target` is a path with its parameters, as they were sent.
    pub(super) fn means(&self, target: &str, blocking: bool) -> bool {
        match self {
            On::All => true,
            On::Path(prefix) => target.starts_with(prefix),
            On::Blocking => blocking,
            On::Plain => !blocking,
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    /// GET answers by key, all others by `METHOD key`.
    entries: BTreeMap<String, Entry>,
    pub(super) datacenter: String,
    datacenters: Vec<String>,
    /// The last one given.
    index: u64,
    /// Keys that are answered at once, whatever index is asked for.
    unheld: BTreeSet<String>,
    faults: Vec<Set>,
    /// Requests that are to end early: those that began before the number, oldest first.
    woken: Vec<(u64, On)>,
    /// Grows with every change: what the waiting look at.
    changes: watch::Sender<u64>,
    pub(super) jitter: f64,
    pub(super) token: Option<Secret>,
}

#[derive(Debug)]
struct Set {
    on: On,
    fault: Fault,
    left: Option<usize>,
}

impl State {
    pub(super) fn new(recording: &Recording) -> Self {
        let mut state = State {
            entries: BTreeMap::new(),
            datacenter: "dc1".to_owned(),
            datacenters: Vec::new(),
            index: 0,
            unheld: BTreeSet::new(),
            faults: Vec::new(),
            woken: Vec::new(),
            changes: watch::Sender::new(0),
            jitter: 1.0 / 16.0,
            token: None,
        };
        state.load(recording);
        state
    }

    /// Everything is another agent's from now on; indexes are what they were recorded as.
    pub(super) fn load(&mut self, recording: &Recording) {
        self.entries.clear();
        let mut highest = 0;
        for answer in recording.answers() {
            let index = answer.header("x-consul-index").and_then(|index| index.parse().ok());
            let hash = answer.header("x-consul-contenthash").map(str::to_owned);
            let apart = |name: &str| ["x-consul-index", "x-consul-contenthash"].contains(&name);
            let headers = answer.headers.iter().filter(|(name, _)| !apart(&name.to_ascii_lowercase()));
            let entry = Entry {
                status: answer.status,
                headers: headers.cloned().collect(),
                index,
                hash,
                body: answer.body.clone().into(),
            };
            highest = highest.max(index.unwrap_or(0));
            let target = Target::parse(&answer.target);
            // What was asked wrongly on purpose is not the answer to the right question.
            let key = match wrong(&target) {
                Some(name) => format!("wrong {name}"),
                None if answer.method == "GET" => target.key(""),
                None => format!("{} {}", answer.method, target.key("")),
            };
            self.entries.insert(key, entry);
        }
        self.index = highest;
        let list = self.entries.get("/v1/catalog/datacenters");
        self.datacenters = list.and_then(|list| serde_json::from_slice(&list.body).ok()).unwrap_or_default();
        let own = self.entries.get("/v1/agent/self");
        let own: Option<serde_json::Value> = own.and_then(|own| serde_json::from_slice(&own.body).ok());
        if let Some(datacenter) = own.as_ref().and_then(|own| own["Config"]["Datacenter"].as_str()) {
            self.datacenter = datacenter.to_owned();
        }
        self.changed();
    }

    /// The answer to a GET, if there is any.
    pub(super) fn get(&self, target: &Target) -> Option<(String, Entry)> {
        if let Some(answer) = wrong(target).and_then(|name| self.entries.get(&format!("wrong {name}"))) {
            // `partition=` was an error in some versions only.
            if answer.status == 400 {
                return Some((String::new(), answer.clone()));
            }
        }
        let found = target.find(&self.datacenter, &self.datacenters, |key| self.entries.contains_key(key))?;
        let mut entry = self.entries.get(&found.key)?.clone();
        for (there, wanted) in found.names.iter().filter(|(_, wanted)| !wanted.is_empty()) {
            let text = String::from_utf8_lossy(&entry.body).replace(there, wanted);
            entry.body = text.into();
        }
        Some((target.key(&self.datacenter), entry))
    }

    /// The answer to anything else: recorded for this very request, or for `no-such-thing` in its place.
    pub(super) fn recorded(&self, method: &str, key: &str) -> Option<&Entry> {
        self.entries.get(&format!("{method} {key}"))
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Puts an answer; its index is the next one.
    pub(super) fn put(&mut self, key: &str, entry: Entry) {
        self.index += 1;
        self.entries.insert(key.to_owned(), Entry { index: Some(self.index), ..entry });
        self.changed();
    }

    /// Changes an answer and nothing else, as a fault would.
    pub(super) fn change(&mut self, key: &str, change: impl FnOnce(&mut Entry)) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        change(entry);
        self.changed();
        true
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.entries.keys()
    }

    pub(super) fn next_index(&mut self) -> u64 {
        self.index += 1;
        self.index
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
        self.changed();
    }

    pub(super) fn hold(&mut self, key: &str, hold: bool) {
        if hold {
            self.unheld.remove(key);
        } else {
            self.unheld.insert(key.to_owned());
        }
        self.changed();
    }

    pub(super) fn is_held(&self, key: &str) -> bool {
        !self.unheld.contains(key)
    }

    pub(super) fn add_fault(&mut self, on: On, fault: Fault, times: Option<usize>) {
        self.faults.push(Set { on, fault, left: times });
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
        self.changed();
    }

    /// The fault that a request meets, the newest first; one with a number of times is used up by it.
    pub(super) fn fault(&mut self, path: &str, blocking: bool) -> Option<Fault> {
        let at = self.faults.iter().rposition(|set| set.on.means(path, blocking))?;
        let set = &mut self.faults[at];
        let fault = set.fault.clone();
        if let Some(left) = &mut set.left {
            *left -= 1;
            if *left == 0 {
                self.faults.remove(at);
            }
        }
        Some(fault)
    }

    pub(super) fn wake(&mut self, on: On) {
        let began_before = *self.changes.borrow() + 1;
        self.woken.push((began_before, on));
        self.changed();
    }

    /// Whether a request that began at `began` is to end early.
    pub(super) fn is_woken(&self, began: u64, path: &str) -> bool {
        self.woken.iter().any(|(before, on)| began < *before && on.means(path, true))
    }

    pub(super) fn now(&self) -> u64 {
        *self.changes.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&mut self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// What makes a request wrong, if anything does.
fn wrong(target: &Target) -> Option<&'static str> {
    let given = |name: &str| target.parameter(name).is_some_and(|value| !value.is_empty());
    if target.parameter("index").is_some_and(|index| !index.is_empty() && index.parse::<u64>().is_err()) {
        return Some("index");
    }
    if target.parameter("wait").is_some_and(|wait| !wait.is_empty() && go_duration(wait).is_none()) {
        return Some("wait");
    }
    if target.parameter("stale").is_some() && target.parameter("consistent").is_some() {
        return Some("consistency");
    }
    ["ns", "partition"].into_iter().find(|name| given(name))
}

/// `1m30s`, `500ms`: what Go reads as a duration, without signs. `None` for anything else.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|char: char| char.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number * unit).ok()?;
        rest = &rest[end..];
    }
    Some(total).filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(go_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(go_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(go_duration("1.5s"), Some(Duration::from_millis(1500)));
        for text in ["", "10", "s", "10 s", "1y", "-1s"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
