//! Config entries: resolvers, and the limits of the gateway itself.

use std::time::Duration;

use gateway_testkit::{Backend, Consul, Instance, Place, Version};
use serde_json::{Value, json};

use crate::world::{World, id, soon};

fn resolver(name: &str, more: &Value) -> Value {
    let mut entry = json!({"Kind": "service-resolver", "Name": name});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

/// T02 to T05: subsets are chosen by name, one of them may be the default, and `OnlyPassing` is theirs alone.
#[tokio::test]
async fn subsets_are_what_their_filters_say() {
    if !Consul::available() {
        return;
    }
    let world = World::start("subset").await;
    let (server, version) = (&world.server, |it: Instance, version: &str| it.meta("version", version));
    let _one = world.instance("subset", "subset-1", |it| version(it, "v1")).await;
    let _two = world.instance("subset", "subset-2", |it| version(it, "v2").weights(1, 1)).await;
    let _warns = world.instance("subset", "subset-3", |it| version(it, "v2").weights(1, 7)).await;
    world.until_used("subset", &["subset-1", "subset-2", "subset-3"]).await;
    server.set_health("subset-3", "warning").await.unwrap();
    let v2 = json!({"Filter": "Service.Meta.version == v2"});
    let entry = json!({
        "DefaultSubset": "v1",
        "Subsets": {
            "v1": {"Filter": "Service.Meta.version == v1"}, "v2": v2,
            "good": {"Filter": "Service.Meta.version == v2", "OnlyPassing": true}, "all": {},
        },
    });
    server.config_write(&resolver("subset", &entry)).await.unwrap();
    world.until_used("subset", &["subset-1"]).await;
    world.until_used("v2.subset", &["subset-2", "subset-3"]).await;
    world.until_used("good.subset", &["subset-2"]).await;
    world.until_used("all.subset", &["subset-1", "subset-2", "subset-3"]).await;
    assert_eq!(world.whos("subset", 3).await, ["subset-1"; 3]);
    assert_eq!(world.whos("good.subset", 3).await, ["subset-2"; 3]);
    let warns = world.whos("v2.subset", 16).await.iter().filter(|it| **it == "subset-3").count();
    assert!((13..=15).contains(&warns), "{warns} of 16 calls by its weight of 7 to 1");
    assert!(world.call("v9.subset").await.is_err());
    let sni = world.sni("v9.subset");
    let refused = world.gateway.wait_record(soon(), "of v9", |it| it["sni"] == *sni).await.unwrap();
    assert_eq!(refused["reason"], "unknown_sni");

    // The default's flag is the unnamed name's as well.
    let entry = json!({"DefaultSubset": "v2", "Subsets": {"v2": {"Filter": "Service.Meta.version == v2", "OnlyPassing": true}}});
    server.config_write(&resolver("subset", &entry)).await.unwrap();
    world.until_used("subset", &["subset-2"]).await;
    world.until_gone("v1.subset").await;
    server.config_delete("service-resolver", "subset").await.unwrap();
    world.until_used("subset", &["subset-1", "subset-2", "subset-3"]).await;
    world.until_gone("v2.subset").await;
    world.end().await;
}

/// Whoever redirects a service does so at the caller's side; the name still means who has it.
#[tokio::test]
async fn a_redirect_is_not_applied() {
    if !Consul::available() {
        return;
    }
    let world = World::start("redirect").await;
    let _old = world.instance("redirect-old", "redirect-old-1", |it| it).await;
    let _new = world.instance("redirect-new", "redirect-new-1", |it| it).await;
    world.until_used("redirect-new", &["redirect-new-1"]).await;
    let entry = json!({"Redirect": {"Service": "redirect-new"}});
    world.server.config_write(&resolver("redirect-old", &entry)).await.unwrap();
    // Written later, so known no earlier.
    let entry = json!({"Subsets": {"later": {}}});
    world.server.config_write(&resolver("redirect-new", &entry)).await.unwrap();
    world.until_used("later.redirect-new", &["redirect-new-1"]).await;
    assert_eq!(world.whos("redirect-old", 3).await, ["redirect-old-1"; 3]);
    for name in ["redirect-old", "redirect-new"] {
        world.server.config_delete("service-resolver", name).await.unwrap();
    }
    world.end().await;
}

/// What Consul takes and nobody can evaluate leaves the last good entry in use.
#[tokio::test]
async fn a_resolver_that_is_wrong_keeps_the_last_good_one() {
    if !Consul::available() {
        return;
    }
    let world = World::start("wrong").await;
    let _one = world.instance("wrong", "wrong-1", |it| it.meta("version", "v1")).await;
    let _two = world.instance("wrong", "wrong-2", |it| it.meta("version", "v2")).await;
    let entry = |filter: &str| {
        resolver("wrong", &json!({"DefaultSubset": "v1", "Subsets": {"v1": {"Filter": filter}}}))
    };
    world.server.config_write(&entry("Service.Meta.version == v1")).await.unwrap();
    world.until_used("wrong", &["wrong-1"]).await;
    world.server.config_write(&entry("Service.NoSuch == x")).await.unwrap();
    let of_ours = |page: &Value| {
        let rows = page["rejected"]["rows"].as_array().unwrap();
        rows.iter().find(|row| row["document"].as_str().unwrap().contains("wrong")).cloned()
    };
    let page = world.until_snapshot("the rejected entry", |page| of_ours(page).is_some()).await;
    let rejected = of_ours(&page).unwrap();
    assert_eq!(rejected["last_good_in_use"], true, "{rejected:#}");
    assert!(rejected["problem"]["message"].as_str().unwrap().contains("NoSuch"), "{rejected:#}");
    assert_eq!(world.whos("wrong", 3).await, ["wrong-1"; 3]);
    // Endpoints still follow, by the last good filter.
    let _three = world.instance("wrong", "wrong-3", |it| it.meta("version", "v1")).await;
    world.until_used("wrong", &["wrong-1", "wrong-3"]).await;
    world.server.config_write(&entry("Service.Meta.version == v2")).await.unwrap();
    world.until_used("wrong", &["wrong-2"]).await;
    world.until_snapshot("no rejected entry", |page| of_ours(page).is_none()).await;
    world.server.config_delete("service-resolver", "wrong").await.unwrap();
    world.end().await;
}

/// T38: the resolver's time to connect, the setting's without one.
#[tokio::test]
async fn the_resolver_says_how_long_a_connect_may_take() {
    if !Consul::available() {
        return;
    }
    let world = World::start("hole").await;
    let hole = Backend::black_hole(&Place::Here, ([127, 0, 0, 1], 0).into()).await.unwrap();
    world.register("hole-1", &Instance::new("hole", "hole-1", hole.address())).await;
    world.until_used("hole", &["hole-1"]).await;
    let entry = resolver("hole", &json!({"ConnectTimeout": "700ms"}));
    world.server.config_write(&entry).await.unwrap();
    let timeout = async || {
        let page = world.admin().json("/snapshot?service=hole").await.unwrap();
        page["names"]["rows"][0]["connect_timeout"].as_str().map(str::to_owned)
    };
    let known = gateway_testkit::wait_for(soon(), "the resolver's timeout", timeout).await;
    assert_eq!(known.unwrap(), "700ms");
    let began = std::time::Instant::now();
    assert!(world.call("hole").await.is_err());
    let took = began.elapsed();
    assert!((Duration::from_millis(650)..Duration::from_millis(3000)).contains(&took), "{took:?}");
    let record =
        world.gateway.wait_record(soon(), "of the call", |it| it["service"] == "hole").await.unwrap();
    assert_eq!(record["reason"], "connect_timeout", "{record:#}");
    world.server.config_delete("service-resolver", "hole").await.unwrap();
    let none = async || timeout().await.is_none();
    gateway_testkit::eventually(soon(), "no timeout of a resolver", none).await;
    let began = std::time::Instant::now();
    assert!(world.call("hole").await.is_err());
    let took = began.elapsed();
    assert!((Duration::from_millis(4900)..Duration::from_secs(9)).contains(&took), "{took:?}");
    world.end().await;
}

/// T39, T40, from the releases on that have these fields.
#[tokio::test]
async fn limits_of_the_gateway_come_and_go() {
    if !Consul::available() {
        return;
    }
    let test = "limit";
    let world = World::start_with(test, |it| it.register().flag("service", "mesh-gateway-limit")).await;
    let limits = json!({
        "Kind": "service-defaults", "Name": "mesh-gateway-limit",
        "UpstreamConfig": {"Defaults": {"Limits": {"MaxConnections": 1}}},
    });
    let policy = resolver("limit", &json!({"LoadBalancer": {"Policy": "ring_hash"}}));
    if Consul::version().unwrap() < Version(1, 10, 0) {
        for entry in [limits, policy] {
            let refused = world.server.config_write(&entry).await.unwrap_err().to_string();
            assert!(refused.contains("invalid config key"), "{refused}");
        }
        return;
    }
    let _one = world.instance("limit", "limit-1", |it| it).await;
    let _two = world.instance("limit", "limit-2", |it| it).await;
    world.until_used("limit", &["limit-1", "limit-2"]).await;
    world.server.config_write(&policy).await.unwrap();
    world.server.config_write(&limits).await.unwrap();
    let mut first = world.call("limit").await.unwrap();
    let refused = async || world.call("limit").await.is_err();
    gateway_testkit::eventually(soon(), "the limit to hold", refused).await;
    world
        .gateway
        .wait_record(soon(), "of the refusal", |it| it["reason"] == "connection_limit")
        .await
        .unwrap();
    first.echo(b"still here").await.unwrap();
    first.close().await.unwrap();
    let served = async || world.call("limit").await.is_ok();
    gateway_testkit::eventually(soon(), "room again", served).await;
    assert_eq!(world.whos("limit", 4).await, ["limit-1", "limit-1", "limit-2", "limit-2"], "in turn");
    world.server.config_delete("service-defaults", "mesh-gateway-limit").await.unwrap();
    let _held = world.call("limit").await.unwrap();
    gateway_testkit::eventually(soon(), "no limit any more", served).await;
    world.server.config_delete("service-resolver", "limit").await.unwrap();
    assert_eq!(world.own(test).await.unwrap()["ID"], id(test));
    world.end().await;
}
