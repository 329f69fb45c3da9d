//! Roots, links, intentions and entries: what is no answer changes nothing.

use gateway_state::consul::SourceState;
use gateway_state::terminating::{NotReady, TerminatingSnapshot};
use gateway_testkit::{Fault, On, Pki, eventually};
use intentions::DefaultPolicy;
use serde_json::{Value, json};

use crate::world::{
    ENTRIES, LINKS, ROOTS, World, agent, instances, intention, links, matching, roots, rows, soon, verdict,
};

const POLICY: &str = "X-Consul-Default-Acl-Policy";

#[tokio::test]
async fn roots_without_a_root_are_no_answer() {
    let pki = Pki::development().unwrap();
    let replay = agent(&pki);
    replay.set(ROOTS, &json!({"ActiveRootID": "", "TrustDomain": Pki::TRUST_DOMAIN, "Roots": []}));
    let world = World::on(replay, pki.clone(), |_| {});
    eventually(soon(), "all else to be known", async || {
        matches!(world.handle.state(), SourceState::Waiting(why) if why.contains("ca/roots") && !why.contains("linked"))
    })
    .await;
    assert_eq!(world.now().await.generation, 0, "not ready");
    world.replay.set(ROOTS, &roots(&[&pki], "first"));
    world.both_ready().await;
    // The CA is no longer ready: what it said before stays.
    world.replay.set(ROOTS, &json!({"ActiveRootID": "", "TrustDomain": "", "Roots": null}));
    world.replay.set(LINKS, &links(&["billing"]));
    world.until("ledger to go", |snapshot| snapshot.service(None, "ledger").is_none().then_some(())).await;
    let now = world.now().await;
    assert_eq!(
        (&*now.mesh.trust_domain, now.service(None, "billing").unwrap().not_ready.clone()),
        (Pki::TRUST_DOMAIN, None)
    );
}

/// One service whose answers are refused, or none, has nothing to say to the other.
#[tokio::test]
async fn a_service_that_is_refused_disturbs_no_other() {
    let pki = Pki::development().unwrap();
    let replay = agent(&pki);
    replay.fault(On::path("/v1/connect/intentions/match?by=destination&name=ledger"), Fault::denied());
    let world = World::on(replay, pki, |_| {});
    world.ready("billing").await;
    let waiting = |snapshot: &TerminatingSnapshot| match &snapshot.service(None, "ledger")?.not_ready {
        Some(NotReady::Waiting(why)) => Some(why.to_string()),
        _ => None,
    };
    let why = world.until("ledger to wait", waiting).await;
    assert!(why.contains("its intentions") && why.contains("403"), "{why}");
    assert_eq!(verdict(&*world.now().await, "web", "ledger"), Some(false), "not known is not none");
    world.replay.heal();
    world.ready("ledger").await;
    // Later: what is known stays.
    let (matched, entries) = intention("web", "ledger", "deny");
    world.replay.set(&matching("ledger"), &matched);
    world.replay.set(ENTRIES, &entries);
    let denied = |snapshot: &TerminatingSnapshot| (!verdict(snapshot, "web", "ledger")?).then_some(());
    world.until("web to be denied", denied).await;
    world.replay.fault(On::path("/v1/connect/intentions/match"), Fault::denied());
    world.replay.set(ENTRIES, &json!([]));
    world.asked_twice_more("/v1/connect/intentions/match").await;
    let now = world.now().await;
    assert_eq!(verdict(&now, "web", "ledger"), Some(false));
    assert!(now.services.iter().all(|service| service.not_ready.is_none()));
}

/// `null` under the name is none. Silence about the name is not.
#[tokio::test]
async fn an_answer_without_the_name_is_no_answer() {
    let pki = Pki::development().unwrap();
    let replay = agent(&pki);
    replay.set(&matching("ledger"), &json!({"somebody-else": null}));
    let world = World::on(replay, pki, |_| {});
    world.ready("billing").await;
    world.asked_twice_more(&matching("ledger")).await;
    let ledger = world.now().await.service(None, "ledger").cloned().unwrap();
    assert!(matches!(ledger.not_ready, Some(NotReady::Waiting(_) | NotReady::NoIntentions)), "{ledger:?}");
    world.replay.set(&matching("ledger"), &json!({"ledger": null}));
    world.ready("ledger").await;
}

#[tokio::test]
async fn an_index_that_goes_back_is_believed_when_it_is_confirmed() {
    let world = World::new().await;
    world.both_ready().await;
    let index = world.replay.index(LINKS).unwrap();
    world.replay.replace(LINKS, &links(&["billing"]));
    world.replay.set_index(LINKS, index - 1);
    world.replay.wake(On::path(LINKS));
    let begun = std::time::Instant::now();
    world.until("ledger to go", |snapshot| snapshot.service(None, "ledger").is_none().then_some(())).await;
    assert!(begun.elapsed() >= std::time::Duration::from_millis(500), "not before a second answer");
}

