//! The CA changes its root under load: nobody fails.

use std::sync::Arc;
use std::time::Duration;

use gateway_testkit::{Consul, Deadline, MeshCaller, Steady, wait_for};
use serde_json::Value;

use crate::world::{Acls, World};

const MINUTE: Duration = Duration::from_secs(80);

/// Full handshakes without end.
async fn steady(world: &World, caller: MeshCaller) -> Steady {
    let trust = world.consul.trust().await.unwrap();
    let (address, sni) = (world.address(), Arc::<str>::from(world.sni(&trust, "billing")));
    let caller = caller.without_sessions();
    Steady::start(Duration::from_millis(5), move || {
        let (caller, sni) = (caller.clone(), sni.clone());
        async move {
            let mut connection = caller.connect(address, &sni).await?;
            let line = connection.line().await?;
            connection.close().await?;
            Ok(line)
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_root_fails_nobody() {
    if !Consul::available() {
        return;
    }
    let (world, _billing) = World::billing(Acls::On).await;
    let web = world.caller("web").await;
    let mut open = world.connect(&web, "billing").await.unwrap();
    open.line().await.unwrap();
    let old_leaf = open.certificate.clone();
    // It knows the old root alone; the gateway's new leaf comes with a certificate of the new root that the old one signed.
    let old = steady(&world, web.clone()).await;
    old.go_on(20).await;
    world.rotate().await;
    let admin = world.gateway.admin().unwrap();
    let both = async || {
        let page = admin.json("/certs").await.ok()?;
        (page["roots"]["certificates"].as_array()?.len() == 2).then_some(())
    };
    wait_for(Deadline::after(MINUTE), "both roots", both).await.unwrap();
    // A caller that has its first leaf now, of the new root. (A leaf that the agent has keeps coming until somebody holds
    // a request for the next one, at 1.8.7.)
    world.intention("ops", "billing", "allow").await;
    world.until_answers("ops", "billing", "billing-1").await;
    let renewed = world.caller("ops").await;
    let new = steady(&world, renewed.clone()).await;
    let presented = async || {
        let connection = world.connect(&renewed, "billing").await.ok()?;
        (connection.certificate != old_leaf).then_some(())
    };
    wait_for(Deadline::after(MINUTE), "a new leaf of the gateway", presented).await.unwrap();
    old.go_on(20).await;
    new.go_on(20).await;
    old.end().await;
    new.end().await;
    open.echo(b"not cut").await.unwrap();
    open.close().await.unwrap();
    let page: Value = admin.snapshot().await.unwrap();
    assert_eq!(page["rejected"]["total"], 0, "{}", page["rejected"]);
}
