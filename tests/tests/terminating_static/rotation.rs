//! Leaves and roots that change while callers come without end: rows 40 to 43. Nobody fails who should not.

use std::sync::Arc;
use std::time::Duration;

use gateway_testkit::{Leaf, LeafSpec, MeshCaller, Pki, Steady, Trust, wait_for};
use serde_json::Value;

use crate::world::{Plan, World, soon};

const PAUSE: Duration = Duration::from_millis(1);

/// Handshakes without end, each a full one, by this caller.
fn steady(world: &World, caller: MeshCaller) -> Steady {
    let (address, sni) = (world.address(), Arc::<str>::from(world.sni("billing")));
    let caller = caller.without_sessions();
    Steady::start(PAUSE, move || {
        let (caller, sni) = (caller.clone(), sni.clone());
        async move {
            let mut connection = caller.connect(address, &sni).await?;
            let line = connection.line().await?;
            connection.close().await?;
            Ok(line)
        }
    })
}

/// The serial number of the certificate that is presented.
async fn presented(world: &World) -> Vec<u8> {
    let connection = world.connect(&world.caller("web"), "billing").await.unwrap();
    connection.certificate.to_vec()
}

async fn until_presented(world: &World, certificate: &[u8]) {
    let now = async || (presented(world).await == certificate).then_some(());
    wait_for(soon(), "the new certificate", now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_that_change_all_the_time_cost_no_handshake() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    let callers = [steady(&world, world.caller("web")), steady(&world, world.caller("web"))];
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let leaf = world.pki.service("billing", "dc1").unwrap();
        leaf.write(&world.certs(), "billing").unwrap();
        until_presented(&world, &leaf.cert).await;
        seen.insert(leaf.cert.to_vec());
        callers[0].go_on(10).await;
    }
    // Under both files are other files now, through a link that is swapped, as a mounted secret is.
    let leaf = world.pki.service("billing", "dc1").unwrap();
    leaf.write(&world.certs().join("..new"), "billing").unwrap();
    let secret = gateway_testkit::CatalogDir::new(world.certs()).unwrap();
    secret.link("billing.pem", std::path::Path::new("..new/billing.pem")).unwrap();
    secret.link("billing-key.pem", std::path::Path::new("..new/billing-key.pem")).unwrap();
    until_presented(&world, &leaf.cert).await;
    callers[1].go_on(10).await;
    for caller in callers {
        caller.end().await;
    }
    assert_eq!(seen.len(), 12);
    open.echo(b"not cut by any of them").await.unwrap();
    open.close().await.unwrap();
    assert_eq!(world.snapshot().await["rejected"]["total"], 0);
}

/// As Consul rotates: the new root beside the old one, leaves of the new one with a certificate of it that the old one
/// signed, then the old one goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_root_costs_no_handshake_of_those_whom_it_knows() {
    let (plan, billing) = Plan::billing();
    let world = plan.start().await;
    let (first, second) = (&world.pki, Pki::development().unwrap());
    let both =
        Trust::from_pem(Pki::TRUST_DOMAIN, &format!("{}{}", first.root_pem(), second.root_pem())).unwrap();
    let roots = world.certs().join("roots.pem");
    // L1, which knows the old root alone.
    let old = steady(&world, world.caller("web"));
    let (mut open, _) = world.call("web", "billing").await.unwrap();
    old.go_on(30).await;

    std::fs::write(&roots, both.pem()).unwrap();
    let known = |page: &Value| page["roots"]["certificates"].as_array().is_some_and(|all| all.len() == 2);
    world.until_page("/certs", "two roots", known).await;
    let cross = second.cross_signed(first).unwrap();
    let leaf = |service: &str| second.service(service, "dc1").unwrap().with_chain(&cross).unwrap();
    // L2, which knows both.
    let new = steady(&world, MeshCaller::new(&both, &leaf("web")).unwrap());
    new.go_on(30).await;
    leaf("billing").write(&world.certs(), "billing").unwrap();
    let of_second = second.clone();
    let only_second = MeshCaller::new(&of_second, &leaf("web")).unwrap();
    let presented = async || world.connect(&only_second, "billing").await.ok();
    wait_for(soon(), "a leaf of the new root", presented).await.unwrap();
    old.go_on(30).await;
    new.go_on(30).await;
    old.end().await;

    // Row 40. L1 goes while L2 stays.
    std::fs::write(&roots, second.root_pem()).unwrap();
    let known = |page: &Value| page["roots"]["certificates"].as_array().is_some_and(|all| all.len() == 1);
    world.until_page("/certs", "one root", known).await;
    let before = billing.seen().len();
    let late = MeshCaller::new(&both, &world.pki.service("web", "dc1").unwrap()).unwrap();
    let refused = async || {
        let (record, _) = world.refusal(&late, "billing").await;
        Some(record).filter(|record| record["reason"] == "unknown_issuer")
    };
    wait_for(soon(), "the old leaf to be refused", refused).await.unwrap();
    new.go_on(30).await;
    new.end().await;
    assert!(billing.seen().len() > before);
    open.echo(b"running ones go on").await.unwrap();
    open.close().await.unwrap();
}

