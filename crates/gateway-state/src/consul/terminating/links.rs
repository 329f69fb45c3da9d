//! Which services are linked, and how.
//!
//! Consul expands `*` and says what is linked now (`catalog/gateway-services`); the gateway's own config entry says
//! how. Where the entry names a service, the entry counts:
//!
//! * Consul 1.8 puts the wildcard's settings in place of a service's own as soon as an instance of it registers, and
//!   forgets the link when the last one goes.
//! * Consul leaves the row of a service out that the token may not read (any more) and says nothing of it. The entry
//!   needs a right on the gateway's name alone.

use catalog_client::{lenient::or_default, query::GatewayService};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

/// One linked service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// A `Destination`: it has no instances.
    pub(super) is_destination: bool,
    pub(super) from_wildcard: bool,
    pub(super) host_rewrite: bool,
    /// Empty: no TLS towards its instances.
    pub(super) ca_file: Box<str>,
    pub(super) cert_file: Box<str>,
    pub(super) key_file: Box<str>,
    pub(super) sni: Box<str>,
}

/// The links of one gateway.
#[derive(Debug)]
pub(super) struct Links {
    gateway: Box<str>,
    namespace: Box<str>,
    rows: Vec<GatewayService>,
    /// What the entry says, by the list that it is in; of a list that was never read, nothing.
    entries: BTreeMap<&'static str, Vec<Named>>,
    /// Services that the wildcard had taken in and does no more: their last instance is gone, or the token may not
    /// read them any more. They are linked until it is clear which.
    lost: BTreeMap<Arc<str>, GatewayService>,
}

/// A service as the entry names it, or `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Named {
    #[serde(deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    namespace: Box<str>,
    #[serde(rename = "CAFile", deserialize_with = "or_default")]
    ca_file: Box<str>,
    #[serde(deserialize_with = "or_default")]
    cert_file: Box<str>,
    #[serde(deserialize_with = "or_default")]
    key_file: Box<str>,
    #[serde(rename = "SNI", deserialize_with = "or_default")]
    sni: Box<str>,
    #[serde(deserialize_with = "or_default")]
    disable_auto_host_rewrite: bool,
}

impl Links {
    /// Of the gateway with this service name, in this namespace.
    pub(super) fn new(gateway: &str, namespace: &str) -> Self {
        let (gateway, namespace) = (gateway.into(), namespace.into());
        Self { gateway, namespace, rows: Vec::new(), entries: BTreeMap::new(), lost: BTreeMap::new() }
    }

    /// An answer of `catalog/gateway-services`. Says whether services of the wildcard are missing in it; they are
    /// held back if they can be doubted.
    pub(super) fn set_rows(&mut self, rows: Vec<GatewayService>, can_doubt: bool) -> bool {
        let before = std::mem::replace(&mut self.rows, rows);
        let there = |name: &str| self.rows.iter().any(|row| *row.service.name == *name);
        self.lost.retain(|name, _| !there(name));
        let wild = self.entries.is_empty() || self.named().any(|named| &*named.name == "*");
        let lost = before.into_iter().filter(|row| {
            can_doubt
                && wild
                && row.from_wildcard
                && self.is_here(&row.service.namespace)
                && !there(&row.service.name)
        });
        let lost: Vec<_> = lost.map(|row| (Arc::from(&*row.service.name), row)).collect();
        let some = !lost.is_empty();
        self.lost.extend(lost);
        some
    }

    /// Services that are held back.
    pub(super) fn lost(&self) -> impl Iterator<Item = &Arc<str>> {
        self.lost.keys()
    }

    /// Those that the token may still read are gone. Says whether there were any.
    pub(super) fn let_go(&mut self, granted: &BTreeSet<Arc<str>>) -> bool {
        let before = self.lost.len();
        self.lost.retain(|name, _| !granted.contains(name));
        self.lost.len() != before
    }

