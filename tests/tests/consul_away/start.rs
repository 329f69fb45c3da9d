//! Consul is away when the gateway starts.

use gateway_testkit::{Backend, Consul, Gateway, Lab, Place, Signal, wait_for};
use serde_json::Value;

use crate::world::{frontend, lines, soon, until_answers};

/// Asserts that a gateway lives, is not ready, says why, and does not take connections.
async fn assert_waits(gateway: &Gateway, why: &str) {
    let what = format!("not ready because of {why}");
    let waits = async || {
        let page = gateway.admin().ok()?.get("/ready").await.ok()?;
        (page.status == 503 && page.body.contains(why)).then_some(())
    };
    wait_for(soon(), &what, waits).await.unwrap();
    assert_eq!(gateway.admin().unwrap().get("/live").await.unwrap().status, 200);
    let page = gateway.admin().unwrap().snapshot().await.unwrap();
    assert_eq!((&page["consul"]["ready"], &page["names"]["total"]), (&false.into(), &0.into()));
    assert!(gateway.is_running() && gateway.address().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_waits_for_a_consul_that_is_not_there_yet() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let one = crate::world::sidecar(&consul, "billing", "billing-1").await;
    let instance = gateway_testkit::Instance::new("billing", "billing-1", one.address());
    consul.register_instance(&instance).await.unwrap();
    let frontend = frontend(&consul).await;
    // Nobody else gets this port; it may be listened on all the same.
    let held = Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
    let gateway = |name: &str| lab.gateway(name).consul(&consul).register().flag("proxy-id", name);

    // Nobody listens there.
    consul.kill().await.unwrap();
    let refused = gateway("refused").address(held.address()).spawn().unwrap();
    let never = gateway("never").spawn().unwrap();
    assert_waits(&refused, "onnection refused").await;
    assert_waits(&never, &consul.http().to_string()).await;
    assert!(Place::Here.connect(held.address()).await.is_err(), "the port refuses");
    assert!(lines(&refused, "cannot be reached") <= 1, "{}", refused.log_tail(20));
    never.signal(Signal::TERM).unwrap();
    assert_eq!(never.exit_code(soon()).await.unwrap(), 0, "{}", never.log_tail(20));
    consul.restart().await.unwrap();
    until_answers(&refused, &frontend, "billing", "billing-1").await;
    let ready = async |gateway: &Gateway| {
        let ready = async || gateway.admin().ok()?.is_ready().await.ok().filter(|ready| *ready);
        wait_for(soon(), "to be ready", ready).await.unwrap();
    };
    ready(&refused).await;

    // Somebody listens, and says nothing.
    consul.stop().await.unwrap();
    let silent = gateway("silent").setting("TIMERS_CONSUL_READ", "1s").spawn().unwrap();
    assert_waits(&silent, "answer within").await;
    assert!(refused.admin().unwrap().is_ready().await.unwrap());
    until_answers(&refused, &frontend, "billing", "billing-1").await;
    let known = lines(&silent, "not ready");
    let probes = |page: &Value| page["consul"]["requests"]["transport"].as_u64();
    let page = async || silent.admin().unwrap().snapshot().await.unwrap();
    let first = probes(&page().await);
    let more = async || (probes(&page().await) >= first.map(|first| first + 3)).then_some(());
    wait_for(soon(), "more probes", more).await.unwrap();
    assert!(
        lines(&silent, "not ready") <= known + 1,
        "the same reason is logged once: {}",
        silent.log_tail(20)
    );
    consul.cont().unwrap();
    until_answers(&silent, &frontend, "billing", "billing-1").await;
    ready(&silent).await;
    for gateway in [&refused, &silent] {
        gateway.signal(Signal::TERM).unwrap();
        assert_eq!(gateway.exit_code(soon()).await.unwrap(), 0);
    }
}