/// Rows 42 and 43, and files that are half written: what was good stays, and it is said why.
#[tokio::test]
async fn a_leaf_that_cannot_be_used_changes_nothing() {
    let (mut plan, _billing) = Plan::billing();
    let search = crate::world::external("search-1");
    plan.service("search", gateway_testkit::Document::new().external("search", search.address(), ""));
    plan.allow("web", "search");
    let world = plan.start().await;
    let elsewhere = Pki::new("99999999-2222-3333-4444-555555555555.consul").unwrap();
    let pki = &world.pki;
    let id = pki.service_id("billing", "dc1");
    let good = || pki.service("billing", "dc1").unwrap();
    let issue = |spec: LeafSpec| pki.issue(&spec).unwrap();
    let whole = |leaf: Leaf| (leaf.cert_pem, leaf.key_pem);
    let half = |text: String| text[..text.len() / 2].to_owned();
    let rows = [
        ("row 42: the key of another one", (good().cert_pem, good().key_pem)),
        ("row 43: another service", whole(pki.service("search", "dc1").unwrap())),
        ("another datacenter", whole(pki.service("billing", "dc2").unwrap())),
        ("another trust domain", whole(elsewhere.service("billing", "dc1").unwrap())),
        ("expired", whole(issue(LeafSpec::new().uri(&id).valid(-7200, -3600)))),
        ("not yet valid", whole(issue(LeafSpec::new().uri(&id).valid(7200, 9000)))),
        ("two names", whole(issue(LeafSpec::new().uri(&id).uri(&format!("{id}2"))))),
        ("no name", whole(issue(LeafSpec::new().name("billing")))),
        ("half a certificate", (half(good().cert_pem), good().key_pem)),
        ("an empty certificate", (String::new(), good().key_pem)),
        ("rubbish for a key", (good().cert_pem, "rubbish".to_owned())),
    ];
    let write = |cert: &str, key: &str| {
        std::fs::write(world.certs().join("billing.pem"), cert).unwrap();
        std::fs::write(world.certs().join("billing-key.pem"), key).unwrap();
    };
    for (what, (cert, key)) in rows {
        let before = presented(&world).await;
        write(&cert, &key);
        let rejected = world.until_rejected().await["rejected"].to_string();
        assert!(rejected.contains("billing"), "{what}: {rejected}");
        assert_eq!(presented(&world).await, before, "{what}: the last good one is presented");
        assert_eq!(world.who("web", "billing").await, "billing-1", "{what}");
        assert_eq!(world.who("web", "search").await, "search-1", "{what}");
        let fine = good();
        write(&fine.cert_pem, &fine.key_pem);
        until_presented(&world, &fine.cert).await;
        world.until_nothing_is_rejected().await;
    }
}

/// Rubbish in the roots, or none left: those that were good stay.
#[tokio::test]
async fn roots_that_cannot_be_used_change_nothing() {
    let (plan, billing) = Plan::billing();
    let world = plan.start().await;
    let roots = world.certs().join("roots.pem");
    let good = world.pki.root_pem().to_owned();
    let stranger = Pki::development().unwrap();
    let leaf = world.pki.service("web", "dc1").unwrap();
    let expired = Pki::of_age(Pki::TRUST_DOMAIN, -9 * 86_400, -60).unwrap();
    for (what, text) in [
        ("rubbish", "rubbish".to_owned()),
        ("half of it", good[..good.len() / 2].to_owned()),
        ("empty", String::new()),
        ("a key among them", format!("{good}{}", leaf.key_pem)),
        (
            "rubbish beside a good one",
            format!("{good}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
        ("only one that has expired", expired.root_pem().to_owned()),
    ] {
        std::fs::write(&roots, text).unwrap();
        let rejected = world.until_rejected().await["rejected"].to_string();
        assert!(rejected.to_lowercase().contains("root"), "{what}: {rejected}");
        assert_eq!(world.who("web", "billing").await, "billing-1", "{what}");
        let theirs = MeshCaller::new(&world.pki, &stranger.service("web", "dc1").unwrap()).unwrap();
        assert_eq!(world.refusal(&theirs, "billing").await.0["reason"], "unknown_issuer", "{what}");
        std::fs::write(&roots, &good).unwrap();
        world.until_nothing_is_rejected().await;
    }
    assert_eq!(billing.seen().len(), 6);
}