    /// A list of config entries, in which the gateway's own may be. A row of the entry that cannot be read says
    /// nothing: then the answer about links counts.
    pub(super) fn set_entries(&mut self, list: &'static str, body: &[u8]) {
        let entries = serde_json::from_slice::<Option<Vec<Value>>>(body).ok().flatten().unwrap_or_default();
        let own = |entry: &&Value| {
            entry["Kind"] == "terminating-gateway"
                && entry["Name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&self.gateway))
        };
        let services = entries.iter().filter(own).filter_map(|entry| entry["Services"].as_array()).flatten();
        let named = services.filter_map(|service| Named::deserialize(service).ok()).collect();
        self.entries.insert(list, named);
        if !self.named().any(|named| &*named.name == "*") {
            self.lost.clear();
        }
    }

    /// Forgets a list that others have taken the place of.
    pub(super) fn forget(&mut self, list: &'static str) {
        self.entries.remove(list);
    }

    /// All linked services of the gateway's namespace.
    pub(super) fn all(&self) -> BTreeMap<Arc<str>, Link> {
        let mut all = BTreeMap::new();
        for row in
            self.rows.iter().chain(self.lost.values()).filter(|row| self.is_here(&row.service.namespace))
        {
            // Listed twice it counts once.
            if !row.service.name.is_empty()
                && let Entry::Vacant(place) = all.entry(Arc::from(&*row.service.name))
            {
                place.insert(self.of_row(row));
            }
        }
        for named in self.named().filter(|named| !named.name.is_empty() && &*named.name != "*") {
            let is_destination = all.get(&*named.name).is_some_and(|link| link.is_destination);
            all.insert(Arc::from(&*named.name), named.link(is_destination));
        }
        all
    }

    fn of_row(&self, row: &GatewayService) -> Link {
        let wildcard = self.named().find(|named| &*named.name == "*").filter(|_| row.from_wildcard);
        let says = wildcard.map(|named| !named.disable_auto_host_rewrite).or(row.auto_host_rewrite);
        Link {
            is_destination: row.is_destination(),
            from_wildcard: row.from_wildcard,
            host_rewrite: says.unwrap_or(true),
            ca_file: row.ca_file.clone(),
            cert_file: row.cert_file.clone(),
            key_file: row.key_file.clone(),
            sni: row.sni.clone(),
        }
    }

    fn named(&self) -> impl Iterator<Item = &Named> {
        self.entries.values().flatten().filter(|named| self.is_here(&named.namespace))
    }

    fn is_here(&self, namespace: &str) -> bool {
        namespace.is_empty() || namespace.eq_ignore_ascii_case(&self.namespace)
    }
}

impl Named {
    fn link(&self, is_destination: bool) -> Link {
        Link {
            is_destination,
            from_wildcard: false,
            host_rewrite: !self.disable_auto_host_rewrite,
            ca_file: self.ca_file.clone(),
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            sni: self.sni.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(rows: Value) -> Vec<GatewayService> {
        serde_json::from_value(rows).unwrap()
    }

    fn row(name: &str, wildcard: bool) -> Value {
        json!({"Service": {"Name": name}, "SNI": if wildcard { "wild" } else { "" }, "FromWildcard": wildcard})
    }

    fn entry(services: &Value) -> Vec<u8> {
        let own = json!({"Kind": "terminating-gateway", "Name": "egress", "Services": services});
        let other = json!({"Kind": "terminating-gateway", "Name": "other", "Services": [{"Name": "z"}]});
        serde_json::to_vec(&json!([own, other])).unwrap()
    }

    fn names(links: &Links) -> Vec<String> {
        links.all().keys().map(|name| name.to_string()).collect()
    }

    fn links() -> Links {
        Links::new("egress", "default")
    }

    #[test]
    fn a_row_that_is_left_out_counts_while_the_entry_names_it() {
        let mut links = links();
        links.set_entries("config", &entry(&json!([{"Name": "a", "SNI": "a.example"}, {"Name": "*"}])));
        links.set_rows(rows(json!([row("a", false), row("wild", true)])), false);
        assert_eq!(names(&links), ["a", "wild"]);
        // The token has lost `a`, and the last instance of `wild` is gone.
        links.set_rows(Vec::new(), false);
        assert_eq!(names(&links), ["a"]);
        assert_eq!(&*links.all()["a"].sni, "a.example");
        links.set_entries("config", b"null");
        assert!(names(&links).is_empty());
    }

    /// Seen at 1.8.7: the row of a service that is linked by name, after its first instance has registered.
    #[test]
    fn the_settings_of_the_entry_beat_those_that_the_wildcard_left_behind() {
        let mut links = links();
        links.set_rows(rows(json!([row("own", true), row("wild", true)])), false);
        assert!(links.all()["own"].from_wildcard, "without an entry the rows say all");
        let own = json!([{"Name": "*"}, {"Name": "own", "CAFile": "/ca", "SNI": "own", "DisableAutoHostRewrite": true}]);
        links.set_entries("config", &entry(&own));
        let all = links.all();
        let link = &all["own"];
        assert!(!link.from_wildcard && !link.host_rewrite);
        assert_eq!((&*link.ca_file, &*link.sni), ("/ca", "own"));
        assert!(all["wild"].from_wildcard && &*all["wild"].sni == "wild");
    }

    #[test]
    fn hosts_are_rewritten_unless_the_entry_says_otherwise() {
        let mut links = links();
        let mut wild = row("wild", true);
        wild["AutoHostRewrite"] = true.into();
        links.set_rows(rows(json!([wild, row("old", true)])), false);
        assert!(links.all().values().all(|link| link.host_rewrite));
        links.set_entries("config", &entry(&json!([{"Name": "*", "DisableAutoHostRewrite": true}])));
        assert!(links.all().values().all(|link| !link.host_rewrite));
    }

    #[test]
    fn destinations_are_told_by_consul() {
        let mut links = links();
        let destination = json!({"Service": {"Name": "www"}, "ServiceKind": "destination"});
        links.set_rows(
            rows(json!([destination, {"Service": {"Name": "plain"}, "ServiceKind": "service"}])),
            false,
        );
        links.set_entries("config", &entry(&json!([{"Name": "www"}, {"Name": "plain"}])));
        assert!(links.all()["www"].is_destination && !links.all()["plain"].is_destination);
    }

    #[test]
    fn what_the_wildcard_loses_is_linked_until_it_is_clear_why() {
        let mut links = links();
        links.set_entries("config", &entry(&json!([{"Name": "*"}])));
        assert!(!links.set_rows(rows(json!([row("a", true), row("b", true), row("c", true)])), true));
        assert!(links.set_rows(rows(json!([row("c", true)])), true));
        assert_eq!(names(&links), ["a", "b", "c"]);
        // The token may not read `a` any more, and `b` is gone.
        assert!(links.let_go(&BTreeSet::from([Arc::from("b")])));
        assert_eq!(names(&links), ["a", "c"]);
        assert!(!links.set_rows(rows(json!([row("c", true)])), true), "said once");
        assert_eq!(links.lost().count(), 1);
        // It is back; later the wildcard itself is taken out.
        links.set_rows(rows(json!([row("a", true), row("c", true)])), true);
        assert_eq!(links.lost().count(), 0);
        links.set_rows(Vec::new(), true);
        assert_eq!(names(&links), ["a", "c"]);
        links.set_entries("config", &entry(&json!([])));
        assert!(names(&links).is_empty());
        links.set_rows(rows(json!([row("a", true)])), true);
        assert!(!links.set_rows(Vec::new(), true), "there is no wildcard");
    }

    #[test]
    fn odd_rows_are_no_services() {
        let mut links = links();
        let foreign = json!({"Service": {"Name": "there", "Namespace": "team"}});
        let twice = json!({"Service": {"Name": "a"}, "SNI": "second"});
        links.set_rows(rows(json!([{}, row("a", false), twice, foreign])), false);
        assert_eq!(names(&links), ["a"]);
        assert_eq!(&*links.all()["a"].sni, "");
        let odd = json!([{"Name": ""}, {"Name": 7}, 7, {"Name": "b", "Namespace": "team"}, {"Name": "c", "SNI": null}]);
        links.set_entries("config", &entry(&odd));
        assert_eq!(names(&links), ["a", "c"]);
        links.set_entries("config", b"{}");
        links.forget("config");
        assert_eq!(names(&links), ["a"]);
    }
}
