//! A service outside the mesh, entered into Consul as an operator does it, and the terminating gateway that Consul sends
//! its callers to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gateway_testkit::{Deadline, MeshCaller, MeshConnection, Upstream, wait_for};
use serde_json::{Value, json};

use super::world::World;
use crate::evidence::{address, open_connection, text};
use crate::report::Report;

/// A change of intentions has this long to reach open connections; Consul's answer to the write counts as its begin.
const CUT_WITHIN: Duration = Duration::from_secs(2);

/// All steps.
pub(crate) async fn run(world: &World, report: &mut Report) -> Result<()> {
    report.step("ledger, a TCP service outside the mesh, is entered into Consul and linked to egress");
    entered(world, report).await?;
    report.step("frontend calls ledger: an intention lets it");
    let open = allowed(world, report).await?;
    report.step("batch calls ledger: an intention denies it");
    denied(world, report).await?;
    report.step("the intention for frontend is turned round while its connection is open");
    changed(world, report, open).await
}

/// What an operator writes, and what callers read of it.
async fn entered(world: &World, report: &mut Report) -> Result<()> {
    let consul = &world.consuls.dc1;
    let ledger = world.ledger.address();
    let node = json!({
        "Node": "outside", "Address": ledger.ip().to_string(), "NodeMeta": {"external-node": "true"},
        "Service": {"ID": "ledger-1", "Service": "ledger", "Port": ledger.port()},
    });
    consul.catalog_register(&node).await?;
    // First who may call, then the link: from its first moment on the rules are whole.
    intention(world, "frontend", "allow").await?;
    intention(world, "batch", "deny").await?;
    let services = json!([{"Name": "ledger"}]);
    consul
        .config_write(&json!({"Kind": "terminating-gateway", "Name": "egress", "Services": services}))
        .await?;
    report.hop("ledger", format!("{ledger}   plain TCP, on a node without an agent"));
    let found = wait_for(Deadline::usual(), "Consul names egress for ledger", async || {
        let rows = consul.api().get("/v1/health/connect/ledger").await.ok()?;
        let row = rows.as_array()?.first()?["Service"].clone();
        Some(row).filter(|service| text(service, "Kind") == "terminating-gateway")
    });
    let found = found.await?;
    let at = format!("{}:{}", text(&found, "Address"), found["Port"]);
    report.hop("consul dc1", format!("callers of ledger are sent to {} at {at}", text(&found, "Service")));
    report.more(format!("read from http://{}/v1/health/connect/ledger", consul.http()));
    report.expect(
        at == world.egress.address()?.to_string(),
        "that is where egress listens and has registered itself",
        &found,
    );
    Ok(())
}

async fn allowed(world: &World, report: &mut Report) -> Result<MeshConnection> {
    let (sni, egress) = (sni(world), world.egress.address()?);
    let caller = MeshCaller::new(world.trust().clone(), world.frontend.leaf())?;
    let connected = wait_for(Deadline::usual(), "egress serves ledger", async || {
        let mut call = caller.connect(egress, &sni).await.ok()?;
        let greeting = call.line().await.ok()?;
        Some((call, greeting))
    });
    let (mut call, greeting) = connected.await?;
    call.echo(b"a line there and back\n").await?;
    report.hop("frontend", format!("{} dials {egress} with SNI {sni}", call.local));
    let row = open_connection(&world.egress, call.local, &sni).await?;
    report.hop("egress", format!("from {} to {}", text(&row, "source"), text(&row, "endpoint")));
    report.more(format!("{}: {}", text(&row, "verdict"), text(&row, "intention")));
    report
        .more(format!("read from http://{}/connections while it was open", world.egress.admin()?.address()));
    report.expect(
        text(&row, "verdict") == "allow" && address(&row, "endpoint") == Some(world.ledger.address()),
        "egress knows who calls, which intention lets it, and dialled ledger",
        &row,
    );
    let ledger = world.trust().service_id("ledger", "dc1");
    report.hop("frontend", format!("saw {} and read {greeting:?}", call.presented));
    report.expect(
        call.presented == ledger,
        "egress answers as ledger, with a leaf that Consul signed",
        &call.presented,
    );
    Ok(call)
}

async fn denied(world: &World, report: &mut Report) -> Result<()> {
    let dials = world.ledger.seen().len();
    let caller = MeshCaller::new(world.trust().clone(), &world.batch)?;
    let mut call = caller.connect(world.egress.address()?, &sni(world)).await?;
    let peer = call.local;
    let (came, _) = call.ended().await?;
    let mine = |line: &Value| address(line, "peer") == Some(peer);
    let record = world.egress.wait_record(Deadline::usual(), &format!("of {peer}"), mine).await?;
    show(report, &record);
    report.expect(text(&record, "reason") == "denied", "the access log says so", &record);
    let now = world.ledger.seen().len();
    report.expect(
        came.is_empty() && now == dials,
        "ledger was never dialled, and batch saw nothing of it",
        format!("{} bytes, {} connections", came.len(), now - dials),
    );
    Ok(())
}

async fn changed(world: &World, report: &mut Report, mut open: MeshConnection) -> Result<()> {
    open.echo(b"still there\n").await.context("the connection of frontend has ended before its time")?;
    let peer = open.local;
    intention(world, "frontend", "deny").await?;
    let written = Instant::now();
    open.ended().await?;
    let took = written.elapsed();
    report
        .hop("frontend", format!("its open connection ended {} ms after Consul's answer", took.as_millis()));
    let mine = |line: &Value| address(line, "peer") == Some(peer);
    let record = world.egress.wait_record(Deadline::usual(), &format!("of {peer}"), mine).await?;
    show(report, &record);
    report.expect(
        text(&record, "reason") == "intention_changed" && took < CUT_WITHIN,
        "it was cut, and the access log says why",
        format!("{took:?}, {record}"),
    );
    intention(world, "frontend", "allow").await
}

/// Writes an intention through the API that every Consul from 1.8 on has.
async fn intention(world: &World, source: &str, action: &str) -> Result<()> {
    let api = world.consuls.dc1.api();
    let all = api.get("/v1/connect/intentions").await?;
    let same = |row: &&Value| row["SourceName"] == source && row["DestinationName"] == "ledger";
    let known = all.as_array().into_iter().flatten().find(same).map(|row| text(row, "ID").to_owned());
    let body = json!({
        "SourceName": source, "DestinationName": "ledger", "SourceType": "consul", "Action": action,
    });
    let (method, path) = match known {
        Some(id) => ("PUT", format!("/v1/connect/intentions/{id}")),
        None => ("POST", "/v1/connect/intentions".to_owned()),
    };
    let reply = api.request(method, &path, body.to_string().as_bytes()).await?;
    ensure!(reply.status == 200, "{method} {path}: {}", reply.text());
    Ok(())
}

fn show(report: &mut Report, record: &Value) {
    report.hop("egress", format!("access log: {}, from {}", text(record, "reason"), text(record, "source")));
    report.more(format!("{}: {}", text(record, "verdict"), text(record, "intention")));
}

fn sni(world: &World) -> String {
    Upstream::new("ledger", "dc1").sni(world.trust().domain())
}
