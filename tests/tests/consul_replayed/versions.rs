//! What is taken from each recorded version, and what differs between them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateway_testkit::{Fault, Lab, On, Replay, wait_for};
use serde_json::{Value, json};

use crate::world::{World, names, rows, soon, steady};

/// Each name without its trust domain: endpoints, healthy ones, connect timeout.
fn shown(page: &Value) -> Vec<String> {
    let suffix = format!(".internal.{}", page["mesh"]["trust_domain"].as_str().unwrap());
    let row = |row: &Value| {
        let name = row["name"].as_str().unwrap().strip_suffix(&suffix).unwrap().to_owned();
        let timeout = row["connect_timeout"].as_str().unwrap_or("-");
        format!("{name} {} {}/{} {timeout}", row["rule"].as_str().unwrap(), row["healthy"], row["endpoints"])
    };
    page["names"]["rows"].as_array().unwrap().iter().map(row).collect()
}

/// Address, instance, weight and whether it may get calls, of each endpoint of a name.
async fn endpoints(world: &World, name: &str) -> Vec<String> {
    let page = world.gateway.admin().unwrap().endpoints().await.unwrap();
    let sets = page["services"].as_array().unwrap().clone();
    let set = sets.into_iter().find(|set| set["name"].as_str().unwrap().starts_with(name)).unwrap();
    let row = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        format!("{} {} {} {}", text("address"), text("instance"), row["weight"], row["eligible"])
    };
    set["endpoints"].as_array().unwrap().iter().map(row).collect()
}

/// Two datacenters, subsets with a default, a service behind a terminating gateway, a redirect that concerns callers.
const DATACENTERS: [&str; 8] = [
    "*.dc2 remote_datacenter 1/1 -",
    "accounts.default.dc1 service 2/2 -",
    "billing.default.dc1 service 1/1 3s",
    "frontend.default.dc1 service 1/1 -",
    "legacy.default.dc1 service 1/1 -",
    "v1.billing.default.dc1 subset 1/1 3s",
    "v2.billing.default.dc1 subset 1/2 3s",
    "web.default.dc1 service 1/1 -",
];
/// Agents in development mode; `api` is an instance with a certificate of its own and behind a wildcard as well.
const DEVELOPMENT: [&str; 7] = [
    "*.dc2 remote_datacenter 1/1 -",
    "accounts.default.dc1 service 2/2 -",
    "api.default.dc1 service 1/2 -",
    "billing-db.default.dc1 service 0/1 -",
    "v1.web.default.dc1 subset 0/1 3s",
    "v2.web.default.dc1 subset 0/1 3s",
    "web.default.dc1 service 0/1 3s",
];

