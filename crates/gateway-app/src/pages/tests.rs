//! Tests of the pages: what they say, and how long they may become.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_runtime::record::Verdict;
use gateway_runtime::registry::Authorization;
use gateway_state::mesh::Target;
use serde_json::{Value, json};

use super::*;
use crate::live::{LiveMesh, LiveRoute};
use crate::testing::{Catalog, sni};

fn query(text: &str) -> Query {
    Query::parse(Some(text))
}

/// The state of a catalog without names to resolve.
fn live(catalog: &Catalog) -> LiveMesh {
    let route = |target: &Arc<Target>| Arc::new(LiveRoute::new(Arc::clone(target), &Arc::default()));
    let snapshot = catalog.snapshot();
    let routes = snapshot.table.targets().iter().map(route).collect();
    LiveMesh::new(snapshot, routes)
}

fn row(id: u64, service: &str) -> ConnRow {
    ConnRow {
        id,
        state: "open",
        listener: "default".to_owned(),
        peer: "192.0.2.1:5000".parse().unwrap(),
        sni: Some("x.example".to_owned()),
        alpn: Some("h2".to_owned()),
        service: Some(service.to_owned()),
        rule: Some("service"),
        endpoint: Some("10.0.0.1:1".parse().unwrap()),
        attempts: 1,
        age: Duration::from_millis(1_500),
        bytes_up: 7,
        bytes_down: 9,
        spliced: true,
        authorization: None,
    }
}

#[test]
fn a_query_is_bounded_and_forgiving() {
    let usual = Query { limit: 100, service: None, name: None };
    for text in ["", "limit=", "limit=x", "limit=-1", "other=1", "&&=", "limit"] {
        assert_eq!(query(text), usual, "{text}");
    }
    assert_eq!(Query::parse(None), usual);
    assert_eq!(query("limit=1000000").limit, 10_000);
    assert_eq!(query("limit=0").limit, 0);
    let filters = query("service=dc%3Aams2&name=*.a+b%2&limit=5");
    assert_eq!(filters.service.as_deref(), Some("dc:ams2"));
    assert_eq!((filters.name.as_deref(), filters.limit), (Some("*.a b%2"), 5));
    assert_eq!(query("service=%ff").service, None, "not UTF-8");
}

#[test]
fn a_connection_is_shown_with_all_that_is_known() {
    let page = connections(3, &[row(1, "billing")], &query(""), false);
    assert_eq!((&page["open"], &page["shown"]), (&json!(3), &json!(1)));
    assert_eq!(
        page["connections"][0],
        json!({
            "id": 1, "state": "open", "listener": "default", "peer": "192.0.2.1:5000", "sni": "x.example",
            "alpn": "h2", "service": "billing", "rule": "service", "endpoint": "10.0.0.1:1", "attempts": 1,
            "age_seconds": 1.5, "bytes_up": 7, "bytes_down": 9, "spliced": true,
        })
    );
}

/// Where clients are judged each row says by whose word it is open, also while that is not known.
#[test]
fn a_judged_connection_names_source_destination_and_intention() {
    let authorization = Authorization {
        source: "spiffe://x.consul/ns/default/dc/dc1/svc/web".into(),
        verdict: Verdict::Allow,
        intention: "intention web => billing (precedence 9): allow".into(),
        proof: Arc::new(()),
    };
    let judged = ConnRow { authorization: Some(Arc::new(authorization)), ..row(1, "billing") };
    let page = connections(2, &[judged, row(2, "billing")], &query(""), true);
    let shown = |row: usize| {
        ["source", "destination", "verdict", "intention"].map(|key| page["connections"][row][key].clone())
    };
    assert_eq!(
        shown(0),
        [
            "spiffe://x.consul/ns/default/dc/dc1/svc/web",
            "billing",
            "allow",
            "intention web => billing (precedence 9): allow"
        ]
    );
    assert_eq!(shown(1), [Value::Null, json!("billing"), Value::Null, Value::Null]);
}

#[test]
fn lists_of_connections_are_bounded_and_filtered() {
    let rows: Vec<_> = (0..20_000).map(|id| row(id, if id % 2 == 0 { "even" } else { "odd" })).collect();
    let shown = |text: &str| connections(rows.len(), &rows, &query(text), false)["shown"].clone();
    assert_eq!(shown(""), 100);
    assert_eq!(shown("limit=3"), 3);
    assert_eq!(shown("limit=50000"), 10_000);
    let odd = connections(rows.len(), &rows, &query("service=odd&limit=2"), false);
    let ids: Vec<_> = odd["connections"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [1, 3]);
}