/// The agent has been started again with other settings.
#[tokio::test]
async fn a_default_that_becomes_another_counts() {
    let world = World::new().await;
    world.both_ready().await;
    assert_eq!(
        verdict(&*world.now().await, "web", "billing"),
        Some(true),
        "ACLs were off when it was recorded"
    );
    for (policy, wanted) in [("deny", DefaultPolicy::Deny), ("allow", DefaultPolicy::Allow)] {
        world.replay.header(LINKS, POLICY, Some(policy));
        world.replay.touch(LINKS);
        let told = |snapshot: &TerminatingSnapshot| (snapshot.default_policy == wanted).then_some(());
        world.until(policy, told).await;
        assert_eq!(verdict(&*world.now().await, "web", "billing"), Some(policy == "allow"));
    }
}

#[tokio::test]
async fn entries_are_read_kind_by_kind_where_they_cannot_be_listed_together() {
    let pki = Pki::development().unwrap();
    let replay = agent(&pki);
    replay.fault(On::path(ENTRIES), Fault::Status(403, "Permission denied".to_owned()));
    let world = World::on(replay, pki, |_| {});
    eventually(soon(), "each kind to be asked for", async || {
        let asked = |kind: &str| world.replay.count(|asked| asked.path() == format!("/v1/config/{kind}")) > 0;
        [
            "service-resolver",
            "service-defaults",
            "proxy-defaults",
            "mesh",
            "terminating-gateway",
            "service-intentions",
        ]
        .iter()
        .all(|kind| asked(kind))
    })
    .await;
    // None of them can be read, and none is waited for.
    world.both_ready().await;
    world.replay.heal();
    let defaults = json!([{"Kind": "service-defaults", "Name": "billing", "Protocol": "http"}]);
    world.replay.set("/v1/config/service-defaults", &defaults);
    let http = |snapshot: &TerminatingSnapshot| {
        (&*snapshot.service(None, "billing")?.protocol == "http").then_some(())
    };
    world.until("billing to be spoken to in HTTP", http).await;
    // And what the list of intentions shows is read.
    let (matched, entries) = intention("web", "ledger", "deny");
    world.replay.set(&matching("ledger"), &matched);
    world.replay.set("/v1/config/service-intentions", &entries);
    let denied = |snapshot: &TerminatingSnapshot| (!verdict(snapshot, "web", "ledger")?).then_some(());
    world.until("web to be denied", denied).await;
}

/// A row of the wildcard that is missing: gone, or no longer shown.
#[tokio::test]
async fn what_the_wildcard_no_longer_shows_stays_while_the_token_may_not_read_it() {
    let pki = Pki::development().unwrap();
    let replay = agent(&pki);
    let wild = |names: &[&str]| -> Value {
        let mut rows = links(names);
        rows.as_array_mut().unwrap().iter_mut().for_each(|row| row["FromWildcard"] = true.into());
        rows
    };
    let entry = json!([{"Kind": "terminating-gateway", "Name": "egress", "Services": [{"Name": "*"}]}]);
    replay.set(ENTRIES, &entry);
    replay.set(LINKS, &wild(&["billing", "ledger"]));
    let world = World::on(replay, pki, |_| {});
    world.both_ready().await;
    world.seen().await;
    world.replay.fault(On::path("/v1/connect/intentions/match?by=destination&name=ledger"), Fault::denied());
    world.replay.set(LINKS, &wild(&[]));
    world.until("billing to go", |snapshot| snapshot.service(None, "billing").is_none().then_some(())).await;
    let ledger = world.now().await.service(None, "ledger").cloned();
    assert_eq!(ledger.unwrap().not_ready, None);
}

#[tokio::test]
async fn instances_that_are_no_longer_shown_stay_while_the_token_sees_no_node() {
    let world = World::new().await;
    world.both_ready().await;
    world.seen().await;
    // The token has lost its right on nodes: neither they nor the gateway itself are shown.
    world.replay.set("/v1/health/service/consul", &json!([]));
    world.replay.set("/v1/health/service/egress", &json!([]));
    world.replay.set(&instances("billing"), &json!([]));
    world.asked_twice_more("/v1/health/service/").await;
    world.replay.set(&instances("ledger"), &rows("ledger", &["one", "two"]));
    let two = |snapshot: &TerminatingSnapshot| {
        let target = snapshot.service(None, "ledger")?.targets.first()?.clone();
        let target = &snapshot.targets[gateway_state::Snapshot::position(snapshot, &target)?];
        (target.endpoints.len() == 2).then_some(())
    };
    world.until("two instances of ledger", two).await;
    assert_eq!(world.now().await.service(None, "billing").unwrap().not_ready, None);
}
