//! What is written about who may call counts at once.

use std::time::{Duration, Instant};

use gateway_testkit::Consul;
use serde_json::json;

use crate::world::{World, verdict};

#[tokio::test]
async fn a_change_of_intentions_counts_within_a_second() {
    if !Consul::available() {
        return;
    }
    let world = World::new().await;
    world.instance("billing", "billing-1", 4711).await;
    world.instance("other", "other-1", 4712).await;
    world.link(&json!([{"Name": "billing"}, {"Name": "other"}])).await;
    world.ready("billing").await;
    world.ready("other").await;
    // ACLs are off: what no intention is about is allowed.
    assert_eq!(verdict(&*world.now().await, "web", "billing"), Some(true));
    let other = world.now().await.service(None, "other").unwrap().clone();

    let mut slowest = Duration::ZERO;
    for round in 0..6 {
        let (action, allowed) = if round % 2 == 0 { ("deny", false) } else { ("allow", true) };
        world.intention("web", "billing", action).await;
        let written = Instant::now();
        world.judged("web", "billing", allowed).await;
        slowest = slowest.max(written.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(verdict(&*world.now().await, "api", "billing"), Some(true));
    let now = world.now().await;
    assert!(
        std::sync::Arc::ptr_eq(now.service(None, "other").unwrap(), &other),
        "the other one is not touched"
    );

    // A wildcard is about all, and what is more specific beats it.
    world.intention("*", "*", "deny").await;
    world.judged("api", "billing", false).await;
    world.judged("web", "other", false).await;
    assert_eq!(verdict(&*world.now().await, "web", "billing"), Some(true));
    world.delete_intention("*", "*").await;
    world.judged("web", "other", true).await;
    world.delete_intention("web", "billing").await;
    world.intention("*", "billing", "deny").await;
    world.judged("web", "billing", false).await;
}