#[test]
fn endpoints_are_shown_as_they_stand() {
    let catalog = Catalog::example();
    let live = live(&catalog);
    let now = Instant::now();
    let billing = sni("billing.default.fra1");
    let route = live.lookup(&billing).unwrap().route;
    let mut held = route.set().pick(now, 1, &[]).unwrap();
    held.connected();

    let page = endpoints(&live, now, &query(&format!("name={billing}")));
    assert_eq!((&page["names"], &page["generation"]), (&json!(1), &json!(live.snapshot().generation)));
    let service = &page["services"][0];
    assert_eq!((&service["name"], &service["service"]), (&json!(billing), &json!("billing")));
    assert_eq!(
        (&service["open"], &service["pending"], &service["rule"]),
        (&json!(1), &json!(0), &json!("service"))
    );
    assert_eq!(
        service["endpoints"][0],
        json!({
            "address": "10.10.3.7:21000", "instance": "billing-1", "weight": 1, "healthy": true, "eligible": true,
            "ejected": false, "ejected_for_seconds": null, "in_flight": 1, "consecutive_failures": 0, "failures": 0,
        })
    );
    assert_eq!(service["endpoints"][1]["healthy"], false);
}

#[test]
fn an_ejected_endpoint_shows_for_how_long() {
    let catalog = Catalog::example();
    let live = live(&catalog);
    let now = Instant::now();
    let set = live.lookup("a.legacy.example.com").unwrap().route.set();
    // Both in turn: one of them fails its fifth time first, and the last one is never ejected.
    let mut notice = None;
    for random in 0..20 {
        notice = set.pick(now, random, &[]).unwrap().failed(now).or(notice);
    }
    let ejected = notice.expect("one is ejected").address.to_string();
    let page = endpoints(&live, now + Duration::from_secs(10), &query("service=route:*.legacy.example.com"));
    let rows = page["services"][0]["endpoints"].as_array().unwrap();
    let row = rows.iter().find(|row| row["address"] == ejected).unwrap();
    assert_eq!((&row["ejected"], &row["ejected_for_seconds"]), (&json!(true), &json!(20.0)));
    assert_eq!(page["services"][0]["ejections"], 1);
}

#[test]
fn the_limit_counts_endpoints_over_all_names() {
    let live = live(&Catalog::example());
    let count = |page: &Value| -> usize {
        page["services"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["endpoints"].as_array().unwrap().len())
            .sum()
    };
    let all = endpoints(&live, Instant::now(), &query(""));
    assert_eq!((all["names"].clone(), count(&all)), (json!(4), 6));
    let some = endpoints(&live, Instant::now(), &query("limit=3"));
    assert_eq!((count(&some), &some["shown"], &some["names"]), (3, &json!(3), &json!(4)));
    assert_eq!(
        endpoints(&live, Instant::now(), &query("service=billing"))["names"],
        2,
        "the subset shares its label"
    );
}

#[test]
fn the_snapshot_shows_names_files_and_settings_with_their_origin() {
    let catalog = Catalog::example();
    let settings = catalog.settings(&[("GATEWAY_TIMERS_HELLO", "3s")]);
    let page = snapshot(&*catalog.snapshot(), &settings, &query(""));
    assert_eq!(page["mesh"]["datacenter"], "fra1");
    assert_eq!(page["names"]["total"], 4);
    let names = page["names"]["rows"].as_array().unwrap();
    let billing = names.iter().find(|row| row["name"] == sni("billing.default.fra1")).unwrap();
    assert_eq!((&billing["endpoints"], &billing["healthy"]), (&json!(2), &json!(1)));
    assert_eq!(billing["connect_timeout"], "7s");
    assert_eq!(page["files"]["total"], 1);
    assert_eq!(page["rejected"], json!({ "total": 0, "rows": [] }));
    let hello = &page["settings"]["timers.hello"];
    assert_eq!(*hello, json!({ "value": "3s", "origin": "environment GATEWAY_TIMERS_HELLO" }));
    assert_eq!(page["settings"]["workers"]["origin"], "default");

    let one = snapshot(&*catalog.snapshot(), &settings, &query("limit=1"));
    assert_eq!((&one["names"]["total"], one["names"]["rows"].as_array().unwrap().len()), (&json!(4), 1));
}
