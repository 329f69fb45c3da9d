//! ACLs on, everything denied that a token does not allow.

use gateway_state::consul::SourceState;
use gateway_state::terminating::{LeafState, NotReady, TerminatingSnapshot};
use gateway_testkit::{Consul, Lab, Version};
use intentions::DefaultPolicy;
use serde_json::{Value, json};

use crate::world::{World, soon, verdict};

/// What the gateway needs for `billing` and `ledger`.
const LEAST: &str = r#"
service "egress" { policy = "write" }
service "billing" { policy = "write" }
service "ledger" { policy = "write" }
node_prefix "" { policy = "read" }
"#;

async fn world(rules: &str) -> (World, String) {
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().acls().start().await.unwrap();
    let token = consul.token(rules).await.unwrap();
    let world = World::on(lab, consul, Some(&token), |config| {
        config.plan.watch.retry_denied = std::time::Duration::from_millis(500);
        // A right that is lost is noticed by the next read.
        config.intentions_every = std::time::Duration::from_secs(2);
    });
    for (port, service) in [(4711, "billing"), (4712, "ledger")] {
        world.instance(service, service, port).await;
    }
    (world, token)
}

/// Gives the policy of a token other rules.
async fn change_rules(world: &World, token: &str, rules: &str) {
    let api = world.consul.api();
    let own = world.consul.anonymous().token(token).get("/v1/acl/token/self").await.unwrap();
    let id = own["Policies"][0]["ID"].as_str().unwrap();
    let mut policy = api.get(&format!("/v1/acl/policy/{id}")).await.unwrap();
    policy["Rules"] = rules.into();
    api.put(&format!("/v1/acl/policy/{id}"), &policy).await.unwrap();
}

fn errors(world: &World) -> Vec<String> {
    let rows = world.handle.view(1000).watches;
    rows.into_iter().filter_map(|row| Some(format!("{}: {}", row.path, row.error?))).collect()
}

#[tokio::test]
async fn the_least_policy_is_enough() {
    if !Consul::available() {
        return;
    }
    let (world, _) = world(LEAST).await;
    world.link(&json!([{"Name": "billing"}, {"Name": "ledger"}])).await;
    world.ready("billing").await;
    world.ready("ledger").await;
    world.until_state(SourceState::Ready).await;
    assert!(errors(&world).is_empty(), "{:?}", errors(&world));
    // Without a word of Consul, and with its word, what no intention is about is denied.
    assert_eq!(world.now().await.default_policy, DefaultPolicy::Deny);
    assert_eq!(verdict(&*world.now().await, "web", "billing"), Some(false));
    world.intention("web", "billing", "allow").await;
    world.judged("web", "billing", true).await;
    assert_eq!(verdict(&*world.now().await, "web", "ledger"), Some(false));
}

/// Only where Consul says so is anything allowed that no intention is about.
#[tokio::test]
async fn what_the_agent_allows_by_default_needs_its_word() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let world = World::on(lab, consul, None, |_| {});
    let allowed =
        |snapshot: &TerminatingSnapshot| (snapshot.default_policy == DefaultPolicy::Allow).then_some(());
    world.until(soon(), "ACLs that are off to allow", allowed).await;
}

#[tokio::test]
async fn a_service_that_the_token_may_not_write_disturbs_no_other() {
    if !Consul::available() {
        return;
    }
    let rules = LEAST
        .replace("service \"ledger\" { policy = \"write\" }", "service \"ledger\" { policy = \"read\" }");
    let (world, token) = world(&rules).await;
    world.link(&json!([{"Name": "billing"}, {"Name": "ledger"}])).await;
    world.ready("billing").await;
    let denied = |snapshot: &TerminatingSnapshot| match &snapshot.service(None, "ledger")?.not_ready {
        Some(NotReady::NoLeaf(why)) => Some(why.to_string()),
        _ => None,
    };
    let why = world.until(soon(), "ledger without a leaf", denied).await;
    assert!(why.contains("403") && why.contains(r#"service "ledger" { policy = "write" }"#), "{why}");
    // It is given the right, and asked for again.
    change_rules(&world, &token, LEAST).await;
    world.ready("ledger").await;
}

/// Rights that are taken away empty nothing.
#[tokio::test]
async fn what_a_token_no_longer_sees_stays_as_it_was() {
    if !Consul::available() {
        return;
    }
    let (world, token) = world(LEAST).await;
    world.link(&json!([{"Name": "billing"}, {"Name": "ledger"}])).await;
    world.intention("web", "billing", "allow").await;
    world.ready("billing").await;
    world.judged("web", "billing", true).await;
    gateway_testkit::eventually(soon(), "Consul to show the gateway itself", async || {
        world.handle.view(0).registration.is_some_and(|own| own.visible == Some(true))
    })
    .await;

    // No right on billing, none on nodes: Consul leaves out the row of the link, and all instances.
    let less = r#"service "egress" { policy = "write" } service "ledger" { policy = "write" }"#;
    change_rules(&world, &token, less).await;
    // Something is written, so that all is answered anew.
    world.instance("ledger", "ledger-2", 4713).await;
    world.link(&json!([{"Name": "billing"}, {"Name": "ledger"}, {"Name": "third"}])).await;
    let api = world.consul.anonymous().token(&token);
    let seen = |rows: &Value| rows.as_array().map_or(0, Vec::len);
    gateway_testkit::eventually(soon(), "Consul to leave billing out", async || {
        let rows = api.get("/v1/catalog/gateway-services/egress").await.unwrap();
        let instances = api.get("/v1/health/service/ledger").await.unwrap();
        seen(&rows) == 1 && seen(&instances) == 0
    })
    .await;
    gateway_testkit::eventually(soon(), "the source to be denied", async || {
        errors(&world).iter().any(|error| error.contains("name=billing") && error.contains("403"))
    })
    .await;
    for name in ["billing", "ledger"] {
        let service = world.now().await.service(None, name).cloned();
        let service = service.unwrap_or_else(|| panic!("{name} is gone"));
        assert_eq!(service.not_ready, None, "{name}");
        assert!(matches!(service.leaf, LeafState::Ready(_)));
    }
    assert_eq!(verdict(&*world.now().await, "web", "billing"), Some(true));

    // The rights are back, and with them what has changed meanwhile.
    change_rules(&world, &token, LEAST).await;
    world.link(&json!([{"Name": "ledger"}])).await;
    world.gone("billing").await;
    world.ready("ledger").await;
}

#[tokio::test]
async fn a_change_of_the_default_policy_takes_effect() {
    if !Consul::available() || Consul::version().unwrap() < Version(1, 9, 0) {
        // Before 1.9 no answer says it.
        return;
    }
    let (world, _) = world(LEAST).await;
    let denied = |snapshot: &TerminatingSnapshot| {
        (snapshot.generation > 0 && snapshot.default_policy == DefaultPolicy::Deny).then_some(())
    };
    world.until(soon(), "the default", denied).await;
}
