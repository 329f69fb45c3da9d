//! Changes through Consul's API, seen by the running gateway and by the next call.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use gateway_testkit::{Deadline, Gateway, Upstream, Via, wait_for};
use serde_json::{Value, json};

use super::tour::quick_call;
use super::world::World;
use crate::evidence::text;
use crate::report::Report;

/// Config entries and intentions are written in the primary datacenter and copied to the other by Consul, which waits
/// for longer between two tries after the primary was away.
pub(super) const COPIED_WITHIN: Duration = Duration::from_secs(40);

/// The resolver that is written; also what the commands to try by hand use.
pub(super) fn resolver() -> Value {
    json!({
        "Kind": "service-resolver",
        "Name": "billing",
        "DefaultSubset": "v1",
        "Subsets": {
            "v1": {"Filter": "Service.Meta.version == v1"},
            "v2": {"Filter": "Service.Meta.version == v2"},
        },
    })
}

/// The subset v2 of billing.
pub(super) fn v2() -> Upstream {
    Upstream { subset: Some("v2".to_owned()), ..Upstream::new("billing", "dc2") }
}

/// Subsets come and go.
pub(super) async fn subsets(world: &World, report: &mut Report, near: Via) -> Result<()> {
    let (billing, v2) = (Upstream::new("billing", "dc2"), v2());
    let name = v2.sni(world.trust().domain());
    let before = quick_call(world, &v2, near).await;
    if before.is_err() {
        // The gateway of dc1 goes by the datacenter alone.
        world.count(true, false);
    }
    report.hop("frontend", format!("{name}: {}", if before.is_ok() { "connected" } else { "refused" }));
    report.expect(before.is_err(), "before, the subset is nobody's name", "the call went through");

    let pid = world.dc2.pid();
    let generation = generation(&world.dc2).await?;
    let began = Instant::now();
    world.consuls.dc2.config_write(&resolver()).await?;
    report.hop("consul dc2", format!("PUT http://{}/v1/config", world.consuls.dc2.http()));
    report.more(resolver());
    let endpoints = wait_names(&world.dc2, &name, 1).await?;
    report.hop(
        "gateway dc2",
        format!(
            "{name} leads to {endpoints}, {} ms after the write; generation {generation} became {}",
            began.elapsed().as_millis(),
            self::generation(&world.dc2).await?
        ),
    );
    let reached = quick_call(world, &v2, near).await?;
    report.hop("frontend", format!("{name}: {reached}"));
    report.expect(reached == "billing-2", "the subset v2 is billing-2", &reached);
    let reached = all_of(world, &billing, near).await?;
    report.hop("frontend", format!("{}: {}", billing.sni(world.trust().domain()), words(&reached)));
    report.expect(words(&reached) == "billing-1", "the default subset v1 is billing-1", words(&reached));

    world.consuls.dc2.config_delete("service-resolver", "billing").await?;
    wait_names(&world.dc2, &name, 0).await?;
    let reached = all_of(world, &billing, near).await?;
    report.hop("frontend", format!("without the resolver: {}", words(&reached)));
    report.expect(reached.len() == 2, "both instances again", words(&reached));
    report.expect(world.dc2.pid() == pid, "the gateway is the same process", world.dc2.pid());
    Ok(())
}

/// An instance fails and recovers.
pub(super) async fn health(world: &World, report: &mut Report, near: Via) -> Result<()> {
    let billing = Upstream::new("billing", "dc2");
    for (status, expected) in [("critical", "billing-2"), ("passing", "billing-1, billing-2")] {
        let began = Instant::now();
        world.consuls.dc2.set_health("billing-1", status).await?;
        report.hop(
            "consul dc2",
            format!(
                "PUT http://{}/v1/agent/check/update/billing-1-health {status}",
                world.consuls.dc2.http()
            ),
        );
        let sidecar = world.billing[0].sidecar.address().to_string();
        wait_healthy(&world.dc2, &sidecar, status == "passing").await?;
        report.hop(
            "gateway dc2",
            format!("{sidecar} is {status}, {} ms after the write", began.elapsed().as_millis()),
        );
        let reached = all_of(world, &billing, near).await?;
        report.hop("frontend", format!("4 calls: {}", words(&reached)));
        report.expect(words(&reached) == expected, "who is healthy gets the calls", words(&reached));
    }
    Ok(())
}

/// Whom four calls reach.
async fn all_of(world: &World, upstream: &Upstream, near: Via) -> Result<BTreeSet<String>> {
    let mut reached = BTreeSet::new();
    for _ in 0..4 {
        reached.insert(quick_call(world, upstream, near).await?);
    }
    Ok(reached)
}

fn words(reached: &BTreeSet<String>) -> String {
    reached.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

async fn generation(gateway: &Gateway) -> Result<u64> {
    Ok(gateway.admin()?.snapshot().await?["generation"].as_u64().unwrap_or_default())
}

/// Waits until a gateway has a name with so many endpoints, or with 0 no such name; gives the endpoints.
pub(super) async fn wait_names(gateway: &Gateway, name: &str, wanted: usize) -> Result<String> {
    let admin = gateway.admin()?;
    let what = format!("gateway {}: {name} with {wanted} endpoints", gateway.name());
    let look = async || {
        let page = admin.endpoints().await.ok()?;
        let row =
            page["services"].as_array()?.iter().find(|row| text(row, "name").eq_ignore_ascii_case(name));
        let endpoints =
            row.and_then(|row| row["endpoints"].as_array()).map(Vec::as_slice).unwrap_or_default();
        let shown: Vec<_> = endpoints.iter().map(|endpoint| text(endpoint, "address")).collect();
        (shown.len() == wanted && row.is_some() == (wanted > 0)).then(|| shown.join(", "))
    };
    Ok(wait_for(Deadline::after(COPIED_WITHIN), &what, look).await?)
}

async fn wait_healthy(gateway: &Gateway, address: &str, healthy: bool) -> Result<()> {
    let admin = gateway.admin()?;
    let what = format!("gateway {}: {address} healthy: {healthy}", gateway.name());
    let look = async || {
        let page = admin.endpoints().await.ok()?;
        let rows = page["services"].as_array()?.iter().flat_map(|row| row["endpoints"].as_array()).flatten();
        let mut mine = rows.filter(|row| text(row, "address") == address).peekable();
        (mine.peek().is_some() && mine.all(|row| row["healthy"] == healthy)).then_some(())
    };
    Ok(wait_for(Deadline::usual(), &what, look).await?)
}
