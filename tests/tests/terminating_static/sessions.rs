//! Sessions that callers resume: they pay, and they never outlive what they were begun under.

use std::time::{Duration, SystemTime};

use gateway_testkit::{LeafSpec, MeshCaller, MeshConnection, Pki, Trust, wait_for};
use rustls::ProtocolVersion;
use serde_json::Value;

use crate::world::{Plan, World, soon};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3];

/// Calls, so that the session is known, and ends the call.
async fn visit(world: &World, caller: &MeshCaller) -> MeshConnection {
    let mut connection = world.connect(caller, "billing").await.unwrap();
    connection.line().await.unwrap();
    connection
}

/// A caller that has a session which it resumes.
async fn resuming(world: &World, caller: MeshCaller) -> MeshCaller {
    assert!(!visit(world, &caller).await.resumed, "the first handshake is a full one");
    assert!(visit(world, &caller).await.resumed, "the second one is not");
    caller
}

#[tokio::test]
async fn a_caller_that_comes_again_resumes_its_session_and_is_judged_again() {
    let (plan, billing) = Plan::billing();
    let world = plan.start().await;
    for version in VERSIONS {
        world.allow("web", "billing");
        world.until_answers("web", "billing", "billing-1").await;
        let web = resuming(&world, world.caller("web").version(version).unwrap()).await;
        let resumed = world.metric("gateway_tls_handshakes_total", &[("resumed", "true")]).await;
        assert!(resumed >= 1.0, "{version:?}");
        world.intentions("billing", &[&crate::world::rule("web", "deny")]);
        world.until_refused("web", "billing").await;
        let before = billing.seen().len();
        let (record, _) = world.refusal(&web, "billing").await;
        assert_eq!((&record["reason"], &record["verdict"]), (&"denied".into(), &"deny".into()));
        assert_eq!(record["source"], world.pki.service_id("web", "dc1"), "it is known who resumes");
        assert_eq!(billing.seen().len(), before, "{version:?}");
    }
}

#[tokio::test]
async fn a_session_does_not_outlive_the_root_that_it_began_under() {
    for version in VERSIONS {
        let (plan, billing) = Plan::billing();
        let world = plan.start().await;
        let second = Pki::development().unwrap();
        let roots = world.certs().join("roots.pem");
        let both = format!("{}{}", world.pki.root_pem(), second.root_pem());
        let trust = Trust::from_pem(Pki::TRUST_DOMAIN, &both).unwrap();
        let web = MeshCaller::new(&trust, &world.pki.service("web", "dc1").unwrap()).unwrap();
        let web = resuming(&world, web.version(version).unwrap()).await;
        second.service("billing", "dc1").unwrap().write(&world.certs(), "billing").unwrap();
        std::fs::write(&roots, second.root_pem()).unwrap();
        let one = |page: &Value| {
            let subject = page["roots"]["certificates"].as_array().map(Vec::len);
            subject == Some(1) && page["generation"].as_u64() > Some(1)
        };
        world.until_page("/certs", "the second root alone", one).await;
        let new = MeshCaller::new(&trust, &second.service("web", "dc1").unwrap()).unwrap();
        let there = async || match world.connect(&new, "billing").await {
            Ok(mut connection) => connection.line().await.ok(),
            Err(_) => None,
        };
        wait_for(soon(), "a caller of the second root", there).await.unwrap();
        let before = billing.seen().len();
        let (record, _) = world.refusal(&web, "billing").await;
        assert_eq!(record["reason"], "unknown_issuer", "{version:?}: {record}");
        assert_eq!(billing.seen().len(), before, "{version:?}");
    }
}

#[tokio::test]
async fn a_session_does_not_outlive_a_change_of_the_certificate() {
    let (plan, _billing) = Plan::billing();
    let world = plan.start().await;
    for version in VERSIONS {
        let web = resuming(&world, world.caller("web").version(version).unwrap()).await;
        let leaf = world.pki.service("billing", "dc1").unwrap();
        leaf.write(&world.certs(), "billing").unwrap();
        let fresh = async || {
            let connection = world.connect(&world.caller("web"), "billing").await.ok()?;
            (connection.certificate == leaf.cert).then_some(())
        };
        wait_for(soon(), "the new certificate", fresh).await.unwrap();
        let connection = visit(&world, &web).await;
        assert!(!connection.resumed, "{version:?}: a full handshake");
        assert_eq!(connection.certificate, leaf.cert, "{version:?}");
        assert!(visit(&world, &web).await.resumed, "{version:?}: and sessions again");
    }
}

/// rustls keeps the caller's chain with the session and does not look at it again.
#[tokio::test]
async fn a_session_does_not_outlive_the_certificate_of_the_caller() {
    let (plan, billing) = Plan::billing();
    let world = plan.start().await;
    for version in VERSIONS {
        let ends = SystemTime::now() + Duration::from_secs(5);
        let spec = LeafSpec::new().uri(&world.pki.service_id("web", "dc1")).valid(-60, 5);
        let web = MeshCaller::new(&world.pki, &world.pki.issue(&spec).unwrap()).unwrap();
        let web = resuming(&world, web.version(version).unwrap()).await;
        let over = async || (SystemTime::now() > ends + Duration::from_secs(1)).then_some(());
        wait_for(soon(), "the end of the caller's certificate", over).await.unwrap();
        let before = billing.seen().len();
        let (record, _) = world.refusal(&web, "billing").await;
        assert_eq!(record["reason"], "certificate_expired", "{version:?}: {record}");
        assert_eq!(billing.seen().len(), before, "{version:?}");
    }
}
