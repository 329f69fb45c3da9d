//! Which services are linked, and when they are ready.

use gateway_state::consul::SourceState;
use gateway_state::terminating::{NotReady, TerminatingSnapshot};
use gateway_testkit::{Consul, eventually};
use serde_json::json;

use crate::world::{GATEWAY, World, soon};

#[tokio::test]
async fn linked_services_come_and_go() {
    if !Consul::available() {
        return;
    }
    let world = World::new().await;
    // Without an entry there is nothing to serve, and that is known.
    world.until_state(SourceState::Ready).await;
    assert!(world.now().await.services.is_empty());

    world.instance("billing", "billing-1", 4711).await;
    world.link(&json!([{"Name": "billing", "CAFile": "", "SNI": ""}, {"Name": "nowhere"}])).await;
    let billing = world.ready("billing").await;
    assert!(!billing.from_wildcard);
    // Explicit links stay, with and without instances.
    let without = |snapshot: &TerminatingSnapshot| {
        let service = snapshot.service(None, "nowhere")?;
        (service.not_ready == Some(NotReady::NoInstances)).then_some(())
    };
    world.until(soon(), "nowhere without instances", without).await;
    world.instance("nowhere", "nowhere-1", 4712).await;
    world.ready("nowhere").await;
    world.remove_instance("nowhere", "nowhere-1").await;
    world.until(soon(), "nowhere without instances", without).await;

    world.link(&json!([{"Name": "nowhere"}])).await;
    world.gone("billing").await;
    // Nothing is asked for it any more.
    eventually(soon(), "the questions about billing to end", async || {
        let of = |prefix: &str| world.watched(&format!("{prefix}billing")).len();
        let leaf = of("/v1/agent/connect/ca/leaf/");
        leaf + of("/v1/health/service/") + of("/v1/connect/intentions/match?by=destination&name=") == 0
    })
    .await;
    world.consul.config_delete("terminating-gateway", GATEWAY).await.unwrap();
    world.gone("nowhere").await;
}

#[tokio::test]
async fn a_wildcard_takes_in_what_comes() {
    if !Consul::available() {
        return;
    }
    let world = World::new().await;
    world.instance("billing", "billing-1", 4711).await;
    world.link(&json!([{"Name": "*"}, {"Name": "own", "SNI": "own.example"}])).await;
    let billing = world.ready("billing").await;
    assert!(billing.from_wildcard);
    world.instance("late", "late-1", 4712).await;
    assert!(world.ready("late").await.from_wildcard);
    world.instance("own", "own-1", 4713).await;
    assert!(!world.ready("own").await.from_wildcard, "an explicit link beats the wildcard");
    // The last instance goes, and the link with it.
    world.remove_instance("late", "late-1").await;
    world.gone("late").await;
    world.remove_instance("own", "own-1").await;
    let own = |snapshot: &TerminatingSnapshot| {
        (snapshot.service(None, "own")?.not_ready == Some(NotReady::NoInstances)).then_some(())
    };
    world.until(soon(), "own without instances", own).await;
    // What did not change is the same allocation all the time.
    let after = world.now().await;
    assert!(std::sync::Arc::ptr_eq(after.service(None, "billing").unwrap(), &billing));
}

#[tokio::test]
async fn many_services_are_read_within_the_budget() {
    if !Consul::available() {
        return;
    }
    const MANY: u16 = 60;
    let world = World::new().await;
    for n in 0..MANY {
        world.instance(&format!("many-{n}"), &format!("many-{n}"), 5000 + n).await;
    }
    world.link(&json!([{"Name": "*"}])).await;
    for n in 0..MANY {
        world.ready(&format!("many-{n}")).await;
    }
    let view = world.handle.view(1000);
    let family = |endpoint: &str| {
        let of = view.families.iter().filter(|family| family.endpoint == endpoint);
        of.map(|family| (family.names, family.blocking)).collect::<Vec<_>>()
    };
    // Eight leaves are held, the others read in turn, none is overdue.
    assert_eq!(family("agent/connect/ca/leaf"), [(usize::from(MANY) - 8, 0), (0, 0)]);
    assert_eq!(family("connect/intentions/match"), [(usize::from(MANY), 0)]);
    let held = view.watches.iter().filter(|row| row.path.starts_with("/v1/agent/connect/ca/leaf/"));
    let held = held.filter(|row| row.how == catalog_client::watch::How::Block).count();
    assert_eq!(held, 8);
    // More than 40 over HTTP/1.1 are read in turn; a change is seen soon all the same.
    assert_eq!(family("health/service"), [(usize::from(MANY), 0)]);
    world.instance("one-more", "one-more", 6000).await;
    world.ready("one-more").await;
}
