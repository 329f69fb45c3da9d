//! Consul goes, and comes back.

use gateway_state::consul::SourceState;
use gateway_state::terminating::{LeafState, TerminatingSnapshot};
use gateway_testkit::{Consul, eventually};
use serde_json::json;

use crate::world::{World, soon, verdict};

#[tokio::test]
async fn a_consul_that_is_killed_changes_nothing_and_goes_on_when_it_is_back() {
    if !Consul::available() {
        return;
    }
    let world = World::new().await;
    world.instance("billing", "billing-1", 4711).await;
    world.intention("web", "billing", "deny").await;
    world.link(&json!([{"Name": "billing"}, {"Name": "nowhere"}])).await;
    world.ready("billing").await;
    world.judged("web", "billing", false).await;
    world.settled("nowhere").await;
    world.until_state(SourceState::Ready).await;
    let before = world.now().await;

    world.consul.kill().await.unwrap();
    eventually(soon(), "the agent to be missed", async || {
        world.handle.view(0).agent.is_some_and(|(state, ..)| state == catalog_client::watch::AgentState::Down)
    })
    .await;
    let away = world.now().await;
    assert_eq!(away.generation, before.generation, "nothing has changed");
    assert_eq!(verdict(&away, "web", "billing"), Some(false));
    assert_eq!(verdict(&away, "api", "billing"), Some(true));
    assert!(matches!(&away.service(None, "billing").unwrap().leaf, LeafState::Ready(_)));

    world.consul.restart().await.unwrap();
    world.intention("web", "billing", "allow").await;
    world.judged("web", "billing", true).await;
    world.link(&json!([{"Name": "billing"}])).await;
    world.gone("nowhere").await;
    world.ready("billing").await;
}

/// Another Consul at the same address: another trust domain, lower indexes, nothing registered.
#[tokio::test]
async fn another_consul_at_the_same_address_is_believed() {
    if !Consul::available() {
        return;
    }
    let world = World::new().await;
    world.instance("billing", "billing-1", 4711).await;
    world.link(&json!([{"Name": "billing"}])).await;
    let old = world.ready("billing").await;
    let before = world.now().await;
    world.consul.kill().await.unwrap();
    world.consul.wipe().unwrap();
    world.consul.restart().await.unwrap();
    let other = |snapshot: &TerminatingSnapshot| {
        (snapshot.mesh.trust_domain != before.mesh.trust_domain).then_some(())
    };
    world.until(soon(), "the other trust domain", other).await;
    world.gone("billing").await;
    world.instance("billing", "billing-1", 4711).await;
    world.link(&json!([{"Name": "billing"}])).await;
    let new = world.ready("billing").await;
    let id = |service: &gateway_state::terminating::LinkedService| match &service.leaf {
        LeafState::Ready(leaf) => leaf.id().to_string(),
        LeafState::Missing { why } => panic!("{why}"),
    };
    assert_ne!(id(&old), id(&new));
    assert!(id(&new).contains(&*world.now().await.mesh.trust_domain));
}
