//! Consul dies; nobody who calls notices.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use gateway_testkit::{Deadline, Gateway, Instance, Upstream, Via, wait_for};
use serde_json::Value;

use super::changes::wait_names;
use super::tour::quick_call;
use super::world::World;
use crate::evidence::text;
use crate::report::Report;

/// Who knows no sidecar there will not dial it either.
const NOWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 9);

pub(super) async fn run(world: &World, report: &mut Report, near: Via) -> Result<()> {
    let (consul, gateway) = (&world.consuls.dc1, &world.dc1);
    let billing = Upstream::new("billing", "dc2");
    let began = Instant::now();
    report.hop("consul dc1", format!("process {} is killed (SIGKILL)", consul.pid()));
    consul.kill().await?;
    let agent = agent_answers(gateway, false).await?;
    report.hop(
        "gateway dc1",
        format!("the agent does not answer, noticed within {} ms", began.elapsed().as_millis()),
    );
    report.more(text(&agent, "error"));
    for _ in 0..3 {
        let reached = quick_call(world, &billing, near).await;
        let instead = reached.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
        report.hop("frontend", format!("calls billing: {}", reached.as_deref().unwrap_or("refused")));
        report.expect(instead.is_empty(), "the call goes through", instead);
    }
    let ready = gateway.admin()?.is_ready().await?;
    report.expect(ready, "the gateway stays ready: what it knows is good", "/ready says 503");

    consul.start_again()?;
    report.hop("consul dc1", format!("started again as process {}", consul.pid()));
    let api = consul.api();
    let listening = async || api.request("GET", "/v1/status/leader", b"").await.ok().map(drop);
    wait_for(Deadline::usual(), "the agent of dc1 listens again", listening).await?;
    let began = Instant::now();
    agent_answers(gateway, true).await?;
    report.hop("gateway dc1", format!("knows it {} ms after it listens", began.elapsed().as_millis()));
    consul.wait_leader(Deadline::after(Duration::from_secs(40))).await?;

    let audit = Upstream::new("audit", "dc1");
    let name = audit.sni(world.trust().domain());
    let began = Instant::now();
    consul.register_instance(&Instance::new("audit", "audit-1", SocketAddr::from(NOWHERE))).await?;
    report.hop("consul dc1", "a new service audit is registered");
    let followed = wait_names(gateway, &name, 1).await;
    report.hop("gateway dc1", format!("has the name {name} after {} ms", began.elapsed().as_millis()));
    let instead = followed.err().map(|error| format!("{error:#}")).unwrap_or_default();
    report.expect(instead.is_empty(), "it follows Consul again", instead);
    consul.deregister_instance("audit-1").await?;
    Ok(())
}

/// Waits until the gateway says that its agent answers, or does not; gives what it says.
async fn agent_answers(gateway: &Gateway, answers: bool) -> Result<Value> {
    let admin = gateway.admin()?;
    let what = format!("gateway {}: Consul answers: {answers}", gateway.name());
    let look = async || {
        let mut page = admin.snapshot().await.ok()?;
        let agent = page["consul"]["agent"].take();
        (agent["answers"] == answers).then_some(agent)
    };
    Ok(wait_for(Deadline::usual(), &what, look).await?)
}
