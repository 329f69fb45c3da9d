//! A gateway runs from every recorded version: what it asks is answered as that version does.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use gateway_testkit::{
    Asked, ClientSidecar, Deadline, Instance, Lab, Pki, Replay, ReplayBuilder, ServerSidecar, Sidecar,
    Upstream, Via, eventually, wait_for,
};

async fn runs_from(replay: ReplayBuilder) -> Result<()> {
    let lab = Lab::new()?;
    let replay = replay.start()?;
    let roots = replay.get("/v1/agent/connect/ca/roots");
    // The gateway takes nobody's TLS apart: the ends may have any CA of that trust domain.
    let pki = Pki::new(roots["TrustDomain"].as_str().context("no trust domain")?)?;
    let gateway = lab.gateway("gateway").flag("http-addr", &replay.http().to_string());
    let gateway = gateway.register().flag("proxy-id", "replayed").start().await?;
    let ready = async || gateway.admin().ok()?.is_ready().await.ok()?.then_some(());
    wait_for(Deadline::usual(), "a ready gateway", ready).await?;
    assert_eq!(replay.get("/v1/agent/service/replayed")["Kind"], "mesh-gateway");

    // A service that comes later is called through it; an instance that fails is out, and comes back.
    let start = |id: &str| {
        let server = ServerSidecar::start(&pki, Sidecar::new("accounts", id, "dc1"))?;
        replay.register_instance(&Instance::new("accounts", id, server.address()));
        Ok::<_, anyhow::Error>(server)
    };
    let _servers = [start("accounts-1")?, start("accounts-2")?];
    let client = ClientSidecar::new(&pki, "frontend", "dc1")?;
    let (accounts, via) = (Upstream::new("accounts", "dc1"), Via::Local(gateway.address()?));
    let reached = async |calls: usize| {
        let mut instances = BTreeSet::new();
        for _ in 0..calls {
            let call = client.call(&accounts, via).await.ok()?;
            instances.insert(call.greeting.instance.clone());
        }
        Some(instances.into_iter().collect::<Vec<_>>().join(" "))
    };
    let (one, both) = ("accounts-1", "accounts-1 accounts-2");
    let reach = async |wanted: &str, when: &str| {
        let what = format!("{wanted} when {when}");
        eventually(Deadline::usual(), &what, async || reached(12).await.as_deref() == Some(wanted)).await;
    };
    reach(both, "both pass").await;
    replay.set_health("accounts-2", "critical");
    reach(one, "one is critical").await;
    replay.set_health("accounts-2", "passing");
    reach(both, "both pass again").await;
    replay.deregister_instance("accounts-2");
    reach(one, "one is gone").await;

    // It asks within its budget, and nothing that makes the agent stumble.
    assert!(replay.connections().peak <= 64, "{:?}", replay.connections());
    let ours = |asked: &Asked| asked.status.is_some_and(|status| [400, 405].contains(&status));
    let wrong: Vec<_> = replay.asked().into_iter().filter(ours).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    Ok(())
}

#[tokio::test]
async fn a_gateway_runs_from_a_recorded_1_8() {
    runs_from(Replay::of_version("1.8.7").unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_gateway_runs_from_a_recorded_1_10() {
    runs_from(Replay::of_version("1.10.1").unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_gateway_runs_from_a_recorded_1_21() {
    runs_from(Replay::of_version("1.21").unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_gateway_runs_from_a_recorded_client_agent() {
    runs_from(Replay::of_client_agent("1.21").unwrap()).await.unwrap();
}
