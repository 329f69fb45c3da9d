//! The rows of consul-api 7 that concern a watch, one test each, and properties of the loop.

mod errors;
mod outages;
mod properties;
mod rows;

use super::{Context, Fresh, Got, Loop, Nature, Sent, Verdict, WatchConfig};
use crate::{error::Class, query::Ask};
use std::time::{Duration, Instant};

/// One loop, a clock, and the body that was applied.
struct Bench {
    inner: Loop,
    config: WatchConfig,
    now: Instant,
    document: Option<String>,
    denies_openly: bool,
    acls_off: bool,
}

/// A query of any endpoint.
#[derive(Clone)]
struct Any {
    endpoint: &'static str,
    blocking: crate::query::Blocking,
    from_servers: bool,
}

impl crate::Query for Any {
    type Document = String;

    fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    fn path(&self) -> String {
        format!("/v1/{}/web", self.endpoint)
    }

    fn blocking(&self) -> crate::query::Blocking {
        self.blocking
    }

    fn from_servers(&self) -> bool {
        self.from_servers
    }

    fn decode(&self, body: &bytes::Bytes) -> Result<String, String> {
        Ok(String::from_utf8_lossy(body).into_owned())
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn catalog() -> Any {
    Any { endpoint: "catalog/services", blocking: crate::query::Blocking::Index, from_servers: true }
}

impl Bench {
    fn new(query: &Any) -> Self {
        Self {
            inner: Loop::new(Nature::of(query, None)),
            config: WatchConfig::default(),
            now: Instant::now(),
            document: None,
            denies_openly: false,
            acls_off: false,
        }
    }

    /// One that has applied `body` at `index`, its bucket full.
    fn at(query: &Any, index: u64, body: &str) -> Self {
        let mut bench = Self::new(query);
        let verdict = bench.round(MS, Some(index), Some(body));
        assert!(matches!(verdict, Verdict::Fresh(_)), "{verdict:?}");
        bench.now += 60 * SECOND;
        bench
    }

    /// Waits until the loop may ask, and asks.
    fn send(&mut self) -> Sent {
        self.now = self.inner.due(&self.config).map_or(self.now, |due| due.max(self.now));
        self.inner.send(self.now, &self.config)
    }

    /// How long the loop would wait before it asks.
    fn pause(&self) -> Duration {
        let due = self.inner.due(&self.config).unwrap_or(self.now);
        due.saturating_duration_since(self.now)
    }

    /// The answer to a read, after `held`.
    fn answer(&mut self, sent: &Sent, held: Duration, index: Option<u64>, body: Option<&str>) -> Verdict {
        self.now += held;
        let got = Got::scripted(index, body);
        let verdict = {
            let context = Context {
                config: &self.config,
                denies_openly: self.denies_openly,
                acls_off: self.acls_off,
                random: 1.0,
            };
            self.inner.answered(self.now, sent, &got, &context)
        };
        if let Verdict::Fresh(fresh) = &verdict {
            self.apply(*fresh, body);
        }
        verdict
    }

    fn apply(&mut self, fresh: Fresh, body: Option<&str>) {
        self.inner.apply(self.now, fresh, &self.config);
        self.document = body.map(str::to_owned);
    }

    /// A whole round.
    fn round(&mut self, held: Duration, index: Option<u64>, body: Option<&str>) -> Verdict {
        let sent = self.send();
        self.answer(&sent, held, index, body)
    }

    fn fail(&mut self, class: Class) -> bool {
        self.send();
        self.now += MS;
        self.inner.failed(self.now, class, 1.0, &self.config)
    }

    fn next_ask(&mut self) -> Ask {
        self.send().ask
    }

    #[track_caller]
    fn holds(&self, body: &str) {
        assert_eq!(self.document.as_deref(), Some(body));
    }
}

fn same() -> Verdict {
    Verdict::Same { recovered: false, facts: None, rose: false }
}