/// What each version can, as far as it differs.
fn features(page: &Value) -> String {
    let features = page["consul"]["features"].as_object().unwrap();
    let can = features.iter().filter(|(_, row)| row["can"] == "yes").map(|(name, _)| name.as_str());
    can.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_is_taken_from_each_version() {
    let all = "agent_self all_kinds exported_services federation_states intention_entries mesh_entry peering";
    for (version, wanted, can) in [
        ("1.8.7", &DATACENTERS[..], "agent_self all_kinds federation_states"),
        ("1.10.1", &DEVELOPMENT[..], "agent_self all_kinds federation_states intention_entries mesh_entry"),
        ("1.21", &DATACENTERS[..], all),
    ] {
        let world = World::of(version, |it| it).await;
        let probed = |page: &Value| page["consul"]["features"].as_object().is_some_and(|all| all.len() > 5);
        let page = world.until("features", |page| shown(page) == wanted && probed(page)).await;
        assert_eq!(features(&page), can, "{version}: {:#}", page["consul"]["features"]);
        let detail = page["consul"]["features"]["agent_self"]["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("Consul {version}")), "{detail}");
        assert_eq!(page["rejected"]["total"], 0, "{:#}", page["rejected"]);
        if version == "1.10.1" {
            assert_eq!(endpoints(&world, "*.dc2").await, ["198.51.100.2:443 mgw-dc2 1 true"]);
            continue;
        }
        // Of another datacenter the WAN address; of a service outside of the mesh the terminating gateway.
        assert_eq!(endpoints(&world, "*.dc2").await, ["127.0.0.102:8444 mesh-gateway 1 true"]);
        assert_eq!(endpoints(&world, "legacy.").await, ["127.0.0.1:8443 egress 1 true"]);
        assert_eq!(endpoints(&world, "billing.").await, ["127.0.0.1:21001 billing-1-sidecar-proxy 1 true"]);
        // OnlyPassing: the critical one gets nothing.
        let subset = [
            "127.0.0.1:21002 billing-2-sidecar-proxy 5 true",
            "127.0.0.1:21003 billing-3-sidecar-proxy 1 false",
        ];
        assert_eq!(endpoints(&world, "v2.billing.").await, subset);
    }
}

/// Row 44: fields, kinds of entries and of services that only a later version has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_later_version_adds_is_ignored() {
    let later = |replay: &Replay| {
        let add = |value: &mut Value| {
            for row in value.as_array_mut().unwrap() {
                row["Later"] = json!({"Deep": [1, "two", null, 18_446_744_073_709_551_615_u64]});
                if let Some(service) = row.get_mut("Service").filter(|it| it.is_object()) {
                    service["Later"] = json!("x");
                    service["Proxy"]["Later"] = json!([{}]);
                }
            }
        };
        for path in [
            "/v1/config/",
            "/v1/health/connect/accounts",
            "/v1/health/connect/billing",
            "/v1/health/state/critical",
        ] {
            replay.edit(path, add);
        }
        replay.edit("/v1/config/", |entries| {
            let entry = json!({"Kind": "later-kind", "Name": "billing", "Subsets": 7, "CreateIndex": 1, "ModifyIndex": 1});
            entries.as_array_mut().unwrap().insert(0, entry);
        });
        replay.edit("/v1/health/connect/accounts", |rows| {
            let mut row = rows[0].clone();
            (row["Service"]["Kind"], row["Service"]["ID"]) = ("later-gateway".into(), "later-1".into());
            rows.as_array_mut().unwrap().push(row);
        });
    };
    let replay = Replay::of_version("1.21").unwrap();
    let world = World::on(Lab::new().unwrap(), replay, later, |it| it).await;
    let page = world.until("all names", |page| shown(page) == DATACENTERS).await;
    assert_eq!(page["rejected"]["total"], 0, "{:#}", page["rejected"]);
    let good = |row: &Value| row["error"].is_null();
    assert!(rows(&page, "/v1/").iter().all(good), "{:#}", page["consul"]["watches"]);
}

/// A client agent cannot list entries of all kinds: kind by kind, with the same outcome, and no loss of quickness.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_agent_is_asked_kind_by_kind() {
    let replay = Replay::of_client_agent("1.21").unwrap();
    let world = World::on(Lab::new().unwrap(), replay, |_| {}, |it| it).await;
    world.until("all names", |page| shown(page) == DATACENTERS).await;
    let lists = rows(&world.snapshot().await, "/v1/config/");
    let paths: Vec<_> = lists.iter().map(|row| row["path"].as_str().unwrap()).collect();
    let wanted =
        ["/v1/config/service-resolver", "/v1/config/service-defaults/mesh-gateway", "/v1/config/mesh/mesh"];
    assert_eq!(paths, wanted);
    assert!(lists.iter().all(|row| row["state"] == "good"), "{lists:#?}");
    // Once by the gateway, once more to know what this agent can.
    assert!((1..=2).contains(&world.replay.count(|asked| asked.path() == "/v1/config/")));
    world.replay.config_write(&json!({"Kind": "service-resolver", "Name": "accounts", "Subsets": {"x": {}}}));
    let written = Instant::now();
    let called = async || world.who("x.accounts").await.ok();
    wait_for(soon(), "a call to the subset", called).await.unwrap();
    assert!(written.elapsed() < Duration::from_secs(1), "{:?}", written.elapsed());
}

