//! Certificates, and the CA that changes its root.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_state::consul::LeafConfig;
use gateway_state::terminating::{LeafState, TerminatingSnapshot};
use gateway_testkit::{Consul, Deadline, Lab};
use mtls::UnixTime;
use serde_json::json;

use crate::world::{World, serial};

const SERVICES: u16 = 12;

fn now() -> UnixTime {
    UnixTime::now()
}

/// Every leaf, under the roots of the same snapshot.
fn serials(snapshot: &TerminatingSnapshot) -> BTreeMap<String, String> {
    snapshot.services.iter().map(|service| (service.key.name.to_string(), serial(service))).collect()
}

/// A minute, whatever the agent's own moment: those with a long poll and those that are read in turn.
#[tokio::test]
async fn all_leaves_follow_a_new_root_within_a_minute() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    // Nothing comes by its turn alone.
    let leaves = LeafConfig { held: 4, every: Duration::from_secs(3600), ..LeafConfig::default() };
    let world = World::on(lab, consul, None, |config| config.leaves = leaves);
    let links: Vec<_> = (0..SERVICES).map(|n| json!({"Name": format!("s{n}")})).collect();
    for n in 0..SERVICES {
        world.instance(&format!("s{n}"), &format!("s{n}"), 5000 + n).await;
    }
    world.link(&json!(links)).await;
    for n in 0..SERVICES {
        world.ready(&format!("s{n}")).await;
    }
    let before = world.now().await;
    let old = serials(&before);
    assert_eq!(old.len(), usize::from(SERVICES));
    let active = world.consul.api().get("/v1/agent/connect/ca/roots").await.unwrap()["ActiveRootID"].clone();

    // Another key is another root. (Another kind of key alone is none, at 1.8.7.)
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let configuration = json!({"Provider": "consul", "Config": {"PrivateKey": key, "RootCert": ""}});
    let rotated = std::time::Instant::now();
    world.consul.api().put("/v1/connect/ca/configuration", &configuration).await.unwrap();
    let roots = |snapshot: &TerminatingSnapshot| {
        let count = snapshot.roots.as_ref()?.anchors(now()).count();
        (count == 2).then_some(())
    };
    world.until(Deadline::after(Duration::from_secs(10)), "both roots", roots).await;
    let all_new = |snapshot: &TerminatingSnapshot| {
        let new = serials(snapshot);
        new.iter().all(|(name, serial)| old[name] != *serial).then_some(())
    };
    let minute = Deadline::after(Duration::from_secs(75));
    world.until(minute, "new leaves for all", all_new).await;
    assert!(rotated.elapsed() < Duration::from_secs(70), "{:?}", rotated.elapsed());
    assert_ne!(world.consul.api().get("/v1/agent/connect/ca/roots").await.unwrap()["ActiveRootID"], active);
    // At no moment was one without a certificate: all are verified by the roots of the same snapshot.
    let after = world.now().await;
    let trusted = after.roots.as_ref().unwrap();
    for service in after.services.iter() {
        let LeafState::Ready(leaf) = &service.leaf else { panic!("{service:?}") };
        trusted.check_leaf(leaf, now()).unwrap();
        assert!(leaf.id().to_string().ends_with(&format!("/svc/{}", service.key.name)));
    }
}
