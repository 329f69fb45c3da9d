//! Certificates that change while connections are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mtls::{HandshakeError, Leaf, LeafAge, LeafWarning, Trusts};

use crate::support::{Ca, Client, HOUR, Mesh, Spec, T0, at, exchange, id, key, leaf_uri, meet};

#[tokio::test]
async fn row_40_a_removed_root_counts_for_the_next_handshake_and_cuts_nobody() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    let mut mesh = Mesh::new(&[&r1, &r2]);
    let running = meet(&mesh.acceptor(), &Client::new(Some(&r1.leaf("api")))).await;
    mesh.trust(&[&r2]);
    assert_eq!(mesh.verdict(&r1.leaf("api")).await, Err("unknown_issuer".to_owned()));
    assert_eq!(mesh.verdict(&r2.leaf("api")).await, Ok(leaf_uri("api")));
    let (mut server, mut client) = (running.accepted.unwrap().stream, running.client.unwrap());
    let (one, other) = tokio::join!(exchange(&mut server), exchange(&mut client));
    one.unwrap();
    other.unwrap();
}

/// Readers shake hands as fast as they can while the writer swaps leaf and roots five hundred times.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_41_leaf_and_roots_change_under_load_and_no_handshake_fails() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    let leaves = [r1.leaf("web"), r2.leaf("web").and(&r2.cross_signed_by(&r1))];
    let mut mesh = Mesh::new(&[&r1]);
    let (stop, done, resumed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut readers = Vec::new();
    for index in 0..8 {
        // Half of them know the old root only, and are known by it.
        let identity = [&r1, &r2][index % 2].leaf("api").and(&r2.cross_signed_by(&r1));
        let client = if index < 4 { Client::tls12(&identity) } else { Client::tls13(&identity) };
        let (watch, stop, done, resumed) = (mesh.watch.clone(), stop.clone(), done.clone(), resumed.clone());
        readers.push(tokio::spawn(async move {
            let key = key("web");
            while !stop.load(Ordering::Relaxed) {
                let met = meet(&watch.acceptor(&key).unwrap(), &client).await;
                let accepted = met.accepted.expect("a handshake failed during a swap");
                met.client.expect("a client failed during a swap");
                resumed.fetch_add(usize::from(accepted.facts.resumed), Ordering::Relaxed);
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for round in 0..500 {
        mesh.leaf("web", &leaves[round % 2]);
        if round % 3 == 0 {
            mesh.trust([&[&r1, &r2][..], &[&r1]][round % 2]);
        }
        tokio::task::yield_now().await;
        if round % 10 == 0 {
            let before = done.load(Ordering::Relaxed);
            while done.load(Ordering::Relaxed) < before + 20 && !readers.iter().any(|one| one.is_finished()) {
                tokio::task::yield_now().await;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let (done, resumed) = (done.load(Ordering::Relaxed), resumed.load(Ordering::Relaxed));
    assert!(done >= 1000 && resumed > 0, "{done} handshakes, {resumed} resumed");
}

#[tokio::test]
async fn row_46_served_until_the_leaf_ends_with_an_alarm_at_nine_tenths() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    mesh.leaf("web", &root.issue(&Spec::service("web").valid(T0, T0 + 100 * HOUR)));
    let api = root.issue(&Spec::service("api").valid(T0, T0 + 900 * HOUR));
    let leaf = mesh.watch.leaf(&key("web")).unwrap();
    assert_eq!(leaf.renewal_alarm(), at(T0 + 90 * HOUR));
    for (second, age) in [
        (T0, LeafAge::Fresh),
        (T0 + 90 * HOUR - 1, LeafAge::Fresh),
        (T0 + 90 * HOUR, LeafAge::RenewalOverdue),
        (T0 + 100 * HOUR, LeafAge::RenewalOverdue),
        (T0 + 100 * HOUR + 1, LeafAge::Expired),
    ] {
        mesh.clock.set(second);
        assert_eq!(leaf.age(mesh.clock.now()), age);
        let expected = if age == LeafAge::Expired {
            Err("own_certificate_expired".to_owned())
        } else {
            Ok(leaf_uri("api"))
        };
        assert_eq!(mesh.verdict(&api).await, expected, "{age:?}");
    }
    let error = meet(&mesh.acceptor(), &Client::new(Some(&api))).await.accepted.unwrap_err();
    assert!(matches!(error, HandshakeError::OwnCertificateExpired(of) if of == key("web")));
    mesh.leaf("web", &root.issue(&Spec::service("web").valid(T0, T0 + 900 * HOUR)));
    assert_eq!(mesh.verdict(&api).await, Ok(leaf_uri("api")), "a new leaf opens the service again");
}

#[test]
fn a_fresh_leaf_may_begin_five_minutes_ahead() {
    let root = Ca::root("root");
    let load = |from: u64| {
        let issued = root.issue(&Spec::service("web").valid(from, T0 + 72 * HOUR));
        Leaf::build(issued.chain_pem.as_bytes(), issued.key_pem.as_bytes(), &id(&leaf_uri("web")), at(T0))
    };
    assert_eq!(load(T0).unwrap().warning(), None);
    let skew = load(T0 + 300).unwrap().warning();
    assert_eq!(skew, Some(LeafWarning::NotYetValidBy(std::time::Duration::from_secs(300))));
    assert_eq!(load(T0 + 301).unwrap_err().reason(), "certificate_not_yet_valid");
}

#[test]
fn one_update_is_one_state() {
    let root = Ca::root("root");
    let mut mesh = Mesh::empty(T0);
    let before = mesh.watch.generation();
    let (web, other) = (root.leaf("web"), root.leaf("other"));
    let now = mesh.clock.now();
    let trust = mtls::TrustSet::new(crate::support::bundle(crate::support::TD, &[&root], now));
    let published = mesh.store.update(|edit| {
        edit.set_leaf(key("web"), web.load(&id(&web.uri), now), Trusts::OwnOnly);
        edit.set_leaf(key("other"), other.load(&id(&other.uri), now), Trusts::OwnOnly);
        assert_eq!(mesh.watch.generation(), before, "nothing is visible before the end");
        edit.set_trust(trust);
    });
    let published = published.unwrap();
    assert_eq!((published.generation, mesh.watch.generation()), (before + 1, before + 1));
    assert_eq!(published.rebuilt, [key("other"), key("web")]);
    assert!(published.not_ready.is_empty());
    // One leaf changes one service.
    let web = root.leaf("web");
    let published = mesh
        .store
        .update(|edit| edit.set_leaf(key("web"), web.load(&id(&web.uri), now), Trusts::OwnOnly))
        .unwrap();
    assert_eq!(published.rebuilt, [key("web")]);
}

/// What is dropped is freed, acceptors, sessions and clock.
#[tokio::test]
async fn a_store_that_is_not_needed_any_more_is_gone() {
    let root = Ca::root("root");
    let mesh = Mesh::new(&[&root]);
    let clock = Arc::clone(&mesh.clock);
    let met = meet(&mesh.acceptor(), &Client::new(Some(&root.leaf("api")))).await;
    drop((met, mesh));
    assert_eq!(Arc::strong_count(&clock), 1);
}
