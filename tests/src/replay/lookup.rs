//! Which recorded answer a request gets. A name that was never recorded is answered as that version answered
//! `no-such-thing`, with the name put in: an unknown service, entry, kind, datacenter or endpoint each as it was.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Parameters that say how to answer, not what.
const HOW: [&str; 14] = [
    "index",
    "wait",
    "hash",
    "stale",
    "consistent",
    "leader",
    "cached",
    "max_stale",
    "pretty",
    "token",
    "ns",
    "partition",
    "merge-central-config",
    "replace-existing-checks",
];
/// Names that nobody has.
const THING: &str = "no-such-thing";
const KIND: &str = "no-such-kind";
const DATACENTER: &str = "no-such-dc";
const PEER: &str = "no-such-peer";

/// Names to put into an answer: what is there, and what is wanted.
type Names = Vec<(&'static str, String)>;

/// A request's target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    path: String,
    parameters: BTreeMap<String, String>,
}

/// Where a request's answer is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The key of a recorded answer.
    pub(super) key: String,
    /// What is to be put into it.
    pub(super) names: Names,
}

impl Target {
    pub(super) fn parse(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        });
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            // Several values of one name (`name=a&name=b`) belong together.
            parameters
                .entry(name)
                .and_modify(|values: &mut String| {
                    values.push('&');
                    values.push_str(&value);
                })
                .or_insert(value);
        }
        Target { path: decode(path), parameters }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// What its answer is kept under: the path, and those parameters that change what is answered.
    pub(super) fn key(&self, own_datacenter: &str) -> String {
        let what = |(name, value): &(&String, &String)| {
            !HOW.contains(&name.as_str()) && (*name != "dc" || *value != own_datacenter)
        };
        self.key_with(&self.path, self.parameters.iter().filter(what))
    }

    fn key_with<'a>(&self, path: &str, parameters: impl Iterator<Item = (&'a String, &'a String)>) -> String {
        let query: Vec<_> = parameters.map(|(name, value)| format!("{name}={value}")).collect();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }

    /// Finds its answer among the keys that `known` knows. `datacenters` are those that exist.
    pub(super) fn find(
        &self,
        own: &str,
        datacenters: &[String],
        known: impl Fn(&str) -> bool,
    ) -> Option<Found> {
        let exact = self.key(own);
        if known(&exact) {
            return Some(Found { key: exact, names: Vec::new() });
        }
        let dc = self.parameter("dc").filter(|dc| *dc != own);
        if let Some(dc) = dc.filter(|dc| !datacenters.iter().any(|known| known == dc)) {
            let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let own = [format!("{folder}/{THING}"), self.path.clone(), "/v1/catalog/services".to_owned()];
            let key = own.into_iter().map(|path| format!("{path}?dc={DATACENTER}")).find(|key| known(key))?;
            return Some(Found { key, names: vec![(DATACENTER, dc.to_owned())] });
        }
        let segments: Vec<&str> = self.path.split('/').skip(1).collect();
        // From the closest to the one that fits everything.
        let mut candidates: Vec<(Cow<'_, str>, Names)> = Vec::new();
        if let ["v1", "config", kind] = segments.as_slice() {
            candidates.push((self.path.as_str().into(), vec![(THING, String::new())]));
            candidates.push((format!("/v1/config/{KIND}").into(), vec![(KIND, (*kind).to_owned())]));
        } else if let ["v1", "config", kind, name] = segments.as_slice() {
            let thing = (THING, (*name).to_owned());
            candidates.push((format!("/v1/config/{kind}/{THING}").into(), vec![thing.clone()]));
            let kind = (KIND, (*kind).to_owned());
            candidates.push((format!("/v1/config/{KIND}/{THING}").into(), vec![kind, thing]));
        } else if let ["v1", .., name] = segments.as_slice() {
            let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let thing = (THING, (*name).to_owned());
            if let Some(peer) = self.parameter("peer") {
                let key = format!("{folder}/{THING}?peer={PEER}");
                candidates.push((key.into(), vec![thing.clone(), (PEER, peer.to_owned())]));
            }
            // A parameter that nothing was recorded with is ignored, as agents ignore those they do not know; but
            // another datacenter has other things.
            if dc.is_none() {
                candidates.push((self.path.as_str().into(), Vec::new()));
            }
            candidates.push((format!("{folder}/{THING}").into(), vec![thing]));
        }
        for (path, names) in candidates {
            if known(&path) {
                return Some(Found { key: path.into_owned(), names });
            }
        }
        let key = "/v1/no-such-endpoint".to_owned();
        known(&key).then(|| Found { key, names: Vec::new() })
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(target: &str) -> String {
        let known = [
            "/v1/catalog/services",
            "/v1/catalog/services?dc=dc2",
            "/v1/catalog/services?dc=no-such-dc",
            "/v1/config/",
            "/v1/config/mesh/no-such-thing",
            "/v1/config/no-such-kind",
            "/v1/config/no-such-kind/no-such-thing",
            "/v1/health/connect/web",
            "/v1/health/connect/no-such-thing",
            "/v1/health/connect/no-such-thing?peer=no-such-peer",
            "/v1/no-such-endpoint",
        ];
        let datacenters = ["dc1".to_owned(), "dc2".to_owned()];
        let found = Target::parse(target).find("dc1", &datacenters, |key| known.contains(&key)).unwrap();
        let names = found.names.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(",");
        if names.is_empty() { found.key } else { format!("{} <- {names}", found.key) }
    }

    #[test]
    fn how_to_answer_does_not_change_what_is_answered() {
        for query in ["", "?index=7&wait=60s", "?consistent", "?dc=dc1&stale", "?ns="] {
            assert_eq!(find(&format!("/v1/catalog/services{query}")), "/v1/catalog/services");
        }
        assert_eq!(find("/v1/config/?index=7"), "/v1/config/");
        assert_eq!(find("/v1/catalog/services?wait=1s&dc=dc2"), "/v1/catalog/services?dc=dc2");
        assert_eq!(find("/v1/health/connect/web?near=_agent"), "/v1/health/connect/web");
    }

    #[test]
    fn a_name_that_nobody_has_is_answered_as_the_version_did() {
        assert_eq!(find("/v1/health/connect/a%20b"), "/v1/health/connect/no-such-thing <- a b");
        assert_eq!(find("/v1/config/mesh/x"), "/v1/config/mesh/no-such-thing <- x");
        assert_eq!(find("/v1/config/nope/x"), "/v1/config/no-such-kind/no-such-thing <- nope,x");
        assert_eq!(find("/v1/config/nope"), "/v1/config/no-such-kind <- nope");
        assert_eq!(find("/v1/catalog/services?dc=dc9"), "/v1/catalog/services?dc=no-such-dc <- dc9");
        let peer = "/v1/health/connect/no-such-thing?peer=no-such-peer <- web,p";
        assert_eq!(find("/v1/health/connect/web?peer=p"), peer);
        assert_eq!(find("/v1/no/where"), "/v1/no-such-endpoint");
        // Of a datacenter that exists nothing is known but what was recorded.
        assert_eq!(find("/v1/health/connect/web?dc=dc2"), "/v1/health/connect/no-such-thing <- web");
    }
}
