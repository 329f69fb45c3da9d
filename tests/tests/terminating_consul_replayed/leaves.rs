//! Certificates that are not what they should be, and those that are read in turn.

use std::time::Duration;

use gateway_state::consul::LeafConfig;
use gateway_state::terminating::{LeafState, TerminatingSnapshot};
use gateway_testkit::{Fault, On, Pki};
use serde_json::json;

use crate::world::{
    LINKS, ROOTS, World, agent, instances, leaf, leaf_path, links, matching, roots, rows, soon,
};

fn id_of(snapshot: &TerminatingSnapshot, service: &str) -> Option<String> {
    match &snapshot.service(None, service)?.leaf {
        LeafState::Ready(leaf) => Some(leaf.id().to_string()),
        LeafState::Missing { .. } => None,
    }
}

fn rejected(snapshot: &TerminatingSnapshot, document: &str) -> Option<(bool, String)> {
    let rejected = snapshot.rejected.iter().find(|rejected| rejected.document == document)?;
    Some((rejected.kept, rejected.problem.message.clone()))
}

#[tokio::test]
async fn a_leaf_that_is_not_the_services_own_is_discarded() {
    let world = World::new().await;
    world.both_ready().await;
    let good = world.now().await.service(None, "billing").unwrap().clone();
    let (own, other) =
        (world.pki.service("billing", "dc1").unwrap(), world.pki.service("ledger", "dc1").unwrap());
    let stranger =
        Pki::new("99999999-2222-3333-4444-555555555555.consul").unwrap().service("billing", "dc1").unwrap();
    let mut mixed = leaf("billing", &own);
    mixed["PrivateKeyPEM"] = other.key_pem.clone().into();
    for (document, what) in [
        (leaf("billing", &other), "/svc/ledger"),
        (mixed, "key"),
        (leaf("billing", &stranger), "99999999"),
        (json!({"CertPEM": "rubbish", "PrivateKeyPEM": null}), ""),
    ] {
        world.replay.set(&leaf_path("billing"), &document);
        let refused = |snapshot: &TerminatingSnapshot| {
            rejected(snapshot, "leaf billing").filter(|(_, why)| why.contains(what))
        };
        let (kept, why) = world.until(&format!("a leaf to be refused: {what}"), refused).await;
        assert!(kept && !why.contains("PRIVATE"), "{why}");
        let now = world.now().await;
        assert!(std::sync::Arc::ptr_eq(now.service(None, "billing").unwrap(), &good), "the old one stays");
        assert_eq!(
            now.service(None, "ledger").unwrap().not_ready,
            None,
            "and the other service is undisturbed"
        );
    }
    let renewed = world.pki.service("billing", "dc1").unwrap();
    world.replay.set(&leaf_path("billing"), &leaf("billing", &renewed));
    world
        .until("the renewed one", |snapshot| {
            let over = rejected(snapshot, "leaf billing").is_none();
            let new = !std::sync::Arc::ptr_eq(snapshot.service(None, "billing")?, &good);
            (over && new && id_of(snapshot, "billing").is_some()).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_failing_leaf_leaves_the_last_one_in_place() {
    let world = World::new().await;
    world.both_ready().await;
    let generation = world.now().await.generation;
    world.replay.fault(On::path("/v1/agent/connect/ca/leaf/"), Fault::rate_limited());
    world.replay.wake(On::path("/v1/agent/connect/ca/leaf/"));
    world.asked_twice_more("/v1/agent/connect/ca/leaf/billing").await;
    let now = world.now().await;
    assert_eq!(now.generation, generation);
    assert!(now.services.iter().all(|service| service.not_ready.is_none()));
}

/// An agent says nothing of those that it renews: all are read soon, and again until they are others.
#[tokio::test]
async fn leaves_that_are_read_in_turn_follow_a_new_root() {
    let pki = Pki::development().unwrap();
    let replay = agent(&pki);
    let names: Vec<_> = (0..10).map(|n| format!("s{n}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    replay.set(LINKS, &links(&all));
    for name in &all {
        replay.set(&instances(name), &rows(name, &["one"]));
        replay.set(&matching(name), &json!({*name: null}));
        replay.set(&leaf_path(name), &leaf(name, &pki.service(name, "dc1").unwrap()));
    }
    let leaves = LeafConfig {
        held: 2,
        every: Duration::from_secs(3600),
        renew_within: Duration::from_secs(2),
        ..LeafConfig::default()
    };
    let world = World::on(replay, pki.clone(), |config| config.leaves = leaves);
    for name in &all {
        world.ready(name).await;
    }
    let before = world.now().await;
    let next = Pki::new(Pki::TRUST_DOMAIN).unwrap();
    world.replay.forget();
    world.replay.set(ROOTS, &roots(&[&pki, &next], "second"));
    // The agent takes its time: the first reads still bring the old ones.
    let asked = |name: &str| world.replay.count(|asked| asked.path() == leaf_path(name));
    gateway_testkit::eventually(soon(), "each to be read", async || {
        all.iter().skip(2).all(|name| asked(name) > 0)
    })
    .await;
    for name in &all {
        world.replay.set(&leaf_path(name), &leaf(name, &next.service(name, "dc1").unwrap()));
    }
    let renewed = |snapshot: &TerminatingSnapshot| {
        let other = |name: &&str| {
            let leaf = |snapshot: &TerminatingSnapshot| match &snapshot.service(None, name)?.leaf {
                LeafState::Ready(leaf) => Some(leaf.fingerprint()),
                LeafState::Missing { .. } => None,
            };
            leaf(snapshot).is_some() && leaf(snapshot) != leaf(&before)
        };
        all.iter().all(other).then_some(())
    };
    world.until("all of them renewed", renewed).await;
}
