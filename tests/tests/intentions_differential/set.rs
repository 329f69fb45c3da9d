//! Sets of intentions, made from a number, and how they are written to a Consul.

use gateway_testkit::Api;
use serde_json::{Value, json};

const SOURCES: [&str; 5] = ["a", "b", "c", "a-b", "*"];

pub(crate) struct Set {
    number: u64,
    pairs: Vec<Pair>,
}

struct Pair {
    source: &'static str,
    destination: String,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Allow,
    Deny,
    Permissions,
}

/// What was written, to be removed again.
pub(crate) enum Written {
    Legacy(String),
    Entry(String),
}

impl Set {
    /// `permissions`: whether Consul knows them.
    pub(crate) fn new(number: u64, permissions: bool) -> Self {
        let mut dice = fastrand::Rng::with_seed(number);
        let mut pairs = Vec::new();
        for place in 0..4 {
            for source in SOURCES {
                if dice.u8(0..5) >= 2 {
                    continue;
                }
                let destination = if place == 3 { "*".to_owned() } else { name(number, place) };
                let what = match dice.u8(0..5) {
                    0 if permissions && destination != "*" => What::Permissions,
                    0..=2 => What::Allow,
                    _ => What::Deny,
                };
                pairs.push(Pair { source, destination, what });
            }
        }
        // The order in which they are written says nothing.
        dice.shuffle(&mut pairs);
        Self { number, pairs }
    }

    /// Three with intentions of their own, and one that only `*` may cover.
    pub(crate) fn destinations(&self) -> Vec<String> {
        (0..3).chain([7]).map(|place| name(self.number, place)).collect()
    }

    /// Those that intentions name, one that none does, and the destinations themselves.
    pub(crate) fn callers(&self) -> Vec<String> {
        let named = SOURCES.iter().filter(|source| **source != "*").map(|source| (*source).to_owned());
        named.chain(["stranger".to_owned()]).chain(self.destinations()).collect()
    }

    /// By the legacy API; sets with permissions as config entries.
    pub(crate) async fn write(&self, api: &Api) -> Vec<Written> {
        if self.pairs.iter().any(|pair| matches!(pair.what, What::Permissions)) {
            return self.write_entries(api).await;
        }
        let mut written = Vec::new();
        for pair in &self.pairs {
            let body = json!({"SourceName": pair.source, "DestinationName": pair.destination, "SourceType": "consul", "Action": pair.what.text()});
            let body = serde_json::to_vec(&body).unwrap();
            let reply = api.request("POST", "/v1/connect/intentions", &body).await.unwrap();
            assert_eq!(reply.status, 200, "{}", reply.text());
            let id = reply.json().unwrap()["ID"].as_str().unwrap().to_owned();
            written.push(Written::Legacy(id));
        }
        written
    }

    async fn write_entries(&self, api: &Api) -> Vec<Written> {
        let mut written = Vec::new();
        let mut names: Vec<&str> = self.pairs.iter().map(|pair| pair.destination.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let sources = self.pairs.iter().filter(|pair| pair.destination == name).map(Pair::source);
            let entry =
                json!({"Kind": "service-intentions", "Name": name, "Sources": sources.collect::<Vec<_>>()});
            api.put("/v1/config", &entry).await.unwrap();
            written.push(Written::Entry(name.to_owned()));
        }
        written
    }

    pub(crate) async fn remove(&self, api: &Api, written: Vec<Written>) {
        for one in written {
            let path = match one {
                Written::Legacy(id) => format!("/v1/connect/intentions/{id}"),
                Written::Entry(name) => format!("/v1/config/service-intentions/{name}"),
            };
            api.delete(&path).await.unwrap();
        }
    }
}

impl Pair {
    fn source(&self) -> Value {
        match self.what {
            What::Permissions => json!({"Name": self.source, "Permissions": [
                {"Action": "deny", "HTTP": {"PathExact": "/secret"}}, {"Action": "allow", "HTTP": {"PathPrefix": "/"}}]}),
            what => json!({"Name": self.source, "Action": what.text()}),
        }
    }
}

impl What {
    fn text(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny | Self::Permissions => "deny",
        }
    }
}

fn name(number: u64, place: u64) -> String {
    format!("x{number}-{place}")
}
