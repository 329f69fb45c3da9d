//! A secondary datacenter before it has met its primary, and after it has lost it.

use gateway_testkit::{
    ClientSidecar, Consul, Deadline, Instance, Lab, ServerSidecar, Sidecar, Via, wait_for,
};
use serde_json::Value;

use crate::both::{call, soon};

/// T67, row 28: without a root there are no names yet; with them, the primary may go.
#[tokio::test]
async fn a_secondary_meets_its_primary_late_and_loses_it() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let server = |dc: &str| lab.consul(dc).unwrap().datacenter(dc).primary("dc1");
    let (primary, secondary) = (server("dc1"), server("dc2"));
    let (first, second) = (primary.wan_address(), secondary.wan_address());
    let secondary = secondary.join_wan(first).spawn_only().unwrap();
    let gateway = lab.gateway("dc2").consul(&secondary).register();
    // At first there is no other datacenter.
    let gateway = gateway.setting("TIMERS_CONSUL_POLL_DATACENTERS", "1s").spawn().unwrap();
    let admin = async || gateway.admin().ok().map(|admin| admin.address());
    wait_for(soon(), "the admin endpoint", admin).await.unwrap();
    let admin = gateway.admin().unwrap();
    let waits = async || {
        let page = admin.get("/ready").await.ok()?;
        // All but this has been answered.
        let waits = page.status == 503
            && page.body.contains("trust domain")
            && !page.body.contains("catalog/services");
        waits.then_some(())
    };
    wait_for(soon(), "to wait for the trust domain", waits).await.unwrap();
    // None, beside a trust domain that was made up; later versions answer with an error.
    let roots = secondary.api().get("/v1/agent/connect/ca/roots").await.unwrap_or_default();
    assert!(roots["Roots"].as_array().is_none_or(Vec::is_empty), "{roots}");
    assert!(gateway.address().is_err());

    let primary = primary.join_wan(second).start().await.unwrap();
    secondary.wait_leader(Deadline::after(std::time::Duration::from_secs(40))).await.unwrap();
    let ready = async || admin.is_ready().await.ok().filter(|ready| *ready);
    wait_for(soon(), "to be ready", ready).await.unwrap();
    let trust = primary.trust().await.unwrap();
    // For a moment Consul lists the root beside the trust domain that it has made up.
    let right = async || {
        let page = admin.snapshot().await.unwrap();
        (page["mesh"]["trust_domain"] == trust.domain()).then_some(())
    };
    wait_for(soon(), "the trust domain of the primary", right).await.unwrap();

    let far = lab.gateway("dc1").consul(&primary).register().start().await.unwrap();
    let web = primary.identity("web").await.unwrap();
    let web = ServerSidecar::start_with(&web.trust, &web.leaf, Sidecar::new("web", "web-1", "dc1")).unwrap();
    primary.register_instance(&Instance::new("web", "web-1", web.address())).await.unwrap();
    let caller = secondary.identity("backoffice").await.unwrap();
    let caller = ClientSidecar::with(&caller.trust, caller.leaf);
    let via = Via::Local(gateway.address().unwrap());
    let called = async || call(&caller, "web", "dc1", via).await.ok();
    wait_for(soon(), "a call into the primary", called).await.unwrap().close().await.unwrap();

    primary.kill().await.unwrap();
    let failing = |page: &Value| {
        let rows = page["consul"]["watches"]["rows"].as_array().unwrap();
        rows.iter().any(|row| row["path"].as_str().unwrap().contains("dc=dc1") && !row["error"].is_null())
    };
    let noticed = async || failing(&admin.snapshot().await.unwrap()).then_some(());
    wait_for(soon(), "the loss to be noticed", noticed).await.unwrap();
    call(&caller, "web", "dc1", via).await.unwrap().close().await.unwrap();
    assert!(admin.is_ready().await.unwrap() && far.admin().unwrap().is_ready().await.unwrap());
}