/// Streams have indexes of their own: up and down with the same data, which is no news and no reason to ask more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_another_backend_is_no_news() {
    let world = World::of("1.21", |it| it).await;
    let steady = steady(&world);
    let path = "/v1/health/connect/accounts";
    let before = world.snapshot().await;
    let index = world.replay.index(path).unwrap();
    let of_it = |asked: &gateway_testkit::Asked| asked.path() == path;
    let (changes, asked) = (6, world.replay.count(of_it));
    for at in 0..changes {
        if at % 2 == 0 {
            world.replay.set_index(path, index - 10);
            world.wake(path).await;
        } else {
            // Above what is waited for: the wait ends.
            world.replay.set_index(path, index + at);
        }
        steady.go_on(5).await;
    }
    steady.go_on(50).await;
    let asked = world.replay.count(of_it) - asked;
    assert!(asked <= 2 * changes as usize + 2, "{asked} questions for {changes} other indexes");
    let page = world.snapshot().await;
    assert_eq!((names(&page), &page["generation"]), (names(&before), &before["generation"]));
    assert_eq!(rows(&page, path)[0]["state"], "good");
    world.replay.set_health("accounts-2", "critical");
    let took = world.until_healthy(1, soon()).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    steady.end().await;
}

/// Row 16: up to 1.15 nothing with index 1 may mean that the token may not; the discovery chain knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_with_index_1_is_believed_if_the_chain_may_be_read() {
    let world = World::of("1.10.1", |it| {
        it.setting("TIMERS_CONSUL_GUARD", "500ms").setting("TIMERS_CONSUL_DENIED", "400ms")
    });
    let world = world.await;
    let steady = steady(&world);
    let (path, before) = ("/v1/health/connect/accounts", world.snapshot().await);
    world.replay.fault(On::path("/v1/discovery-chain/"), Fault::denied());
    world.replay.replace(path, &json!([]));
    world.replay.set_index(path, 1);
    world.wake(path).await;
    let denied = |page: &Value| rows(page, path)[0]["state"] == "denied";
    world.until("an answer that is not believed", denied).await;
    steady.go_on(70).await;
    let page = world.snapshot().await;
    assert_eq!((names(&page), &page["generation"]), (names(&before), &before["generation"]));
    assert!(world.replay.count(|asked| asked.path() == "/v1/discovery-chain/accounts") > 0);
    steady.end().await;
    world.replay.heal();
    let gone = |page: &Value| !names(page).iter().any(|name| name.contains("\"accounts\""));
    world.until("the service to be gone", gone).await;
}

/// A version that is replaced by another while the gateway runs is asked again what it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_comes_back_as_another_is_known_as_that() {
    let world = World::of("1.21", |it| it.setting("TIMERS_CONSUL_GUARD", "500ms")).await;
    let can = |wanted: &'static str| move |page: &Value| features(page).contains(wanted);
    world.until("what 1.21 can", can("peering")).await;
    world.replay.kill();
    world.until("away", |page| page["consul"]["agent"]["answers"] == false).await;
    world.replay.load(&gateway_testkit::Recording::of_version("1.8.7").unwrap());
    world.replay.listen();
    // What is missing counts at once; what is new must stay for a minute.
    let page = world.until("no peering", |page| !features(page).contains("peering")).await;
    assert_eq!(features(&page), "agent_self all_kinds federation_states");
    // Another cluster: its trust domain is in the names as soon as it is known.
    let domain = world.replay.get("/v1/agent/connect/ca/roots")["TrustDomain"].clone();
    world.until("the new trust domain", |page| page["mesh"]["trust_domain"] == domain).await;
    let states: BTreeMap<_, _> = rows(&world.snapshot().await, "/v1/")
        .into_iter()
        .map(|row| (row["path"].to_string(), row["state"].to_string()))
        .collect();
    assert!(states.values().all(|state| state != "\"server\""), "{states:#?}");
}
