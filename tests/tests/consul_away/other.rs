//! Another Consul takes the place of the one that went: its data are gone, and with them its CA.

use gateway_testkit::{Consul, wait_for};

use crate::world::{BACK, GONE, World, frontend, sidecar, soon, steady, until_answers};

/// Row 32, and what happens to a development agent that is started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consul_without_its_data_is_another_mesh() {
    if !Consul::available() {
        return;
    }
    let world = World::start(|it| it.setting("TIMERS_CONSUL_REGISTER_PAUSE", "1s")).await;
    let _one = world.instance("billing", "billing-1").await;
    world.until_answers("billing", "billing-1").await;
    let calls = steady(&world, "billing");
    world.consul.kill().await.unwrap();
    world.until_logged(GONE, 1).await;
    calls.go_on(20).await;
    world.consul.wipe().unwrap();
    calls.end().await;

    world.consul.restart().await.unwrap();
    world.until_logged(BACK, 1).await;
    let own = async || world.consul.api().get("/v1/agent/service/mesh-gateway").await.ok();
    wait_for(soon(), "the gateway's registration there", own).await.unwrap();
    let other = frontend(&world.consul).await;
    let two = sidecar(&world.consul, "billing", "billing-2").await;
    let instance = gateway_testkit::Instance::new("billing", "billing-2", two.address());
    world.consul.register_instance(&instance).await.unwrap();
    until_answers(&world.gateway, &other, "billing", "billing-2").await;
    // Nobody of the mesh that is gone finds anybody here.
    assert!(world.who("billing").await.is_err());
    world.until_logged("the mesh is another one", 1).await;
    let page = world.snapshot().await;
    assert_eq!(page["mesh"]["trust_domain"], two.identity().split('/').nth(2).unwrap());
    assert_eq!(page["names"]["total"], 1, "{:#}", page["names"]);
    let ready = async || world.gateway.admin().unwrap().is_ready().await.unwrap().then_some(());
    wait_for(soon(), "to be ready", ready).await.unwrap();
    assert_eq!((world.lines(GONE), world.lines(BACK)), (1, 1));
    drop(world.lab);
}
